"""Being trusted by the server: the client's certificate, and why it was turned away."""

from __future__ import annotations

from services.pki.verdict import Verdict
from services.probe.announcement import ca_name
from services.probe.observations import Observations
from services.probe.outcome import Outcome
from services.probe.rules.directly import all_abnormal, none_answers, some_answer
from services.probe.rules.finding import Confidence, Finding
from services.probe.rules.silence import (
    against,
    foreign,
    not_asked,
    outdated,
    sample,
    silent,
    turned_away,
)


def key_mismatch(seen: Observations) -> Finding | None:
    """Found in the files, before any request; else by the server, where files are not known."""
    if seen.files.key_fits is False:
        return Finding("certain", "the public keys differ, so no request was made")
    if seen.files.key_fits or not seen.count(Outcome.CLIENT_SIGNATURE_REFUSED):
        return None
    evidence = seen.sample(Outcome.CLIENT_SIGNATURE_REFUSED)
    return Finding("likely", evidence, (Outcome.CLIENT_SIGNATURE_REFUSED,))


def weak(seen: Observations) -> Finding | None:
    """So weak that OpenSSL here does not load it, or that the server may have refused it."""
    reason = _verdict(seen, "weak-key", "weak-signature")
    if reason is None or (seen.tally.requests and not turned_away(seen)):
        return None
    evidence = f"{reason.code}: {', '.join(reason.facts.values())}"
    evidence = "; ".join(filter(None, (evidence, sample(seen))))
    return Finding("certain" if not seen.tally.requests else "likely", evidence, turned_away(seen))


def expired(seen: Observations) -> Finding | None:
    """By its own date, or because the server says so although it is valid by this clock."""
    client, outcome = seen.client, Outcome.CLIENT_CERTIFICATE_EXPIRED
    facts = {"not_after": f"{client.not_after:%Y-%m-%d %H:%M} UTC" if client else "?"}
    if client is not None and client.not_after < seen.now:
        evidence = "; ".join(filter(None, (f"it ended {facts['not_after']}", sample(seen))))
        return Finding("certain", evidence, turned_away(seen), facts)
    if turned_away(seen) and (over := _verdict(seen, "expired")):
        subject, ended = over.facts.get("subject", "?"), over.facts.get("not_after", "?")
        evidence = f"{subject} ended {ended}; {sample(seen)}"
        return Finding("certain", evidence, turned_away(seen), {"not_after": ended}, ("ca-ended",))
    if not seen.count(outcome):
        return None
    if client is None:
        return Finding("likely", seen.sample(outcome), (outcome,), facts)
    evidence = f"{seen.sample(outcome)}; by this clock it is valid until {facts['not_after']}"
    return Finding("likely", evidence, (outcome,), facts, ("valid-here",))


def not_yet_valid(seen: Observations) -> Finding | None:
    client = seen.client
    if client is None or client.not_before <= seen.now:
        return None
    begins = f"{client.not_before:%Y-%m-%d %H:%M} UTC"
    evidence = "; ".join(filter(None, (f"it begins {begins}", sample(seen))))
    return Finding("certain", evidence, turned_away(seen), {"not_before": begins})


def wrong_usage(seen: Observations) -> Finding | None:
    """Its extendedKeyUsage (RFC 5280 section 4.2.1.12) does not let it be a client's."""
    outcome = Outcome.CLIENT_CERTIFICATE_WRONG_USAGE
    told, suspected = seen.count(outcome), turned_away(seen)
    judged = against(seen, "wrong-usage", "issuer-wrong-usage", "no-digital-signature")
    usage = ", ".join(seen.client.eku) if seen.client and seen.client.eku is not None else ""
    facts = {"usage": usage or "-"}
    if judged and suspected:
        evidence = f"usage: {usage or 'not for clients'}; {sample(seen)}"
        return Finding("certain", evidence, suspected, facts)
    if not told:
        return None
    notes = ("usage-right-here",) if seen.client is not None else ()
    return Finding("likely", seen.sample(outcome), (outcome,), facts, notes)


