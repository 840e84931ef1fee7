"""What is said of a certificate, a key or a file: a code, how grave it is, and who refuses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.text import say


class Severity(StrEnum):
    ERROR = "error"
    """Somebody who matters refuses it, or it cannot be used."""
    WARNING = "warning"
    """It works, but not everywhere, not for long, or not safely."""
    INFO = "info"


class Verifier(StrEnum):
    """Who looks at certificates."""

    BROWSER = "browser"
    """Chrome, Edge, Firefox, on every system."""
    APPLE = "apple"
    """Safari, and every program that leaves it to macOS or iOS."""
    CURL = "curl"
    """curl, Python and other programs on OpenSSL 3, at the security level (2) of Debian's, Ubuntu's
    and Python's settings."""
    LISTENER = "listener"
    """The balancer, looking at a client's certificate. The vendor does not say how: these are
    OpenSSL's rules, as for curl, and the cipher suites of the vendor's TLS policies."""
    CAS = "cas"
    """Certificate Management Service, when a certificate and its key are uploaded."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One finding. The words are in the catalogue, under `pki.verdict.<code>.what|remedy`."""

    code: str
    severity: Severity
    refused_by: frozenset[Verifier] = frozenset()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def what(self) -> str:
        return say(f"pki.verdict.{self.code}.what", **self.facts)

    @property
    def remedy(self) -> str:
        return say(f"pki.verdict.{self.code}.remedy", **self.facts)

    def to_map(self) -> dict[str, object]:
        """For JSON; `what` and `remedy` are in the language that is set."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "refused_by": sorted(self.refused_by),
            "facts": dict(self.facts),
            "what": self.what,
            "remedy": self.remedy,
        }


def error(code: str, refused_by: Iterable[Verifier], **facts: object) -> Verdict:
    return Verdict(code, Severity.ERROR, frozenset(refused_by), _texts(facts))


def warning(code: str, refused_by: Iterable[Verifier] = (), **facts: object) -> Verdict:
    return Verdict(code, Severity.WARNING, frozenset(refused_by), _texts(facts))


def info(code: str, **facts: object) -> Verdict:
    return Verdict(code, Severity.INFO, frozenset(), _texts(facts))


def _texts(facts: Mapping[str, object]) -> Mapping[str, str]:
    return {name: str(value) for name, value in facts.items()}
