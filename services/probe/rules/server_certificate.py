"""Trusting the server: its certificate, and the way from there to a CA that is trusted here.

OpenSSL names the first fault that it meets. The chain that the server shows, judged with the trust
file, may have more: a certificate that has expired and is of an unknown CA is told as both, and
the fault that is the certificate's own comes first.
"""

from __future__ import annotations

import re

from services.pki.verdict import Verdict
from services.probe.observations import Observations
from services.probe.outcome import Outcome
from services.probe.rules.finding import Confidence, Finding, Look

UNTRUSTED = (
    Outcome.SERVER_CERTIFICATE_EXPIRED,
    Outcome.SERVER_CERTIFICATE_NOT_YET_VALID,
    Outcome.SERVER_CERTIFICATE_WRONG_NAME,
    Outcome.SERVER_CERTIFICATE_WRONG_USAGE,
    Outcome.SERVER_CERTIFICATE_WEAK,
    Outcome.SERVER_CERTIFICATE_SELF_SIGNED,
    Outcome.SERVER_CERTIFICATE_NAMESAKE_CA,
    Outcome.SERVER_CERTIFICATE_UNKNOWN_CA,
    Outcome.SERVER_CERTIFICATE_INVALID,
)


def server_certificate(outcome: Outcome | None, *verdicts: str) -> Look:
    """Fires when verification failed so, or failed otherwise and the chain has it as well."""

    def look(seen: Observations) -> Finding | None:
        told = seen.count(outcome) if outcome is not None else 0
        judged = _judged(seen, *verdicts)
        if not told and not (judged and seen.count(*UNTRUSTED)):
            return None
        return _finding(seen, "certain", outcome, judged)

    return look


def without_name(seen: Observations) -> Finding | None:
    """No subjectAltName. Programs that still look at the common name accept it; browsers do not
    (RFC 9525 section 6.3), so it is a fault even where every request here was answered."""
    judged = _judged(seen, "no-san")
    if judged is None:
        return None
    return _finding(seen, "certain", None, judged)


def wrong_name(seen: Observations) -> Finding | None:
    if without_name(seen) is not None:
        return None
    return server_certificate(Outcome.SERVER_CERTIFICATE_WRONG_NAME, "name-mismatch")(seen)


def without_intermediate(seen: Observations) -> Finding | None:
    """The way ends at the certificate itself, and there is reason to think that its issuer is an
    intermediate CA which the server should have shown, not a root that is unknown here."""
    known = _judged(seen, "missing-intermediate")
    if not seen.count(*UNTRUSTED):
        return None
    if known is not None:
        return _finding(seen, "certain", None, known)
    server, announced = seen.server, seen.announcement
    if not seen.count(Outcome.SERVER_CERTIFICATE_UNKNOWN_CA) or server is None:
        return None
    alone = announced is not None and len(announced.chain) == 1 and not server.self_signed
    if not alone or _judged(seen, "same-name-ca") is not None:
        return None
    if server.issuer_urls:
        why = f"it says where its issuer's certificate is: {server.issuer_urls[0]}"
    elif _related(server.issuer, [each.subject for each in seen.files.trusted]):
        why = "its issuer is of the same organization as a CA that is trusted here"
    elif _INTERMEDIATE.search(server.issuer):
        why = "its issuer calls itself an intermediate CA"
    else:
        return None
    return _finding(seen, "likely", None, None, why)


def unknown_ca(seen: Observations) -> Finding | None:
    if without_intermediate(seen) or _judged(seen, "same-name-ca", "self-signed"):
        return None
    return server_certificate(Outcome.SERVER_CERTIFICATE_UNKNOWN_CA, "unknown-ca")(seen)


def self_signed(seen: Observations) -> Finding | None:
    return server_certificate(Outcome.SERVER_CERTIFICATE_SELF_SIGNED, "self-signed")(seen)


def invalid(seen: Observations) -> Finding | None:
    """What no other rule names: verification failed for a reason that is rare."""
    if not seen.count(Outcome.SERVER_CERTIFICATE_INVALID) or _judged(seen, *_NAMED):
        return None
    others = [each for each in seen.files.server or () if each.code not in _NAMED]
    return _finding(seen, "certain", Outcome.SERVER_CERTIFICATE_INVALID, next(iter(others), None))


WEAK = ("weak-key", "weak-signature", "unsupported-key")
WRONG_USAGE = ("wrong-usage", "issuer-wrong-usage", "no-digital-signature")
_NAMED = (
    *("expired", "not-yet-valid", "name-mismatch", "no-san", *WRONG_USAGE, *WEAK),
    *("self-signed", "same-name-ca", "missing-intermediate", "unknown-ca"),
)


def _judged(seen: Observations, *codes: str) -> Verdict | None:
    """The first verdict on the chain that is one of `codes`."""
    return next((each for each in seen.files.server or () if each.code in codes), None)


def _finding(
    seen: Observations,
    confidence: Confidence,
    outcome: Outcome | None,
    judged: Verdict | None,
    why: str = "",
) -> Finding:
    server = seen.server
    facts = dict.fromkeys(("names", "issuer", "not_before", "not_after", "key"), "?")
    parts = [seen.sample(*((outcome,) if outcome else ()), *UNTRUSTED), why]
    if judged is not None:
        subject = judged.facts.get("subject", "")
        parts.append(f"{judged.code}: {subject}" if subject else judged.code)
    if server is not None:
        facts = {
            "names": ", ".join(server.names) or "no name at all",
            "issuer": server.issuer,
            "not_before": f"{server.not_before:%Y-%m-%d %H:%M} UTC",
            "not_after": f"{server.not_after:%Y-%m-%d %H:%M} UTC",
            "key": ", ".join(filter(None, (server.key, server.signature_hash))) or "?",
        }
        parts.append(
            f"certificate for {facts['names']}, issued by {facts['issuer']}, "
            f"valid {facts['not_before']} to {facts['not_after']}"
        )
    listener = seen.listener
    if listener is not None and listener.certificate_id != listener.wanted_certificate_id:
        parts.append(
            f"the listener has {listener.certificate_id or 'none'}, "
            f"this session set {listener.wanted_certificate_id or 'none'}"
        )
    evidence = "; ".join(filter(None, parts))
    return Finding(confidence, evidence, UNTRUSTED, facts)


_INTERMEDIATE = re.compile(r"\b(intermediate|issuing|subordinate|sub[- ]?CA)\b", re.IGNORECASE)
_ORGANIZATION = re.compile(r"(?:^|,)O=((?:\\.|[^,])+)")


def _related(issuer: str, trusted: list[str]) -> bool:
    """Whether two names (RFC 4514) are of one organization."""
    found = _ORGANIZATION.search(issuer)
    own = {match[1] for subject in trusted if (match := _ORGANIZATION.search(subject))}
    return found is not None and found[1] in own
