"""What is said of a certificate or a key because of what lies beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.pki.contents import Kind, Piece
from services.pki.facts import signed_by
from services.pki.path import Link, path_verdicts
from services.pki.rules import Role, roles
from services.pki.sources import Source
from services.pki.verdict import Verdict, Verifier, error, info, warning


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece, and where it lies."""

    source: Source
    position: int
    piece: Piece


def partners(each: Placed, found: Sequence[Placed]) -> tuple[str, ...]:
    """The files with a certificate's key, or with a key's certificate."""
    if each.piece.kind is Kind.PRIVATE_KEY:
        return _files(other for other in found if _belongs(each, other))
    return _files(other for other in found if _belongs(other, each))


def key_verdicts(key: Placed, found: Sequence[Placed]) -> Iterator[Verdict]:
    """Whether a key has its certificate, and is private."""
    if key.piece.public is not None and not partners(key, found):
        yield _stray_key_verdict(key, found)
    in_pkcs12 = any(other.piece.kind is Kind.PKCS12 for other in _beside(key, found))
    if key.source.open_to_others and not in_pkcs12:
        yield warning("key-open-to-others", file=key.source.name)


def certificate_verdicts(
    each: Placed, found: Sequence[Placed], now: datetime, already: Sequence[Verdict]
) -> Iterator[Verdict]:
    """How a certificate that ends a chain stands to the CAs that were given with it.

    Parameters
    ----------
    already
        What was said of it alone: not said again.
    """
    leaf = each.piece.link
    if leaf is None or leaf.facts.self_signed or Role.CA in roles(leaf.facts):
        return
    yield from _chain_verdicts(leaf, _links(found), now, already)
    beside = _beside(each, found)
    yield from _elsewhere_verdicts(leaf, _links(beside), _links(found))
    # A PKCS#12 file has no order, and one with several leaves is no chain.
    leaves = [link for link in _links(beside) if Role.CA not in roles(link.facts)]
    if leaves == [leaf] and not any(other.piece.kind is Kind.PKCS12 for other in beside):
        yield from _order_verdicts(leaf, _links(beside))


def _beside(each: Placed, found: Sequence[Placed]) -> list[Placed]:
    """What lies in the same file."""
    return [other for other in found if other.source is each.source]


def _links(found: Iterable[Placed]) -> list[Link]:
    return [each.piece.link for each in found if each.piece.link is not None]


def _files(found: Iterable[Placed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.source.name for each in found))


def _belongs(key: Placed, certificate: Placed) -> bool:
    public, link = key.piece.public, certificate.piece.link
    if public is None or link is None or link.facts.key is None:
        return False
    return public == link.certificate.public_key()


def _stray_key_verdict(key: Placed, found: Sequence[Placed]) -> Verdict:
    """A key without its certificate: a mistake if a certificate without its key lies beside it."""
    keys = [each for each in found if each.piece.public is not None]
    leaves = [
        each
        for each in found
        if each.piece.link is not None
        and Role.CA not in roles(each.piece.link.facts)
        and not partners(each, keys)
    ]
    namesakes = [each for each in leaves if _stem(each) == _stem(key)]
    strays = [each for each in keys if not partners(each, found)]
    beside = namesakes or (leaves if len(leaves) == len(strays) == 1 else [])
    if beside:
        return error("key-mismatch", {Verifier.CURL, Verifier.CAS}, file=beside[0].source.name)
    return info("key-alone")


def _stem(each: Placed) -> Path:
    return Path(each.source.name).with_suffix("")


def _chain_verdicts(
    leaf: Link, others: Sequence[Link], now: datetime, already: Sequence[Verdict]
) -> Iterator[Verdict]:
    cas = [link for link in others if link is not leaf]
    anchors = [ca for ca in cas if ca.facts.self_signed]
    said = {(verdict.code, verdict.facts.get("subject")) for verdict in already}
    for role in sorted(roles(leaf.facts)):
        for verdict in path_verdicts(leaf, cas, anchors, role, now):
            if verdict.code == "unknown-ca":
                # Only these files were given: the CA may well be known elsewhere.
                verdict = info("issuer-not-here", **verdict.facts)
            mark = (verdict.code, verdict.facts.get("subject"))
            if mark not in said:
                said.add(mark)
                yield verdict


def _elsewhere_verdicts(
    leaf: Link, beside: Sequence[Link], found: Sequence[Link]
) -> Iterator[Verdict]:
    """An intermediate CA that is not in the leaf's own file, and so is not sent along."""
    issuers = [link for link in found if signed_by(leaf.certificate, link.certificate)]
    if issuers and not any(ca.facts.self_signed or ca in beside for ca in issuers):
        yield warning("intermediate-elsewhere", issuer=leaf.facts.issuer)


def _order_verdicts(leaf: Link, file: Sequence[Link]) -> Iterator[Verdict]:
    """RFC 8446 4.4.2: the leaf must come first; each following certificate should certify the one
    before it, which older programs insist on. The root may be left out."""
    if file[0] is not leaf:
        yield error("leaf-not-first", {Verifier.CURL, Verifier.CAS})
    ordered, rest = [leaf], [link for link in file if link is not leaf]
    while above := next(
        (each for each in rest if signed_by(ordered[-1].certificate, each.certificate)), None
    ):
        ordered.append(above)
        rest.remove(above)
    for stranger in rest:
        yield warning("chain-stranger", subject=stranger.facts.subject)
    issuers = [link for link in file if link is not leaf and link not in rest]
    if issuers != ordered[1:]:
        yield warning("chain-order")
    if len(ordered) > 1 and ordered[-1].facts.self_signed:
        yield info("chain-has-root", subject=ordered[-1].facts.subject)
