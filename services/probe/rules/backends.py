"""What stands behind the endpoint: the backends, by their answers, their health, and themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.probe.observations import Health, Member, Observations
from services.probe.outcome import ANSWERED, Outcome
from services.probe.rules import silence
from services.probe.rules.directly import all_abnormal, none_answers, some_answer
from services.probe.rules.finding import Confidence, Finding, Look, ended
from services.probe.rules.silence import SILENT, TOLD
from services.probe.strangers import OLD_TLS
from services.probe.tally import expected_shares, within_chance

ANSWERLESS = (*SILENT, Outcome.FIRST_BYTE_TIMEOUT)
BAD_ANSWERS = (*(ANSWERED - {Outcome.OK}), Outcome.FIRST_BYTE_TIMEOUT)
"""What a backend that is alive may do wrong."""

CHANCE = 0.001
"""What may be chance once in a thousand runs is not called a fault."""


def health_text(health: tuple[Health, ...]) -> str:
    return ", ".join(
        f"{one.server}: {one.status}" + (f" ({one.reason})" if one.reason else "") for one in health
    )


def _asked_itself(seen: Observations, names: tuple[str, ...]) -> str:
    """What backends said when they were asked by themselves, for evidence."""
    known = [
        f"{name} itself: {seen.direct[name].evidence}" for name in names if name in seen.direct
    ]
    return "; ".join(known)


def _with(evidence: str, *more: str) -> str:
    return "; ".join(filter(None, (evidence, *more)))


def security_group_closed(seen: Observations) -> Finding | None:
    """A backend's security group keeps the balancer out, and it shows.

    A closed group without a symptom is none: the rules may name prefix lists or other groups,
    which cannot be looked into from here.
    """
    members = (seen.listener.members if seen.listener else None) or ()
    sick = {each.server for each in seen.abnormal()}
    expected = expected_shares(seen.weights)
    silent = bool(seen.count(*ANSWERLESS))

    def suffers(member: Member) -> bool:
        unheard = member.name not in seen.tally.backends
        return member.name in sick or (unheard and (silent or member.name in expected))

    closed = [each for each in members if each.weight and each.closed_to and suffers(each)]
    if not closed:
        return None
    names = tuple(each.name for each in closed)
    groups = sorted({group for each in closed for group in each.security_groups})
    sources = sorted({source for each in closed for source in each.closed_to})
    ports = sorted({str(each.port) for each in closed})
    facts = {
        "backends": ", ".join(names),
        "groups": ", ".join(groups),
        "sources": ", ".join(sources),
        "ports": ", ".join(ports),
    }
    evidence = f"{facts['groups']} lets none of {facts['sources']} in on TCP {facts['ports']}"
    health = health_text(tuple(each for each in seen.abnormal() if each.server in names))
    return Finding(
        "certain",
        _with(evidence, health and f"health: {health}", _asked_itself(seen, names)),
        ANSWERLESS if seen.count(*ANSWERLESS) else (),
        facts,
        backends=frozenset(names),
    )


def no_backends(seen: Observations) -> Finding | None:
    """The server group is empty, or nobody in it has any weight."""
    members = seen.listener.members if seen.listener else None
    if members is None or any(each.weight for each in members):
        return None
    evidence = ", ".join(f"{each.name}: weight 0" for each in members) or "no member"
    return Finding("certain", evidence, ANSWERLESS if seen.count(*ANSWERLESS) else ())


def all_backends_down(seen: Observations) -> Finding | None:
    """Nobody is served, and it is the backends: by their health, or because the client's
    certificate cannot be what the silence is about."""
    if seen.tally.ok:
        return None
    answerless = (*ANSWERLESS, Outcome.HTTP_5XX)
    facts = {"health": health_text(seen.health)}
    directly = _asked_itself(seen, tuple(seen.direct))
    if seen.count(*answerless) and (all_abnormal(seen) or none_answers(seen)):
        if all_abnormal(seen) and some_answer(seen):
            return None  # they are well, and the balancer does not find them so
        health = f"health: {facts['health']}" if seen.health else ""
        notes = ("health",) if seen.health else ()
        return Finding("certain", _with(health, directly), answerless, facts, notes)
    quiet = silence.silent(seen)
    if not quiet or seen.count(*TOLD):
        return None
    sample = seen.sample(*quiet)
    healthy = bool(seen.health) or some_answer(seen)
    if silence.not_asked(seen):
        confidence: Confidence = "possible" if healthy else "likely"
        return Finding(confidence, f"no client certificate is asked for; {sample}", quiet, facts)
    if healthy or silence.outdated(seen) or silence.foreign(seen) or seen.files.client:
        return None
    told = (found for found in seen.refusals if found.alert and found.name not in OLD_TLS)
    spoken = next(told, None)
    if spoken:
        evidence = f"strangers are refused in words ({spoken.evidence}), and this was silent"
        return Finding("likely", evidence, quiet, facts)
    if silence.acceptable(seen):
        evidence = f"the client's certificate is of a CA that is accepted; {sample}"
        return Finding("likely", evidence, quiet, facts)
    return None


def backend_down(seen: Observations) -> Finding | None:
    """Some backends gave no answer, and are not well."""
    missing, ok = seen.missing(), seen.tally.ok
    if not missing or not ok:
        return None
    down = tuple(
        name for name in missing if not _well_by_itself(seen, name) and not _healthy(seen, name)
    )
    if not down or too_few_requests(seen) is not None:
        return None
    facts = {"backends": ", ".join(down)}
    sick = tuple(health for health in seen.abnormal() if health.server in down)
    directly = _asked_itself(seen, down)
    told = SILENT if seen.count(*SILENT) else ()
    about = frozenset(down)
    if directly or sick:
        confidence: Confidence = "certain" if directly else "likely"
        health = f"health: {health_text(sick)}" if sick else ""
        return Finding(confidence, _with(health, directly), told, facts, backends=about)
    evidence = f"none of {ok} answers; by chance in {_chance(seen, down):.2g} of all runs"
    alive = strange_pages(seen) or seen.count(*BAD_ANSWERS)
    return Finding("possible" if alive else "likely", evidence, told, facts, backends=about)


def one_backend(seen: Observations) -> Finding | None:
    """Backends that are healthy are never asked."""
    missing, ok = seen.missing(), seen.tally.ok
    if not missing or not ok or seen.tally.failed or strange_pages(seen):
        return None
    healthy = tuple(
        name for name in missing if _healthy(seen, name) and not _ill_by_itself(seen, name)
    )
    if not healthy or too_few_requests(seen) is not None:
        return None
    answering = ", ".join(sorted(seen.tally.backends))
    facts = {"backends": ", ".join(healthy), "answering": answering}
    evidence = _with(
        f"{ok} of {ok} answers from {answering}; "
        f"health: {', '.join(f'{name}: Normal' for name in healthy)}",
        _asked_itself(seen, healthy),
    )
    return Finding("certain", evidence, facts=facts, backends=frozenset(healthy))


def too_few_requests(seen: Observations) -> Finding | None:
    """A backend that is well as far as is known was not seen, which may be chance."""
    missing = seen.missing()
    unseen = tuple(
        name for name in missing if not _sick(seen, name) and not _ill_by_itself(seen, name)
    )
    ok, failed = seen.tally.ok, seen.tally.failed
    if not unseen or not ok or failed or strange_pages(seen) or _chance(seen, unseen) <= CHANCE:
        return None
    evidence = f"{ok} answers; by chance in {_chance(seen, unseen):.2g} of all runs"
    return Finding("certain", evidence, facts={"backends": ", ".join(unseen)})


def _chance(seen: Observations, names: tuple[str, ...]) -> float:
    """How probable it is that a backend with a share gets none of the requests, at the most."""
    shares = expected_shares(seen.weights)
    return max((1 - shares[name]) ** seen.tally.ok for name in names)


def _healthy(seen: Observations, name: str) -> bool:
    return any(each.server == name for each in seen.health) and not _sick(seen, name)


def _sick(seen: Observations, name: str) -> bool:
    return any(each.server == name for each in seen.abnormal())


def _well_by_itself(seen: Observations, name: str) -> bool:
    return name in seen.direct and seen.direct[name].well


def _ill_by_itself(seen: Observations, name: str) -> bool:
    return name in seen.direct and not seen.direct[name].well


def connections_dropped(seen: Observations) -> Finding | None:
    if not seen.count(*SILENT) or not seen.tally.ok:
        return None
    return Finding("likely", seen.sample(*SILENT), SILENT)


def answered(*outcomes: Outcome, confidence: Confidence = "certain") -> Look:
    """Fires when any request ended so; adds whose doing it is, as far as that is known."""
    look_at_ends = ended(*outcomes, confidence=confidence)

    def look(seen: Observations) -> Finding | None:
        found = look_at_ends(seen)
        if found is None:
            return None
        missing = seen.missing() if seen.tally.ok else ()
        silent = f"no good answer came from {', '.join(missing)}" if missing else ""
        ill = tuple(name for name in seen.direct if _ill_by_itself(seen, name))
        evidence = _with(found.evidence, silent, _asked_itself(seen, ill))
        return replace(found, evidence=evidence, backends=frozenset(missing))

    return look


def answer_cut(seen: Observations) -> Finding | None:
    found = answered(Outcome.ANSWER_CUT)(seen)
    if found is None or seen.listener is None or seen.listener.idle_timeout_s is None:
        return found
    idle = f"the listener's idle timeout is {seen.listener.idle_timeout_s} s"
    return replace(found, evidence=_with(found.evidence, idle))


def backend_silent(seen: Observations) -> Finding | None:
    ill = any(_ill_by_itself(seen, name) for name in seen.direct)
    confidence: Confidence = "certain" if ill else "likely"
    return answered(Outcome.FIRST_BYTE_TIMEOUT, confidence=confidence)(seen)


def proxy_header(seen: Observations) -> Finding | None:
    """A PROXY header comes before the request, and the backend takes it for the request.

    nginx without `proxy_protocol` answers 400 to it; others close, or say what is no HTTP.
    """
    ends = (Outcome.HTTP_4XX, Outcome.NOT_HTTP, *SILENT)
    if seen.tally.ok or not seen.count(*ends):
        return None
    sample = seen.sample(*ends)
    if seen.listener is not None and seen.listener.exists:
        if not seen.listener.proxy_protocol or seen.count(*TOLD):
            return None
        evidence = f"ProxyProtocolEnabled is true at {seen.listener.id}; {sample}"
        return Finding("certain", evidence, ends)
    every = seen.count(Outcome.HTTP_4XX) == seen.tally.requests
    if every and sample.startswith("HTTP 400"):
        confidence: Confidence = "likely" if _NGINX_400 in sample else "possible"
        return Finding(confidence, f"every answer is 400: {sample}", ends)
    return None


_NGINX_400 = "HTTP 400: <html> <head><title>400 Bad Request</title></head>"
"""nginx's own page for what is no request. Ours is one, unless something came before it."""


