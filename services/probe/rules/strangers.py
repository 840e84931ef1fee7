"""Keeping strangers out."""

from __future__ import annotations

from services.probe.observations import Observations
from services.probe.refusals import MUST_TRY
from services.probe.rules.finding import Finding, Look


def let_in(*names: str) -> Look:
    """Fires when one of these strangers was not refused."""

    def look(seen: Observations) -> Finding | None:
        found = [each for each in seen.refusals if each.name in names and each.refused is False]
        if not found:
            return None
        return Finding("certain", "; ".join(f"{each.name}: {each.evidence}" for each in found))

    return look


def _asks(seen: Observations) -> bool | None:
    """Whether the server asks for a certificate; None when that cannot be told."""
    if seen.announcement is not None:
        return seen.announcement.certificate_asked
    if seen.listener is not None and seen.listener.exists:
        return seen.listener.mutual
    # Who refuses a certificate of an unknown CA has asked for one and looked at it.
    return True if seen.refused("unknown_ca") else None


def not_enforced(seen: Observations) -> Finding | None:
    """No certificate is asked for: mutual authentication is off."""
    found = let_in("no_certificate")(seen)
    if found is None or _asks(seen):
        return None
    if _asks(seen) is None:
        return Finding("likely", found.evidence)
    settings = ""
    if seen.listener is not None and seen.listener.exists and not seen.listener.mutual:
        settings = f"; CaEnabled is false at {seen.listener.id}"
    return Finding("certain", f"{found.evidence}; no CertificateRequest{settings}")


def optional(seen: Observations) -> Finding | None:
    """One is asked for, but who has none is served all the same."""
    found = let_in("no_certificate")(seen)
    if found is None or not _asks(seen):
        return None
    return Finding("certain", f"{found.evidence}; a certificate is asked for, and may be left out")


any_ca_accepted = let_in("unknown_ca", "impostor_ca")


def expired_accepted(seen: Observations) -> Finding | None:
    found = let_in("expired")(seen)
    if found is None and seen.client is not None and seen.client.not_after < seen.now:
        if not seen.tally.ok:
            return None
        found = Finding("certain", f"{seen.tally.ok} answers for the expired client certificate")
    return found


def wrong_usage_accepted(seen: Observations) -> Finding | None:
    found = let_in("wrong_usage")(seen)
    if found is None and seen.client is not None and not seen.client.may("clientAuth"):
        if not seen.tally.ok:
            return None
        usage = ", ".join(seen.client.eku or ())
        found = Finding("certain", f"{seen.tally.ok} answers for a certificate for {usage} only")
    return found


def refusal_untried(seen: Observations) -> Finding | None:
    """A stranger that needs nothing but the endpoint could not be tried: nothing is proven."""
    untried = [each for each in seen.refusals if each.name in MUST_TRY and each.refused is None]
    if not untried or not seen.tally.ok:
        return None
    names = ", ".join(each.name for each in untried)
    evidence = untried[0].untried or untried[0].evidence
    return Finding("certain", evidence, facts={"strangers": names})
