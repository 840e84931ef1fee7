"""The result of a verification in people's words: what `verify --json` ends with, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.table import table
from services.pki.ending import ending
from services.steps.live import Change, stranger
from services.text import say

_INDENT = "  "
_NAMES = 3
"""How many CAs are named."""


def lines(found: Mapping[str, Any], *, checked: bool = False) -> Iterator[str]:
    """What was measured and, where one watched, what changed; without diagnosis and verdict.

    `checked`: the strangers that knocked were told already, as checks of a proof.
    """
    yield say("app.verify.head", endpoint=found["endpoint"], name=found["name"])
    yield _INDENT + say(
        "app.verify.requests",
        requests=f"{found['requests']:,}",
        ok=f"{found['ok']:,}",
        failed=f"{found['failed']:,}",
        rate=found["requests_per_second"],
    )
    if found.get("limited_to"):
        yield _INDENT + say("app.verify.limited", count=found["limited_to"])
    refusals = found.get("refusals", ())
    if checked:
        refusals = [each for each in refusals if each["untried"]]
    for shown in (
        list(_backends(found)),
        list(_addresses(found)),
        list(_latencies(found)),
        list(_failures(found)),
        list(_refusals(refusals)),
        list(_tls(found)),
    ):
        if shown:
            yield ""
            yield from shown
    if "changes" in found:
        yield ""
        yield from _changes([Change.from_map(each) for each in found["changes"]])


def _backends(found: Mapping[str, Any]) -> Iterator[str]:
    answers, means = found["backends"], found.get("backend_ms", {})
    expected, failures = found.get("expected", {}), found.get("failures_by_backend", {})
    names = sorted({*answers, *expected, *failures})
    if not names:
        return
    total = sum(answers.values())
    columns = ["backend", "answers", "share"]
    columns += ["expected"] * bool(expected) + ["mean"] + ["failed"] * bool(failures)
    rows = []
    for name in names:
        count = answers.get(name, 0)
        cells = {
            "backend": name,
            "answers": f"{count:,}",
            "share": f"{count / total:.1%}".replace("%", " %") if total else "-",
            "expected": f"{expected[name]:.0%}".replace("%", " %") if name in expected else "-",
            "mean": _ms(means.get(name)),
            "failed": f"{sum(failures.get(name, {}).values()):,}",
        }
        rows.append([cells[column] for column in columns])
    yield from table([say(f"app.verify.column.{column}") for column in columns], rows)


def _addresses(found: Mapping[str, Any]) -> Iterator[str]:
    addresses = found.get("addresses", {})
    if len(addresses) < 2:
        return
    head = [say(f"app.verify.column.{c}") for c in ("address", "requests", "answered", "failed")]
    rows = []
    for name, outcomes in addresses.items():
        requests, ok = sum(outcomes.values()), outcomes.get("ok", 0)
        rows.append([name, f"{requests:,}", f"{ok:,}", f"{requests - ok:,}"])
    yield from table(head, rows)


def _latencies(found: Mapping[str, Any]) -> Iterator[str]:
    if found["latency_ms"]["p50"] is None:
        return
    phases = {**found.get("phases_ms", {}), "whole": found["latency_ms"]}
    head = [say(f"app.verify.column.{column}") for column in ("latency", "p50", "p99")]
    yield from table(
        head,
        [
            [say(f"app.verify.phase.{name}"), _ms(times["p50"]), _ms(times["p99"])]
            for name, times in phases.items()
            if times["p50"] is not None
        ],
    )


def _failures(found: Mapping[str, Any]) -> Iterator[str]:
    outcomes, samples = found.get("outcomes", {}), found.get("samples", {})
    for outcome, count in sorted(outcomes.items(), key=lambda each: -each[1]):
        if outcome != "ok":
            words = say("app.verify.failure", count=count, outcome=outcome.replace("-", " "))
            sample = samples.get(outcome)
            yield f"{_INDENT}{words}: {sample}" if sample else _INDENT + words


def _refusals(refusals: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not refusals:
        return
    signs = {
        each["name"]: say("app.verify.untried" if each["untried"] else _REFUSED[each["refused"]])
        for each in refusals
    }
    width = max(map(len, signs.values()))
    for each in refusals:
        why = each["untried"] or each["evidence"]
        yield f"{_INDENT}{signs[each['name']]:<{width}}  {stranger(each['name'])}"
        if why and each["refused"] is not True:
            yield f"{_INDENT}{'':<{width}}  ({why})"


_REFUSED = {True: "app.verify.refused", False: "app.verify.let-in", None: "app.verify.untold"}


def _tls(found: Mapping[str, Any]) -> Iterator[str]:
    tls, said = found["tls"], found.get("announced")
    if tls["version"]:
        words = [say("app.verify.tls", version=tls["version"], cipher=tls["cipher"])]
        if until := found.get("server_not_after"):
            words.append(_until(until, found.get("server_not_before")))
        yield _INDENT + " · ".join(words)
    if said:
        yield _INDENT + say("app.verify.speaks", versions=", ".join(said["versions"]))
        if not said["certificate_asked"]:
            yield _INDENT + say("app.verify.asks-none")
        elif said["accepted_cas"]:
            yield _INDENT + say("app.verify.accepts", names=_some(said["accepted_cas"]))
        else:
            yield _INDENT + say("app.verify.accepts-any")
        if said["resumption"]:
            yield _INDENT + say("app.verify.resumes")
    if health := found.get("health"):
        servers = ", ".join(f"{each['server']} {each['status']}" for each in health)
        yield _INDENT + say("app.verify.health", servers=servers)


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are: a server may announce hundreds."""
    shown = "; ".join(names[:_NAMES])
    more = len(names) - _NAMES
    return say("app.verify.and-more", names=shown, count=more) if more > 0 else shown


def _until(until: str, since: str | None) -> str:
    """Until when the server's certificate is valid, and a warning where that is near."""
    end, now = datetime.fromisoformat(until), datetime.now(UTC)
    left, date = end - now, f"{end:%Y-%m-%d}"
    match ending(end, now, datetime.fromisoformat(since) if since else None):
        case "over":
            return "✗ " + say("app.verify.until-over", date=date)
        case "soon":
            return "! " + say("live.change.certificate-soon", count=left.days, date=date)
    return say("app.verify.until", date=date)


def _changes(told: Sequence[Change]) -> Iterator[str]:
    if not told:
        yield _INDENT + say("app.verify.no-changes")
        return
    yield _INDENT + say("app.verify.changes")
    for change in told:
        yield f"{_INDENT}{change.at.astimezone():%H:%M:%S}  {change.words()}"


def _ms(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:,.1f} ms" if milliseconds < 100 else f"{milliseconds:,.0f} ms"