def namesake_ca(seen: Observations) -> Finding | None:
    """The listener trusts a CA of the same name with another key.

    OpenSSL then finds the issuer's name, and says decrypt_error when the signature does not fit,
    or unknown_ca when already the key identifiers differ.
    """
    told = (Outcome.CLIENT_SIGNATURE_REFUSED, Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA)
    if seen.client is None or outdated(seen):
        return None
    facts = {"issuer": seen.client.issuer}
    if against(seen, "same-name-ca") and turned_away(seen):
        evidence = f"the listener's CA has its issuer's name and another key; {sample(seen)}"
        return Finding("certain", evidence, turned_away(seen), facts)
    if seen.files.key_fits and seen.count(Outcome.CLIENT_SIGNATURE_REFUSED):
        evidence = f"{seen.sample(*told)}; key and certificate belong together"
        return Finding("likely", evidence, told, facts)
    named = seen.announcement is not None and bool(seen.announcement.accepted_cas)
    if named and not foreign(seen) and seen.count(Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA):
        evidence = f"{seen.sample(told[1])}; yet its issuer's name is among those accepted"
        return Finding("likely", evidence, told, facts)
    return None


def unknown_ca(seen: Observations) -> Finding | None:
    told = (Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA,)
    if namesake_ca(seen) is not None:
        return None
    not_ours = foreign(seen) or against(seen, "unknown-ca", "missing-intermediate", "self-signed")
    suspected = turned_away(seen) if not_ours and not outdated(seen) else ()
    if not seen.count(*told) and not suspected:
        return None
    accepted = ", ".join(map(ca_name, seen.announcement.accepted_cas)) if seen.announcement else ""
    facts = {"issuer": seen.client.issuer if seen.client else "?", "accepted": accepted or "?"}
    evidence = [seen.sample(*told) or sample(seen)]
    if foreign(seen):
        evidence.append(f"issued by {facts['issuer']}, accepted are: {accepted}")
    listener = seen.listener
    replaced = listener is not None and listener.ca_id != listener.wanted_ca_id
    if listener is not None and replaced and listener.wanted_ca_id:
        evidence.append(f"the listener's CA is {listener.ca_id or 'none'}")
    confidence: Confidence = "certain" if seen.count(*told) else "likely"
    notes = ("accepted",) if accepted else ()
    if against(seen, "missing-intermediate"):
        notes = (*notes, "send-intermediate")
    return Finding(confidence, "; ".join(evidence), suspected or told, facts, notes)


def revoked(seen: Observations) -> Finding | None:
    return _told(seen, Outcome.CLIENT_CERTIFICATE_REVOKED)


def missing(seen: Observations) -> Finding | None:
    """None was offered, and the server wants one."""
    suspected = turned_away(seen)
    if seen.client is not None or not suspected or seen.files.key_fits is not None:
        return None
    told = (Outcome.CLIENT_CERTIFICATE_MISSING,)
    if seen.count(*told):
        return Finding("certain", seen.sample(*told), told)
    if seen.announcement is not None:
        return Finding("likely", f"the server asks for one; {sample(seen)}", suspected)
    return Finding("possible", sample(seen), suspected)


def refused(seen: Observations) -> Finding | None:
    """What remains when neither date nor CA nor usage explains it."""
    told_so = [Outcome.CLIENT_CERTIFICATE_REFUSED]
    if seen.client is not None:
        told_so.append(Outcome.CLIENT_CERTIFICATE_MISSING)
    explained = outdated(seen) or any(rule(seen) for rule in (wrong_usage, namesake_ca, unknown_ca))
    if explained or key_mismatch(seen):
        return None
    if seen.count(*told_so):
        return Finding("certain", seen.sample(*told_so), tuple(told_so))
    quiet = () if seen.tally.ok or not_asked(seen) else silent(seen)
    if not quiet or seen.client is None or all_abnormal(seen) or none_answers(seen):
        return None
    if seen.health:
        return Finding("likely", f"not every backend is down; {seen.sample(*quiet)}", quiet)
    if some_answer(seen):
        return Finding("likely", f"a backend answers by itself; {seen.sample(*quiet)}", quiet)
    return None


def _told(seen: Observations, outcome: Outcome) -> Finding | None:
    if not seen.count(outcome):
        return None
    return Finding("certain", seen.sample(outcome), (outcome,))


def _verdict(seen: Observations, *codes: str) -> Verdict | None:
    return next((each for each in seen.files.client or () if each.code in codes), None)
