"""What files hold, and what a browser, curl, the cloud and the listener will say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.pki import neighbours, rules
from services.pki.contents import (
    Kind,
    OtherFacts,
    Piece,
    Pkcs12Facts,
    PrivateKeyFacts,
    contents,
)
from services.pki.facts import CertificateFacts, RequestFacts, quiet
from services.pki.neighbours import Placed
from services.pki.sources import Source
from services.pki.verdict import Severity, Verdict, error


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in one file."""

    file: str
    position: int
    """Its place in the file, from 1; what a PKCS#12 file holds follows it."""
    kind: Kind
    holds: CertificateFacts | PrivateKeyFacts | RequestFacts | Pkcs12Facts | OtherFacts | None
    belongs_to: tuple[str, ...]
    """A certificate's key files, a key's certificate files."""
    verdicts: tuple[Verdict, ...]

    def to_map(self, now: datetime) -> dict[str, object]:
        """For JSON."""
        match self.holds:
            case None:
                held: Mapping[str, object] = {}
            case CertificateFacts():
                held = self.holds.to_map(now)
            case _:
                held = self.holds.to_map()
        return {
            "file": self.file,
            "position": self.position,
            "kind": self.kind.value,
            **held,
            "belongs_to": list(self.belongs_to),
            "verdicts": [verdict.to_map() for verdict in self.verdicts],
        }


def inspect(
    sources: Sequence[Source], now: datetime, password: bytes | None = None
) -> tuple[Finding, ...]:
    """What each file holds, judged by itself and beside the others.

    Parameters
    ----------
    password
        Tried on every encrypted key and PKCS#12 file.
    """
    with quiet():
        found = [
            Placed(source, position, piece)
            for source in sources
            for position, piece in enumerate(_pieces(source, password), 1)
        ]
        return tuple(_finding(each, found, now) for each in found)


def fine(findings: Sequence[Finding]) -> bool:
    """Whether nothing is graver than a warning."""
    return not any(
        verdict.severity is Severity.ERROR for each in findings for verdict in each.verdicts
    )


def _pieces(source: Source, password: bytes | None) -> Sequence[Piece]:
    found = contents(source.data, password)
    if not found and source.named:
        return (Piece(Kind.NOTHING, None, (error("nothing-found", ()),)),)
    return found


def _finding(each: Placed, found: Sequence[Placed], now: datetime) -> Finding:
    piece = each.piece
    verdicts = list(piece.verdicts)
    if piece.link is not None:
        verdicts += rules.certificate_verdicts(piece.link.facts, now)
        verdicts += neighbours.certificate_verdicts(each, found, now, verdicts)
    elif piece.kind is Kind.PRIVATE_KEY:
        verdicts += neighbours.key_verdicts(each, found)
    return Finding(
        file=each.source.name,
        position=each.position,
        kind=piece.kind,
        holds=piece.holds,
        belongs_to=neighbours.partners(each, found),
        verdicts=tuple(verdicts),
    )
