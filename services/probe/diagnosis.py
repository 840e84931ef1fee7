"""From observations to causes: a table of rules that a person can read from top to bottom.

A rule looks at all observations and finds something or nothing; no rule does any I/O. Where two
causes look alike from outside (a connection that is closed without a word: certificate refused,
or no backend left?) the rules settle it with what else is known, or say both as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from services.probe.announcement import ca_name
from services.probe.identity import Identity
from services.probe.observations import Health, Observations
from services.probe.outcome import Outcome
from services.probe.tally import expected_shares, within_chance

Severity = Literal["error", "warning"]
Confidence = Literal["certain", "likely", "possible"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause, as words in the catalogue: `probe.diagnosis.<code>.cause` and `.remedy`."""

    code: str
    severity: Severity
    confidence: Confidence
    evidence: str
    facts: Mapping[str, str]

    def cause(self) -> str:
        from services.text import say

        return say(f"probe.diagnosis.{self.code}.cause", **self.facts)

    def remedy(self) -> str:
        from services.text import say

        return say(f"probe.diagnosis.{self.code}.remedy", **self.facts)


def diagnose(seen: Observations) -> tuple[Diagnosis, ...]:
    """Every cause that the observations point to: errors first, the most probable first."""
    found = []
    for place, rule in enumerate(RULES):
        finding = rule.look(seen)
        if finding is not None:
            order = (
                rule.severity == "warning",
                _CONFIDENCES.index(finding.confidence),
                -finding.count,
                place,
            )
            facts = {
                "endpoint": seen.endpoint,
                "name": seen.name,
                "requests": str(seen.tally.requests),
                "ok": str(seen.tally.ok),
                "count": str(finding.count),
                **finding.facts,
            }
            diagnosis = Diagnosis(
                rule.code, rule.severity, finding.confidence, finding.evidence, facts
            )
            found.append((order, diagnosis))
    return tuple(diagnosis for _, diagnosis in sorted(found, key=lambda pair: pair[0]))


