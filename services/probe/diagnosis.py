"""From observations to causes: one table of rules that a person can read from top to bottom.

A rule (`services.probe.rules`) looks at all observations and finds something or nothing. Here is
what they are called, what they look at, how grave each is, and which of the others are then mere
consequences; and how the most probable cause comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.probe.observations import Observations
from services.probe.outcome import Outcome
from services.probe.rules import (
    advice,
    backends,
    client_certificate,
    dates,
    reaching,
    server_certificate,
    strangers,
    unproven,
)
from services.probe.rules.backends import answered
from services.probe.rules.finding import CONFIDENCES, Confidence, Finding, Look, Severity, ended


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause, as words in the catalogue: `probe.diagnosis.<code>.cause` and `.remedy`."""

    code: str
    severity: Severity
    confidence: Confidence
    evidence: str
    facts: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """Sentences that the cause goes on with: `probe.note.<name>`."""

    def cause(self) -> str:
        from services.text import say

        first = say(f"probe.diagnosis.{self.code}.cause", **self.facts)
        return " ".join((first, *(say(f"probe.note.{name}", **self.facts) for name in self.notes)))

    def remedy(self) -> str:
        from services.text import say

        return say(f"probe.diagnosis.{self.code}.remedy", **self.facts)


@dataclass(frozen=True, slots=True)
class Rule:
    """One cause."""

    code: str
    severity: Severity
    """What it does to the verdict."""
    looks_at: str
    look: Look
    explains: frozenset[str] = frozenset()
    """The codes of what follows from it, and need not be told besides."""


def diagnose(seen: Observations) -> tuple[Diagnosis, ...]:
    """Every cause that the observations point to: errors first, the most probable first.

    Where nobody is served, what explains that comes before what does not. Of one and the same
    confidence the cause of more failures comes first, then the one that is higher in the table.
    What another cause explains is left out, unless that one is a mere
    possibility, or is about other backends.
    """
    found = [(rule, finding) for rule in RULES if (finding := rule.look(seen)) is not None]
    told = [(rule, finding) for rule, finding in found if not _explained(rule, finding, found)]
    if any(_severity(rule, finding) == "error" for rule, finding in told if rule is not _FALLBACK):
        told = [(rule, finding) for rule, finding in told if rule is not _FALLBACK]
    # Python sorts stably: what is equal stays in the table's order.
    told.sort(
        key=lambda pair: (
            _severity(*pair) == "warning",
            not seen.tally.ok and not seen.count(*pair[1].outcomes),
            CONFIDENCES.index(pair[1].confidence),
            -seen.count(*pair[1].outcomes),
        )
    )
    return tuple(_diagnosis(rule, finding, seen) for rule, finding in told)


def _severity(rule: Rule, finding: Finding) -> Severity:
    return finding.severity or rule.severity


def _explained(rule: Rule, symptom: Finding, found: list[tuple[Rule, Finding]]) -> bool:
    return any(
        other is not rule
        and rule.code in other.explains
        and cause.explains
        and (cause.confidence != "possible" or symptom.confidence == "possible")
        # A cause in some backends does not explain what ails the others.
        and (not cause.backends or (symptom.backends or cause.backends) <= cause.backends)
        for other, cause in found
    )


def _diagnosis(rule: Rule, finding: Finding, seen: Observations) -> Diagnosis:
    count = seen.count(*finding.outcomes)
    facts = {
        "endpoint": seen.endpoint,
        "name": seen.name,
        "requests": str(seen.tally.requests),
        "ok": str(seen.tally.ok),
        "count": str(count),
        **finding.facts,
    }
    notes, evidence = list(finding.notes), finding.evidence
    at, addresses = _where(seen, finding.outcomes)
    if at:
        which = f"{len(at)} of {addresses} addresses"
        facts |= {"some_addresses": which, "which_addresses": ", ".join(at)}
        notes.append("some-addresses")
        evidence = f"{evidence}; at {which}: {', '.join(at)}"
    whose = _whose(seen, finding.outcomes)
    if whose:
        facts["which_backends"] = ", ".join(whose)
        notes.append("some-backends")
        counts = ", ".join(f"{name} {count}" for name, count in whose.items())
        evidence = f"{evidence}; failed answers by backend: {counts}"
    return Diagnosis(
        rule.code, _severity(rule, finding), finding.confidence, evidence, facts, tuple(notes)
    )


def _where(seen: Observations, outcomes: tuple[Outcome, ...]) -> tuple[list[str], int]:
    """The addresses at which requests ended so, where it is not all of them; and how many
    addresses there are."""
    addresses = seen.tally.addresses
    at = [
        address
        for address, counts in addresses.items()
        if any(counts.get(outcome.value) for outcome in outcomes)
    ]
    return (at, len(addresses)) if len(at) < len(addresses) else ([], len(addresses))


