"""From a certificate to a trusted CA: finding the way (RFC 4158), and what is held against it.

`cryptography.x509.verification` has the web's strict rules, stops at the first failure and tells
it as prose. Here every reason is wanted, with a code, and by the rules of the programs that will
really look; so the library is asked for signatures and for name constraints only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from services.pki.facts import CertificateFacts, certificate_facts, signed_by
from services.pki.rules import (
    CURL,
    JUDGES,
    LISTENER,
    Role,
    basic_verdicts,
    client_verdicts,
    issuer_verdicts,
    name_verdicts,
    server_verdicts,
)
from services.pki.verdict import Verdict, error

if TYPE_CHECKING:
    from cryptography import x509

_MAX_LENGTH = 10
_MAX_WAYS = 32
"""More ways than that exist only in sets made to waste time."""


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate in a path."""

    certificate: x509.Certificate
    facts: CertificateFacts


@dataclass(frozen=True, slots=True)
class Way:
    """Certificates from the leaf upwards, each issued by the next."""

    links: tuple[Link, ...]
    trusted: bool
    """Whether the last one is trusted."""


def link(certificate: x509.Certificate) -> Link:
    """Read a certificate. Raises ValueError if its names are damaged."""
    return Link(certificate, certificate_facts(certificate))


def path_verdicts(
    leaf: Link,
    untrusted: Sequence[Link],
    anchors: Sequence[Link],
    role: Role,
    now: datetime,
    name: str | None = None,
    known: Sequence[Link] = (),
) -> tuple[Verdict, ...]:
    """Why the certificate is refused in `role`, by the way that has the fewest reasons.

    Parameters
    ----------
    untrusted
        What the peer sends besides the leaf, in any order.
    anchors
        What is trusted, self-signed or not.
    known
        Certificates that exist but are neither sent nor trusted: where one of them closes the gap,
        the reason is `missing-intermediate`.
    """
    ways = [Way(links, trusted=True) for links in _ways(leaf, untrusted, anchors)]
    if ways:
        judged = (_way_verdicts(way, role, now, name) for way in ways)
        return min(judged, key=len)
    stub = Way(_climb(leaf, untrusted), trusted=False)
    gap = _gap_verdict(stub.links[-1], leaf, (*anchors, *untrusted), known, role)
    return (gap, *_way_verdicts(stub, role, now, name))


def _ways(
    leaf: Link, untrusted: Sequence[Link], anchors: Sequence[Link]
) -> Iterator[tuple[Link, ...]]:
    trusted = {each.facts.sha256 for each in anchors}
    pool = _distinct((*anchors, *untrusted))

    def climb(way: tuple[Link, ...]) -> Iterator[tuple[Link, ...]]:
        if way[-1].facts.sha256 in trusted:
            yield way
        elif len(way) < _MAX_LENGTH:
            for issuer in _issuers(way[-1], pool):
                if issuer not in way:
                    yield from climb((*way, issuer))

    return islice(climb((leaf,)), _MAX_WAYS)


def _climb(leaf: Link, untrusted: Sequence[Link]) -> tuple[Link, ...]:
    """As far up as the certificates at hand lead."""
    way = [leaf]
    while len(way) < _MAX_LENGTH:
        above = next((each for each in _issuers(way[-1], untrusted) if each not in way), None)
        if above is None:
            break
        way.append(above)
    return tuple(way)


def _issuers(below: Link, pool: Sequence[Link]) -> Iterator[Link]:
    return (each for each in pool if signed_by(below.certificate, each.certificate))


def _distinct(links: Sequence[Link]) -> tuple[Link, ...]:
    return tuple({each.facts.sha256: each for each in links}.values())


def _gap_verdict(
    top: Link, leaf: Link, pool: Sequence[Link], known: Sequence[Link], role: Role
) -> Verdict:
    """Why the way ends before a trusted certificate."""
    who = JUDGES[role]
    if top is leaf and top.facts.self_signed:
        code = "self-signed"
    elif any(
        each is not top and each.certificate.subject == top.certificate.issuer for each in pool
    ):
        code = "same-name-ca"
    elif next(_issuers(top, known), None) is not None:
        code = "missing-intermediate"
    else:
        code = "unknown-ca"
    return error(code, who, subject=top.facts.subject, issuer=top.facts.issuer)


def _way_verdicts(way: Way, role: Role, now: datetime, name: str | None) -> tuple[Verdict, ...]:
    return tuple(each for each in _reasons(way, role, now, name) if each.refused_by)


def _reasons(way: Way, role: Role, now: datetime, name: str | None) -> Iterator[Verdict]:
    leaf, *issuers = way.links
    who = JUDGES[role]
    for each in way.links:
        yield from basic_verdicts(each.facts, now, who)
    yield from server_verdicts(leaf.facts) if role is Role.SERVER else client_verdicts(leaf.facts)
    if name is not None:
        yield from name_verdicts(leaf.facts, name)
    cas_below = 0
    for below, issuer in pairwise(way.links):
        is_anchor = way.trusted and issuer is issuers[-1]
        yield from issuer_verdicts(issuer.facts, role, cas_below, is_anchor)
        yield from _identifier_verdicts(below.facts, issuer, role)
        cas_below += not issuer.facts.same_name
    if way.trusted and any(each.facts.extensions.name_constraints for each in issuers):
        yield from _constraint_verdicts(way, role, now)


def _identifier_verdicts(below: CertificateFacts, issuer: Link, role: Role) -> Iterator[Verdict]:
    """OpenSSL refuses an issuer whose key or serial number is not the one that is named."""
    wanted, found = below.extensions, issuer.facts.extensions
    other_key = None not in (wanted.authority_key_id, found.subject_key_id) and (
        wanted.authority_key_id != found.subject_key_id
    )
    other_serial = wanted.authority_serial is not None and (
        wanted.authority_serial != issuer.certificate.serial_number
    )
    refusers = JUDGES[role] & {CURL, LISTENER}
    if (other_key or other_serial) and refusers:
        yield error("issuer-renewed", refusers, subject=below.subject, issuer=issuer.facts.subject)
    # Without an identifier OpenSSL takes a certificate with its issuer's name for self-signed.
    if below.same_name and not below.self_signed and wanted.authority_key_id is None and refusers:
        yield error("issuer-has-same-name", refusers, subject=below.subject)


def _constraint_verdicts(way: Way, role: Role, now: datetime) -> Iterator[Verdict]:
    """Name constraints (RFC 5280 4.2.1.10), as the library judges them."""
    from cryptography import x509
    from cryptography.x509.verification import (
        Criticality,
        ExtensionPolicy,
        PolicyBuilder,
        Store,
        VerificationError,
    )

    leaf, *issuers = (each.certificate for each in way.links)
    anything = ExtensionPolicy.permit_all()
    cas = anything.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    policy = (
        PolicyBuilder()
        .store(Store(issuers[-1:]))
        .time(now)
        .extension_policies(ca_policy=cas, ee_policy=anything)
    )
    try:
        # As a client: no name is looked for here, and none is demanded.
        policy.build_client_verifier().verify(leaf, issuers[:-1])
    except VerificationError as failure:
        # Whatever else the library holds against the chain is judged above, by other rules; and
        # of constraints that it cannot judge, such as those on directory names, nothing is said.
        if _CONSTRAINED in str(failure):
            subject = way.links[0].facts.subject
            yield error("name-constraints", JUDGES[role], subject=subject)


_CONSTRAINED = "matched SAN"
"""How the library's words for this failure end: none permitted, or an excluded one, matched."""