def strange_pages(seen: Observations) -> dict[str, int]:
    """Pages that no expected backend gives, and how often each came."""
    if not seen.weights:
        return {}
    found = seen.tally.backends.items()
    return {name: count for name, count in found if name not in seen.weights}


def another_page(seen: Observations) -> Finding | None:
    pages = strange_pages(seen)
    if not pages:
        return None
    most = sorted(pages, key=lambda name: -pages[name])[:5]
    missing = seen.missing()
    evidence = ", ".join(f"{pages[name]} × {name}" for name in most)
    silent = f"no answer names {', '.join(missing)}" if missing else ""
    facts = {"pages": ", ".join(most), "answers": str(sum(pages.values()))}
    return Finding("certain", _with(evidence, silent), facts=facts, backends=frozenset(missing))


def health_abnormal(seen: Observations) -> Finding | None:
    sick = seen.abnormal()
    if not sick:
        return None
    names = tuple(each.server for each in sick)
    well = [name for name in names if _well_by_itself(seen, name) or name in seen.tally.backends]
    text = health_text(sick)
    evidence = _with(text, _asked_itself(seen, names))
    facts = {"health": text, "well": ", ".join(well)}
    notes = ("serves-all-the-same",) if well else ()
    return Finding("certain", evidence, (), facts, notes, frozenset(names))