def _whose(seen: Observations, outcomes: tuple[Outcome, ...]) -> dict[str, int]:
    """Whose answers ended so, and how many, where the answers say it and others were well."""
    counts = {
        name: sum(found.get(outcome.value, 0) for outcome in outcomes)
        for name, found in seen.tally.failures_by_backend.items()
    }
    whose = {name: count for name, count in sorted(counts.items()) if count}
    return whose if seen.tally.ok else {}


_UNHEARD = frozenset({"backend-silent", "connections-dropped", "client-certificate-refused"})
"""What backends that cannot be reached look like from outside."""
_UNHEALTHY = _UNHEARD | {"all-backends-down", "backend-down", "one-backend", "health-abnormal"}

# fmt: off
RULES: tuple[Rule, ...] = (
    # the clocks, by which all dates are judged
    Rule("clock-skew", "error", "Date of answers and of the cloud's API", dates.clock_skew,
         frozenset({"server-certificate-expired", "server-certificate-not-yet-valid",
                    "client-certificate-expired", "client-certificate-not-yet-valid"})),
    # finding it
    Rule("name-not-resolving", "error", "DNS", reaching.name_not_resolving),
    Rule("name-points-elsewhere", "error", "DNS", reaching.name_points_elsewhere),
    # connecting to it
    Rule("listener-absent", "error", "API", reaching.listener_absent,
         _UNHEALTHY | {"port-closed", "port-filtered", "stalled", "handshake-cut",
                       "handshake-reset"}),
    Rule("listener-stopped", "error", "API", reaching.listener_stopped,
         _UNHEALTHY | {"port-closed", "port-filtered", "stalled", "handshake-cut",
                       "handshake-reset"}),
    Rule("port-closed", "error", "TCP", ended(Outcome.CONNECT_REFUSED)),
    Rule("port-filtered", "error", "TCP", ended(Outcome.CONNECT_TIMEOUT, confidence="likely")),
    Rule("unreachable", "error", "TCP", ended(Outcome.UNREACHABLE)),
    Rule("no-socket", "error", "this computer", ended(Outcome.NO_SOCKET)),
    # speaking TLS with it
    Rule("another-protocol", "error", "the first bytes", reaching.another_protocol),
    Rule("not-tls", "error", "the first bytes, API", reaching.not_tls),
    Rule("tls-version", "error", "TLS", reaching.tls_version,
         frozenset({"tls-cipher", "old-tls-accepted"})),
    Rule("tls-cipher", "error", "TLS, API", reaching.tls_cipher),
    Rule("stalled", "error", "TLS", ended(Outcome.HANDSHAKE_TIMEOUT)),
    Rule("handshake-cut", "error", "TLS", reaching.handshake_cut),
    Rule("handshake-reset", "error", "TLS", reaching.handshake_reset),
    Rule("handshake-failed", "error", "TLS", ended(Outcome.HANDSHAKE_FAILED, confidence="likely")),
    # trusting it: first what is wrong with the certificate, then with its CA
    Rule("server-certificate-expired", "error", "chain, trust file",
         server_certificate.server_certificate(Outcome.SERVER_CERTIFICATE_EXPIRED, "expired")),
    Rule("server-certificate-not-yet-valid", "error", "chain, trust file",
         server_certificate.server_certificate(
             Outcome.SERVER_CERTIFICATE_NOT_YET_VALID, "not-yet-valid")),
    Rule("server-certificate-without-name", "error", "chain", server_certificate.without_name,
         frozenset({"server-certificate-wrong-name"})),
    Rule("server-certificate-wrong-name", "error", "chain, name", server_certificate.wrong_name),
    Rule("server-certificate-wrong-usage", "error", "chain, trust file",
         server_certificate.server_certificate(
             Outcome.SERVER_CERTIFICATE_WRONG_USAGE, *server_certificate.WRONG_USAGE)),
    Rule("server-certificate-weak", "error", "chain, trust file",
         server_certificate.server_certificate(
             Outcome.SERVER_CERTIFICATE_WEAK, *server_certificate.WEAK)),
    Rule("server-certificate-self-signed", "error", "chain, trust file",
         server_certificate.self_signed),
    Rule("server-certificate-namesake-ca", "error", "chain, trust file",
         server_certificate.server_certificate(
             Outcome.SERVER_CERTIFICATE_NAMESAKE_CA, "same-name-ca")),
    Rule("server-certificate-without-intermediate", "error", "chain, trust file",
         server_certificate.without_intermediate, frozenset({"server-certificate-unknown-ca"})),
    Rule("server-certificate-unknown-ca", "error", "chain, trust file",
         server_certificate.unknown_ca),
    Rule("server-certificate-invalid", "error", "chain, trust file", server_certificate.invalid),
    # being trusted by it
    Rule("client-key-mismatch", "error", "files, alerts", client_certificate.key_mismatch),
    Rule("client-certificate-expired", "error", "files, alerts", client_certificate.expired),
    Rule("client-certificate-not-yet-valid", "error", "files", client_certificate.not_yet_valid),
    Rule("client-certificate-wrong-usage", "error", "files, alerts",
         client_certificate.wrong_usage),
    Rule("client-certificate-weak", "error", "files", client_certificate.weak),
    Rule("client-certificate-namesake-ca", "error", "files, alerts, accepted CAs",
         client_certificate.namesake_ca),
    Rule("client-certificate-unknown-ca", "error", "files, alerts, accepted CAs, API",
         client_certificate.unknown_ca),
    Rule("client-certificate-revoked", "error", "alerts", client_certificate.revoked),
    Rule("client-certificate-missing", "error", "files, alerts", client_certificate.missing),
    Rule("client-certificate-refused", "error", "alerts, health, backends themselves",
         client_certificate.refused),
    # strangers being kept out by it
    Rule("mutual-authentication-not-enforced", "error", "strangers, TLS, API",
         strangers.not_enforced,
         frozenset({"any-ca-accepted", "expired-certificate-accepted", "wrong-usage-accepted",
                    "server-certificate-accepted", "old-tls-accepted"})),
    Rule("mutual-authentication-optional", "error", "strangers, TLS", strangers.optional),
    Rule("any-ca-accepted", "error", "strangers", strangers.any_ca_accepted,
         frozenset({"expired-certificate-accepted", "wrong-usage-accepted",
                    "server-certificate-accepted"})),
    Rule("expired-certificate-accepted", "error", "strangers, files", strangers.expired_accepted),
    Rule("wrong-usage-accepted", "error", "strangers, files", strangers.wrong_usage_accepted,
         frozenset({"server-certificate-accepted"})),
    Rule("server-certificate-accepted", "error", "strangers",
         strangers.let_in("server_certificate")),
    Rule("old-tls-accepted", "error", "strangers", strangers.let_in("tls_1_0", "tls_1_1")),
    Rule("plain-http-served", "error", "strangers", strangers.let_in("plain_http")),
    Rule("refusal-untried", "error", "strangers", strangers.refusal_untried),
    # what stands behind it: first what keeps the balancer from its backends
    Rule("security-group-closed", "error", "security groups, health, answers",
         backends.security_group_closed, _UNHEALTHY),
    Rule("no-backends", "error", "server group", backends.no_backends, _UNHEALTHY),
    Rule("proxy-header", "error", "API, answers", backends.proxy_header,
         _UNHEALTHY | {"backend-error", "not-http"}),
    Rule("all-backends-down", "error", "health, backends themselves, silence",
         backends.all_backends_down, _UNHEALTHY | {"backend-error"}),
    Rule("backend-down", "error", "answers, health, backends themselves", backends.backend_down,
         frozenset({"health-abnormal", "connections-dropped", "backend-silent"})),
    Rule("one-backend", "error", "answers, health", backends.one_backend),
    Rule("health-abnormal", "error", "health", backends.health_abnormal),
    Rule("connections-dropped", "error", "answers", backends.connections_dropped),
    Rule("backend-silent", "error", "answers, backends themselves", backends.backend_silent),
    Rule("answer-stalled", "error", "answers", answered(Outcome.WHOLE_TIMEOUT)),
    Rule("backend-error", "error", "answers",
         answered(Outcome.HTTP_5XX, Outcome.HTTP_4XX, Outcome.HTTP_OTHER)),
    Rule("redirect", "error", "answers", answered(Outcome.REDIRECT)),
    Rule("answer-empty", "error", "answers", answered(Outcome.ANSWER_EMPTY)),
    Rule("answer-cut", "error", "answers, API", backends.answer_cut),
    Rule("answer-too-large", "error", "answers", answered(Outcome.ANSWER_TOO_LARGE)),
    Rule("not-http", "error", "answers", answered(Outcome.NOT_HTTP)),
    Rule("another-page", "error", "answers", backends.another_page),
    Rule("too-few-requests", "error", "answers", backends.too_few_requests),
    # when nothing above tells what is wrong
    Rule("cannot-tell", "error", "everything", unproven.unproven),
    # no faults, but worth knowing
    Rule("slow", "warning", "latencies", backends.slow),
    Rule("uneven", "warning", "answers, weights", backends.uneven),
    Rule("certificate-ends-soon", "warning", "chain, files", dates.certificate_ends_soon),
    Rule("ca-names-not-announced", "warning", "TLS", advice.ca_names_not_announced),
)
# fmt: on

_FALLBACK = next(rule for rule in RULES if rule.code == "cannot-tell")
