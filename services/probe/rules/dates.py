"""Clocks, and certificates that end soon."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.pki.ending import ending
from services.probe.observations import Observations, Term
from services.probe.outcome import Outcome
from services.probe.rules.finding import Finding

SKEW_S = 300.0
"""What other clocks may differ by: five minutes, as Kerberos takes it (RFC 4120 section 8.2). The
vendor's API refuses requests that are 15 minutes off."""

_DATED = (
    Outcome.SERVER_CERTIFICATE_EXPIRED,
    Outcome.SERVER_CERTIFICATE_NOT_YET_VALID,
    Outcome.CLIENT_CERTIFICATE_EXPIRED,
)


def clock_skew(seen: Observations) -> Finding | None:
    """Other clocks do not agree with this computer's.

    One clock that differs may itself be wrong, and is worth a warning; two that agree with one
    another, or one by which a certificate that was refused for its date is valid, are an error.
    """
    off = {whose: ahead for whose, ahead in seen.clock.items() if abs(ahead) >= SKEW_S}
    if not off:
        return None
    agree = len(off) > 1 and max(off.values()) - min(off.values()) < SKEW_S
    ahead = max(off.values(), key=abs)
    explains = _valid_by(seen, seen.now + timedelta(seconds=ahead))
    amount = str(timedelta(seconds=round(abs(ahead))))
    facts = {"amount": amount, "clocks": ", ".join(off)}
    evidence = ", ".join(
        f"{whose} {abs(by):.0f} s {'ahead' if by > 0 else 'behind'}" for whose, by in off.items()
    )
    return Finding(
        "likely" if agree or explains else "possible",
        evidence,
        _DATED if explains else (),
        facts,
        ("clock-slow" if ahead > 0 else "clock-fast",),
        severity=None if agree or explains else "warning",
        explains=explains,
    )


def _valid_by(seen: Observations, now: datetime) -> bool:
    """Whether a certificate that was refused for its date is valid by another clock."""
    return any(
        certificate is not None
        and not certificate.not_before <= seen.now <= certificate.not_after
        and certificate.not_before <= now <= certificate.not_after
        for certificate in (seen.server, seen.client)
    ) and bool(seen.count(*_DATED) or not seen.tally.ok)


def certificate_ends_soon(seen: Observations) -> Finding | None:
    """One of the certificates at hand, the server's, the client's or a CA's, is near its end."""
    soon = [
        each for each in _terms(seen) if ending(each.not_after, seen.now, each.not_before) == "soon"
    ]
    if not soon:
        return None
    soon.sort(key=lambda each: each.not_after)
    parts = [
        f"{each.part}: {each.subject}, {each.not_after:%Y-%m-%d %H:%M} UTC, "
        f"{(each.not_after - seen.now).days} days left"
        for each in soon
    ]
    first = soon[0]
    facts = {
        "part": first.part,
        "subject": first.subject,
        "not_after": f"{first.not_after:%Y-%m-%d %H:%M} UTC",
        "days": str((first.not_after - seen.now).days),
    }
    return Finding("certain", "; ".join(parts), facts=facts, notes=(f"ends-{first.part}",))


def _terms(seen: Observations) -> tuple[Term, ...]:
    terms = seen.files.terms
    server = seen.server
    if server is not None and not any(each.part == "server" for each in terms):
        terms = (*terms, Term("server", server.subject, server.not_before, server.not_after))
    return terms