SLOW_P50_MS = 800.0
"""What people notice as slow. Three round trips to another continent stay below it."""
SLOW_P95_MS = 900.0
"""One backend of twenty that is slow; less may be a lost packet, which costs a second as well."""


_SLOW_ANSWERS = 10
"""Of so many answers one lost packet, which costs a second or three, makes no slow mean."""


def slow(seen: Observations) -> Finding | None:
    """Many answers are slow, or all those of some backend."""
    p50, p95 = (seen.tally.latency.percentile_s(share) for share in (0.50, 0.95))
    if p50 is None or p95 is None:
        return None
    p50_ms, p95_ms = p50 * 1000, p95 * 1000
    some = p95_ms >= SLOW_P95_MS and p95_ms >= 5 * p50_ms
    means = _means_ms(seen)
    late = {
        name: mean
        for name, mean in means.items()
        if mean >= SLOW_P50_MS and seen.tally.backends[name] >= _SLOW_ANSWERS
    }
    if p50_ms < SLOW_P50_MS and not some and not late:
        return None
    facts = {"p50": f"{p50_ms:.0f}", "p95": f"{p95_ms:.0f}"}
    notes: tuple[str, ...] = ()
    if 0 < len(late) < len(means):
        facts["slow_backends"] = ", ".join(f"{name} {mean:.0f} ms" for name, mean in late.items())
        notes = ("slow-backends",)
    evidence = f"p50 {p50_ms:.0f} ms, p95 {p95_ms:.0f} ms{_by_part(seen, means)}"
    return Finding("certain", evidence, facts=facts, notes=notes)