_CONFIDENCES: tuple[Confidence, ...] = ("certain", "likely", "possible")


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a rule found. `count`: the requests that it explains."""

    confidence: Confidence
    evidence: str
    count: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)


_Look = Callable[[Observations], _Finding | None]


def _ended(*outcomes: Outcome, confidence: Confidence = "certain") -> _Look:
    """Fires when any request ended so."""

    def look(seen: Observations) -> _Finding | None:
        count = seen.count(*outcomes)
        return _Finding(confidence, seen.sample(*outcomes), count) if count else None

    return look


# The server's certificate. OpenSSL names the first fault that it meets; the certificate itself,
# seen in the server's announcement, may have more.

_UNTRUSTED = (
    Outcome.SERVER_CERTIFICATE_EXPIRED,
    Outcome.SERVER_CERTIFICATE_NOT_YET_VALID,
    Outcome.SERVER_CERTIFICATE_WRONG_NAME,
    Outcome.SERVER_CERTIFICATE_SELF_SIGNED,
    Outcome.SERVER_CERTIFICATE_UNKNOWN_CA,
    Outcome.SERVER_CERTIFICATE_INVALID,
)


def _server_certificate(
    outcome: Outcome, also: Callable[[Identity, Observations], bool] = lambda server, seen: False
) -> _Look:
    """Fires when verification failed so, or failed otherwise and the certificate has it `also`."""

    def look(seen: Observations) -> _Finding | None:
        count, server = seen.count(outcome), seen.server
        if not count and server is not None and also(server, seen):
            count = seen.count(*_UNTRUSTED)
        if not count:
            return None
        evidence = seen.sample(outcome, *_UNTRUSTED)
        facts = {"names": "?", "issuer": "?", "not_before": "?", "not_after": "?"}
        if server is not None:
            facts = {
                "names": ", ".join(server.names) or "no name at all",
                "issuer": server.issuer,
                "not_before": f"{server.not_before:%Y-%m-%d %H:%M} UTC",
                "not_after": f"{server.not_after:%Y-%m-%d %H:%M} UTC",
            }
            evidence += (
                f"; certificate for {facts['names']}, issued by {facts['issuer']}, "
                f"valid {facts['not_before']} to {facts['not_after']}"
            )
        return _Finding("certain", evidence, count, facts)

    return look


# The client's certificate. Its refusal may be silent, and so may be a balancer without backends.

_SILENT = (Outcome.CLOSED_WITHOUT_ANSWER, Outcome.RESET_WITHOUT_ANSWER)
_TOLD = (
    Outcome.CLIENT_CERTIFICATE_MISSING,
    Outcome.CLIENT_CERTIFICATE_EXPIRED,
    Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA,
    Outcome.CLIENT_CERTIFICATE_REFUSED,
)


def _not_asked(seen: Observations) -> bool:
    """The server does not even ask for a certificate: it is not for that that it closes."""
    return seen.announcement is not None and not seen.announcement.certificate_asked


def _turned_away(seen: Observations) -> int:
    """How many requests may have failed for the client's certificate: told so, or in silence.

    None if the same certificate was good enough for another request.
    """
    if seen.tally.ok:
        return 0
    return seen.count(*_TOLD) + (0 if _not_asked(seen) else seen.count(*_SILENT))


def _outdated(seen: Observations) -> bool:
    client = seen.client
    return client is not None and not client.not_before <= seen.now <= client.not_after


def _foreign(seen: Observations) -> bool:
    """The server names the CAs that it accepts, and the certificate's issuer is none of them.

    Not certain: the names may be of a root, and the issuer an intermediate under it.
    """
    client, announcement = seen.client, seen.announcement
    if client is None or announcement is None or not announcement.accepted_cas:
        return False
    return client.issuer_der not in announcement.accepted_cas


def _client_certificate_expired(seen: Observations) -> _Finding | None:
    outcome, client = Outcome.CLIENT_CERTIFICATE_EXPIRED, seen.client
    told, suspected = seen.count(outcome), _turned_away(seen)
    facts = {"not_after": f"{client.not_after:%Y-%m-%d %H:%M} UTC" if client else "?"}
    if suspected and client and client.not_after < seen.now:
        evidence = f"it ended {facts['not_after']}; {seen.sample(*_TOLD, *_SILENT)}"
        return _Finding("certain", evidence, suspected, facts)
    return _Finding("likely", seen.sample(outcome), told, facts) if told else None


def _client_certificate_not_yet_valid(seen: Observations) -> _Finding | None:
    suspected, client = _turned_away(seen), seen.client
    if not suspected or not client or client.not_before <= seen.now:
        return None
    begins = f"{client.not_before:%Y-%m-%d %H:%M} UTC"
    evidence = f"it begins {begins}; {seen.sample(*_TOLD, *_SILENT)}"
    return _Finding("certain", evidence, suspected, {"not_before": begins})


def _client_certificate_unknown_ca(seen: Observations) -> _Finding | None:
    told = seen.count(Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA)
    foreign = _foreign(seen)
    suspected = _turned_away(seen) if foreign and not _outdated(seen) else 0
    if not told and not suspected:
        return None
    accepted = ", ".join(map(ca_name, seen.announcement.accepted_cas)) if seen.announcement else ""
    facts = {"issuer": seen.client.issuer if seen.client else "?", "accepted": accepted or "?"}
    evidence = seen.sample(Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA, *_TOLD, *_SILENT)
    if foreign:
        evidence += f"; issued by {facts['issuer']}, accepted are: {accepted}"
    return _Finding("certain" if told else "likely", evidence, told or suspected, facts)


def _client_certificate_missing(seen: Observations) -> _Finding | None:
    told, suspected = seen.count(Outcome.CLIENT_CERTIFICATE_MISSING), _turned_away(seen)
    if seen.client is not None or not (told or suspected):
        return None
    if told:
        return _Finding("certain", seen.sample(Outcome.CLIENT_CERTIFICATE_MISSING), told)
    evidence = seen.sample(*_TOLD, *_SILENT)
    if seen.announcement:
        return _Finding("likely", f"the server asks for one; {evidence}", suspected)
    return _Finding("possible", evidence, suspected)


def _client_certificate_refused(seen: Observations) -> _Finding | None:
    """What remains when neither date nor CA explains it."""
    explained = not seen.tally.ok and (_outdated(seen) or _foreign(seen))
    told_so = [Outcome.CLIENT_CERTIFICATE_REFUSED]
    if seen.client is not None:
        told_so.append(Outcome.CLIENT_CERTIFICATE_MISSING)
    if (told := seen.count(*told_so)) and not explained:
        return _Finding("certain", seen.sample(*told_so), told)
    suspected = _turned_away(seen) and seen.count(*_SILENT)
    if explained or not suspected or seen.client is None or _all_abnormal(seen):
        return None
    if seen.health:
        evidence = f"not every backend is down; {seen.sample(*_SILENT)}"
        return _Finding("likely", evidence, suspected)
    return _Finding("possible", seen.sample(*_SILENT), suspected)


# Backends


def _all_abnormal(seen: Observations) -> bool:
    return bool(seen.health) and len(seen.abnormal()) == len(seen.health)


def _health_text(health: tuple[Health, ...]) -> str:
    return ", ".join(
        f"{one.server}: {one.status}" + (f" ({one.reason})" if one.reason else "") for one in health
    )


def _all_backends_down(seen: Observations) -> _Finding | None:
    if seen.tally.ok:
        return None
    silent = seen.count(*_SILENT)
    answerless = silent + seen.count(Outcome.FIRST_BYTE_TIMEOUT, Outcome.HTTP_5XX)
    facts = {"health": _health_text(seen.health) or "?"}
    if answerless and _all_abnormal(seen):
        return _Finding("certain", f"health: {facts['health']}", answerless, facts)
    if not silent:
        return None
    if _not_asked(seen):
        evidence = f"no client certificate is asked for; {seen.sample(*_SILENT)}"
        return _Finding("possible" if seen.health else "likely", evidence, silent, facts)
    if seen.health or _outdated(seen) or _foreign(seen):
        return None
    spoken = next((found for found in seen.refusals if found.alert), None)
    if spoken:
        evidence = f"strangers are refused in words ({spoken.evidence}), and this was silent"
        return _Finding("likely", evidence, silent, facts)
    return _Finding("possible", seen.sample(*_SILENT), silent, facts)


_BAD_ANSWERS = (
    Outcome.REDIRECT,
    Outcome.HTTP_4XX,
    Outcome.HTTP_5XX,
    Outcome.HTTP_OTHER,
    Outcome.ANSWER_EMPTY,
    Outcome.ANSWER_CUT,
    Outcome.ANSWER_TOO_LARGE,
    Outcome.NOT_HTTP,
    Outcome.FIRST_BYTE_TIMEOUT,
    Outcome.WHOLE_TIMEOUT,
)
"""What a backend that is alive may do wrong."""


def _answered(*outcomes: Outcome, confidence: Confidence = "certain") -> _Look:
    """Fires when any request ended so; adds which backends gave no good answer, if others did."""
    ended = _ended(*outcomes, confidence=confidence)

    def look(seen: Observations) -> _Finding | None:
        found = ended(seen)
        if found is None or not seen.tally.ok or not seen.missing():
            return found
        missing = ", ".join(seen.missing())
        return replace(found, evidence=f"{found.evidence}; no good answer came from {missing}")

    return look


def _backend_down(seen: Observations) -> _Finding | None:
    missing, ok = seen.missing(), seen.tally.ok
    if not missing or not ok:
        return None
    facts = {"backends": ", ".join(missing)}
    sick = tuple(health for health in seen.abnormal() if health.server in missing)
    failed = seen.count(*_SILENT)
    if sick:
        evidence = f"health: {_health_text(sick)}"
        return _Finding("certain", evidence, failed, facts)
    shares = expected_shares(seen.weights)
    chance = max((1 - shares[name]) ** ok for name in missing)
    evidence = f"none of {ok} answers; by chance in {chance:.2g} of all runs"
    alive = _strange_pages(seen) or seen.count(*_BAD_ANSWERS)
    if alive or chance > 0.001:
        return _Finding("possible", evidence, failed, facts)
    return _Finding("likely", evidence, failed, facts)


def _connections_dropped(seen: Observations) -> _Finding | None:
    count = seen.count(*_SILENT)
    if not count or not seen.tally.ok:
        return None
    return _Finding("likely", seen.sample(*_SILENT), count)


def _strange_pages(seen: Observations) -> dict[str, int]:
    if not seen.weights:
        return {}
    found = seen.tally.backends.items()
    return {name: count for name, count in found if name not in seen.weights}


def _another_page(seen: Observations) -> _Finding | None:
    pages = _strange_pages(seen)
    if not pages:
        return None
    most = sorted(pages, key=lambda name: -pages[name])[:5]
    evidence = ", ".join(f"{pages[name]} × {name}" for name in most)
    return _Finding("certain", evidence, sum(pages.values()), {"pages": ", ".join(most)})


def _health_abnormal(seen: Observations) -> _Finding | None:
    told = set(seen.missing()) if seen.tally.ok else set()
    if _all_backends_down(seen):
        return None
    sick = tuple(health for health in seen.abnormal() if health.server not in told)
    if not sick:
        return None
    text = _health_text(sick)
    return _Finding("certain", text, 0, {"health": text})


# Strangers


def _let_in(name: str) -> _Look:
    """Fires when that stranger was not refused."""

    def look(seen: Observations) -> _Finding | None:
        for found in seen.refusals:
            if found.name == name and found.refused is False:
                return _Finding("certain", found.evidence)
        return None

    return look


def _any_ca_accepted(seen: Observations) -> _Finding | None:
    # Whoever lets in everybody without a certificate need not be told about other certificates.
    if seen.refused("no_certificate") is False:
        return None
    return _let_in("unknown_ca")(seen)


def _refusal_untried(seen: Observations) -> _Finding | None:
    untried = [found for found in seen.refusals if found.refused is None]
    if not untried or not seen.tally.ok:
        return None
    names = ", ".join(found.name for found in untried)
    return _Finding("certain", untried[0].evidence, 0, {"strangers": names})


# Warnings

SLOW_P50_MS = 800.0
"""What people notice as slow. Three round trips to another continent stay below it."""
SLOW_P95_MS = 900.0
"""One backend of twenty that is slow; less may be a lost packet, which costs a second as well."""


def _slow(seen: Observations) -> _Finding | None:
    p50, p95 = (seen.tally.latency.percentile_s(share) for share in (0.50, 0.95))
    if p50 is None or p95 is None:
        return None
    p50_ms, p95_ms = p50 * 1000, p95 * 1000
    some = p95_ms >= SLOW_P95_MS and p95_ms >= 5 * p50_ms
    if p50_ms < SLOW_P50_MS and not some:
        return None
    facts = {"p50": f"{p50_ms:.0f}", "p95": f"{p95_ms:.0f}"}
    return _Finding("certain", f"p50 {p50_ms:.0f} ms, p95 {p95_ms:.0f} ms", 0, facts)


def _uneven(seen: Observations) -> _Finding | None:
    if seen.missing() or _strange_pages(seen):
        return None  # the shares of the others are off for that reason
    ok, backends = seen.tally.ok, seen.tally.backends
    off = [
        f"{name} {backends.get(name, 0) / ok:.1%} instead of {share:.1%}"
        for name, share in expected_shares(seen.weights).items()
        if ok and not within_chance(backends.get(name, 0), ok, share)
    ]
    if not off:
        return None
    return _Finding("certain", ", ".join(off), 0, {"shares": ", ".join(off)})


def _ca_names_not_announced(seen: Observations) -> _Finding | None:
    announcement = seen.announcement
    if announcement is None or not announcement.certificate_asked or announcement.accepted_cas:
        return None
    return _Finding("certain", "CertificateRequest without certificate_authorities")


@dataclass(frozen=True, slots=True)
class Rule:
    """One cause: its code, what it does to the verdict, and what to look for."""

    code: str
    severity: Severity
    look: _Look


RULES: tuple[Rule, ...] = (
    # reaching it
    Rule("name-not-resolving", "error", _ended(Outcome.NAME_NOT_RESOLVING)),
    Rule("port-closed", "error", _ended(Outcome.CONNECT_REFUSED)),
    Rule("port-filtered", "error", _ended(Outcome.CONNECT_TIMEOUT, confidence="likely")),
    Rule("unreachable", "error", _ended(Outcome.UNREACHABLE)),
    Rule("no-socket", "error", _ended(Outcome.NO_SOCKET)),
    # speaking TLS with it
    Rule("not-tls", "error", _ended(Outcome.NOT_TLS)),
    Rule("tls-version", "error", _ended(Outcome.TLS_VERSION)),
    Rule("tls-cipher", "error", _ended(Outcome.TLS_CIPHER)),
    Rule("stalled", "error", _ended(Outcome.HANDSHAKE_TIMEOUT)),
    Rule("handshake-cut", "error", _ended(Outcome.HANDSHAKE_CLOSED, confidence="likely")),
    Rule("handshake-reset", "error", _ended(Outcome.HANDSHAKE_RESET, confidence="likely")),
    Rule("handshake-failed", "error", _ended(Outcome.HANDSHAKE_FAILED, confidence="likely")),
    # trusting it
    Rule(
        "server-certificate-expired",
        "error",
        _server_certificate(
            Outcome.SERVER_CERTIFICATE_EXPIRED, lambda server, seen: server.not_after < seen.now
        ),
    ),
    Rule(
        "server-certificate-not-yet-valid",
        "error",
        _server_certificate(
            Outcome.SERVER_CERTIFICATE_NOT_YET_VALID,
            lambda server, seen: server.not_before > seen.now,
        ),
    ),
    Rule(
        "server-certificate-wrong-name",
        "error",
        _server_certificate(
            Outcome.SERVER_CERTIFICATE_WRONG_NAME, lambda server, seen: not server.is_for(seen.name)
        ),
    ),
    Rule(
        "server-certificate-self-signed",
        "error",
        _server_certificate(Outcome.SERVER_CERTIFICATE_SELF_SIGNED),
    ),
    Rule(
        "server-certificate-unknown-ca",
        "error",
        _server_certificate(Outcome.SERVER_CERTIFICATE_UNKNOWN_CA),
    ),
    Rule(
        "server-certificate-invalid",
        "error",
        _server_certificate(Outcome.SERVER_CERTIFICATE_INVALID),
    ),
    # being trusted by it
    Rule("client-certificate-expired", "error", _client_certificate_expired),
    Rule("client-certificate-not-yet-valid", "error", _client_certificate_not_yet_valid),
    Rule("client-certificate-unknown-ca", "error", _client_certificate_unknown_ca),
    Rule("client-certificate-revoked", "error", _ended(Outcome.CLIENT_CERTIFICATE_REVOKED)),
    Rule("client-certificate-missing", "error", _client_certificate_missing),
    Rule("client-key-mismatch", "error", _ended(Outcome.CLIENT_SIGNATURE_REFUSED)),
    Rule("client-certificate-refused", "error", _client_certificate_refused),
    # strangers being kept out by it
    Rule("mutual-authentication-not-enforced", "error", _let_in("no_certificate")),
    Rule("any-ca-accepted", "error", _any_ca_accepted),
    Rule("plain-http-served", "error", _let_in("plain_http")),
    Rule("refusal-untried", "error", _refusal_untried),
    # what stands behind it
    Rule("all-backends-down", "error", _all_backends_down),
    Rule("backend-down", "error", _backend_down),
    Rule("connections-dropped", "error", _connections_dropped),
    Rule("backend-silent", "error", _answered(Outcome.FIRST_BYTE_TIMEOUT, confidence="likely")),
    Rule("answer-stalled", "error", _answered(Outcome.WHOLE_TIMEOUT)),
    Rule(
        "backend-error",
        "error",
        _answered(Outcome.HTTP_5XX, Outcome.HTTP_4XX, Outcome.HTTP_OTHER),
    ),
    Rule("redirect", "error", _answered(Outcome.REDIRECT)),
    Rule("answer-empty", "error", _answered(Outcome.ANSWER_EMPTY)),
    Rule("answer-cut", "error", _answered(Outcome.ANSWER_CUT)),
    Rule("answer-too-large", "error", _answered(Outcome.ANSWER_TOO_LARGE)),
    Rule("not-http", "error", _answered(Outcome.NOT_HTTP)),
    Rule("another-page", "error", _another_page),
    Rule("health-abnormal", "error", _health_abnormal),
    # no faults, but worth knowing
    Rule("slow", "warning", _slow),
    Rule("uneven", "warning", _uneven),
    Rule("ca-names-not-announced", "warning", _ca_names_not_announced),
)
