"""What the files at hand say, before and besides any connection: keys, dates, usage, chains.

The judgements are `services.pki`'s, by OpenSSL's rules. A file that cannot be read is no finding
here: whoever makes requests with it has said so already (`Target.check`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from services.pki.verdict import Verdict, Verifier
from services.probe.identity import Identity, chain_identities
from services.probe.observations import FilesCheck, Part, Term
from services.probe.target import Target
from services.problem import Problem

if TYPE_CHECKING:
    from cryptography import x509


def check_files(
    target: Target,
    now: datetime,
    *,
    chain: Sequence[bytes] = (),
    key_fits: bool | None = None,
    listener_ca: bytes = b"",
    known: bytes = b"",
) -> FilesCheck:
    """Judge the client's pair, and the chain that the server shows.

    Parameters
    ----------
    chain
        The server's certificates in DER, as it shows them, its own first.
    key_fits
        Whether the client's key belongs to its certificate.
    listener_ca
        The CA certificates (PEM) that the listener trusts for clients; empty if not at hand.
    known
        Other certificates that exist (PEM), an intermediate CA's say: one that the server should
        have shown is then told from a CA that nobody knows.
    """
    trust = _content(target.ca_file)
    client, trusted, authorities = (
        _of(_content(target.certificate_file)),
        _of(trust),
        _of(listener_ca),
    )
    shown, others = _shown(chain), _of(known)
    return FilesCheck(
        key_fits=key_fits,
        client=_client(client, listener_ca if authorities else b"", now, others),
        client_ca_known=bool(authorities),
        client_issuers=tuple(each.issuer.public_bytes() for each in client),
        server=_server(shown, trust if trusted else b"", target.name, now, others),
        server_ca_known=bool(trusted),
        trusted=_identities(trusted),
        terms=tuple(
            dict.fromkeys(
                (
                    *_terms("server", shown[:1]),
                    *_terms("client", client[:1]),
                    *_terms("ca", (*authorities, *trusted)),
                )
            )
        ),
    )


def _content(file: Path | None) -> bytes:
    try:
        return file.read_bytes() if file is not None else b""
    except OSError:  # it has changed since it was checked
        return b""


def _of(data: bytes) -> tuple[x509.Certificate, ...]:
    from services.pki.check import certificates_of

    try:
        return certificates_of(data) if data else ()
    except Problem:
        return ()


def _shown(chain: Iterable[bytes]) -> tuple[x509.Certificate, ...]:
    """Those of a chain from the network that are certificates at all."""
    return tuple(certificate for der in chain for certificate in _of(der))


def _client(
    chain: Sequence[x509.Certificate],
    authorities: bytes,
    now: datetime,
    known: Sequence[x509.Certificate],
) -> tuple[Verdict, ...] | None:
    from services.pki.check import verify_client
    from services.pki.facts import certificate_facts
    from services.pki.rules import JUDGES, Role, basic_verdicts, client_verdicts

    if not chain:
        return None
    try:
        if authorities:
            return verify_client(chain[0], chain[1:], authorities, now, known)
        facts = certificate_facts(chain[0])
        return (*basic_verdicts(facts, now, JUDGES[Role.CLIENT]), *client_verdicts(facts))
    except (Problem, ValueError):  # its names are damaged
        return None


def _server(
    chain: Sequence[x509.Certificate],
    trust: bytes,
    name: str,
    now: datetime,
    known: Sequence[x509.Certificate],
) -> tuple[Verdict, ...] | None:
    from services.pki.check import verify_server
    from services.pki.facts import certificate_facts
    from services.pki.rules import JUDGES, Role, basic_verdicts, name_verdicts, server_verdicts

    if not chain:
        return None
    try:
        if trust:
            found = verify_server(chain, trust, name, now, known)
        else:
            facts = certificate_facts(chain[0])
            found = (
                *basic_verdicts(facts, now, JUDGES[Role.SERVER]),
                *server_verdicts(facts),
                *name_verdicts(facts, name),
            )
    except (Problem, ValueError):
        return None
    return tuple(each for each in found if _counts(each))


def _counts(verdict: Verdict) -> bool:
    """What programs on OpenSSL refuse, as this one is; and a certificate without subjectAltName,
    which some of them still take, and no browser does."""
    return Verifier.CURL in verdict.refused_by or verdict.code == "no-san"


def _identities(certificates: Sequence[x509.Certificate]) -> tuple[Identity, ...]:
    from cryptography.hazmat.primitives.serialization import Encoding

    return chain_identities(each.public_bytes(Encoding.DER) for each in certificates)


def _terms(part: Part, certificates: Sequence[x509.Certificate]) -> Iterator[Term]:
    for each in _identities(certificates):
        yield Term(part, each.subject, each.not_before, each.not_after)