def _means_ms(seen: Observations) -> Mapping[str, float]:
    """How long the answers of each backend took on average."""
    backends = seen.tally.backends
    return {
        name: seconds / backends[name] * 1000
        for name, seconds in sorted(seen.tally.backend_seconds.items())
        if backends.get(name)
    }


def _by_part(seen: Observations, means_ms: Mapping[str, float]) -> str:
    """Where the time goes: by phase, and by backend."""
    tally = seen.tally
    phases = {
        "connect": tally.connect,
        "TLS": tally.tls_handshake,
        "first byte": tally.first_byte,
    }
    p95 = {name: found.percentile_s(0.95) for name, found in phases.items()}
    parts = [f"{name} {value * 1000:.0f} ms" for name, value in p95.items() if value is not None]
    means = [f"{name} {mean:.0f} ms" for name, mean in means_ms.items()][:8]
    texts = []
    if parts:
        texts.append(f"p95 by phase: {', '.join(parts)}")
    if len(means) > 1:
        texts.append(f"mean by backend: {', '.join(means)}")
    return "".join(f"; {text}" for text in texts)


def uneven(seen: Observations) -> Finding | None:
    if seen.missing() or strange_pages(seen) or seen.tally.failed:
        return None  # the shares of the others are off for that reason
    ok, backends = seen.tally.ok, seen.tally.backends
    off = [
        f"{name} {backends.get(name, 0) / ok:.1%} instead of {share:.1%}"
        for name, share in expected_shares(seen.weights).items()
        if ok and not within_chance(backends.get(name, 0), ok, share)
    ]
    if not off:
        return None
    return Finding("certain", ", ".join(off), facts={"shares": ", ".join(off)})
