"""The proof on a report's page: who answered, who was refused, how fast, and what is wrong."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence

from services.handover.content import Announced, Cause, Share, Stranger, Verification
from services.handover.html.blocks import (
    Column,
    Mood,
    code,
    column,
    facts,
    mark,
    milliseconds,
    moment,
    number,
    paragraph,
    percent,
    section,
    subsection,
    table,
)
from services.handover.html.markup import Inner, Markup, element, join
from services.probe.observations import NORMAL
from services.text import knows, say


def diagnosis(causes: Sequence[Cause]) -> Markup | None:
    """What is wrong, the most probable cause first; None where nothing is."""
    if not causes:
        return None
    return section("diagnosis", element("ol", [_cause(each) for each in causes], class_="causes"))


def _cause(cause: Cause) -> Markup:
    mood: Mood = "bad" if cause.severity == "error" else "warning"
    told = (cause.confidence, cause.evidence)
    return element(
        "li",
        paragraph([mark(mood, say(f"handover.severity.{cause.severity}")), " ", cause.cause]),
        paragraph([element("strong", say("handover.remedy")), " ", cause.remedy]),
        paragraph([code(cause.code), *(f" · {each}" for each in told if each)], class_="aside"),
        class_=mood,
    )


def proof(found: Verification, picture: bytes | None) -> Markup:
    """All that the last verification measured. `picture` is an SVG of the live screen."""
    return section(
        "proof",
        _figures(found),
        subsection("backends", _backends(found.backends, found.ok)) if found.backends else None,
        subsection("strangers", _strangers(found.strangers)) if found.strangers else None,
        subsection("latency", _latency(found)) if found.ok else None,
        subsection("outcomes", _outcomes(found)),
        subsection("addresses", _addresses(found)) if found.addresses else None,
        subsection("health", _health(found)) if found.health else None,
        subsection("tls", _tls(found)),
        subsection("live", _picture(picture, found)) if picture else None,
    )


def _figures(found: Verification) -> Markup:
    rate = found.requests_per_second
    shown = [
        ("requests", number(found.requests)),
        ("answered", number(found.ok)),
        ("failed", number(found.failed)),
        ("p50", f"{milliseconds(found.latency_ms.get('p50'))} ms"),
        ("p99", f"{milliseconds(found.latency_ms.get('p99'))} ms"),
        ("rate", "–" if rate is None else number(rate)),
    ]
    figures = [
        element("div", element("dt", say(f"handover.figure.{key}")), element("dd", value))
        for key, value in shown
    ]
    return element("dl", figures, class_="figures")


def _backends(shares: Sequence[Share], ok: int) -> Markup:
    columns: list[tuple[Column, Callable[[Share], Inner]]] = [
        (column("backend"), lambda share: share.backend),
        (column("answers", number=True), lambda share: number(share.count)),
        (column("share", number=True), lambda share: percent(share.share)),
        (column("bar"), _bar),
        (column("expected", number=True), lambda share: percent(share.expected)),
        (column("interval", number=True), _interval),
        (column("chance"), _judged),
    ]
    if any(share.mean_ms is not None for share in shares):
        columns.append((column("mean", number=True), lambda share: milliseconds(share.mean_ms)))
    if any(share.failures for share in shares):
        columns.append((column("failures"), lambda share: _counts(share.failures) or "–"))
    return join(
        [
            table(
                say("handover.caption.backends", ok=number(ok)),
                [heading for heading, _ in columns],
                [[cell(share) for _, cell in columns] for share in shares],
            ),
            paragraph(say("handover.note.interval"), class_="aside"),
        ]
    )


def _interval(share: Share) -> str:
    return f"{percent(share.low)} – {percent(share.high)}"


def _bar(share: Share) -> Markup:
    """The share as a bar, with a line where it is expected; the numbers are beside it."""
    marks: list[Markup] = [element("rect", width=f"{share.share * 100:.2f}", height=10)]
    if share.expected is not None:
        at = f"{share.expected * 100:.2f}"
        marks.append(element("line", x1=at, x2=at, y1=0, y2=10))
    return element(
        "svg",
        marks,
        class_="bar",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def _judged(share: Share) -> Inner:
    if share.within_chance is None:
        return mark("unknown", say("handover.chance.unknown"))
    if share.within_chance:
        return mark("good", say("handover.chance.within"))
    return mark("warning", say("handover.chance.beyond"))


def _strangers(strangers: Sequence[Stranger]) -> Markup:
    return table(
        say("handover.caption.strangers"),
        (column("stranger"), column("fared"), column("evidence")),
        [
            (stranger.title, _fared(stranger), stranger.untried or stranger.evidence or "–")
            for stranger in strangers
        ],
    )


def _fared(stranger: Stranger) -> Markup:
    if stranger.untried:
        return mark("unknown", say("handover.fared.untried"))
    if stranger.refused is None:
        return mark("unknown", say("handover.fared.unproven"))
    if stranger.refused:
        return mark("good", say("handover.fared.refused"))
    return mark("bad", say("handover.fared.let-in"))


def _latency(found: Verification) -> Markup:
    phases = {"whole": found.latency_ms, **found.phases_ms}
    phases = {name: each for name, each in phases.items() if any(each.values())}
    names = sorted({name for each in phases.values() for name in each}, key=_percentile)
    return table(
        say("handover.caption.latency"),
        (column("phase"), *(Column(f"{name} ms", number=True) for name in names)),
        [
            (_phase(phase), *(milliseconds(values.get(name)) for name in names))
            for phase, values in phases.items()
        ],
    )


def _percentile(name: str) -> tuple[float, str]:
    digits = name.removeprefix("p")
    return (float(digits) if digits.replace(".", "", 1).isdigit() else 100.0, name)


def _phase(name: str) -> str:
    key = f"handover.phase.{name.replace('_', '-')}"
    return say(key) if knows(key) else name


def _outcomes(found: Verification) -> Markup:
    drawn = table(
        say("handover.caption.outcomes"),
        (column("outcome"), column("requests", number=True), column("evidence")),
        [
            (_outcome(name), number(count), found.samples.get(name, "–"))
            for name, count in sorted(found.outcomes.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
    )
    return join([drawn, *(paragraph(each, class_="aside") for each in _pace(found))])


def _pace(found: Verification) -> Iterator[str]:
    if found.concurrency:
        yield say("handover.note.concurrency", count=found.concurrency)
    if found.limited_to:
        yield say("handover.note.limited", count=found.limited_to)


def _outcome(name: str) -> Markup:
    return mark("good" if name == "ok" else "bad", name.replace("-", " "))


def _addresses(found: Verification) -> Markup:
    return table(
        say("handover.caption.addresses"),
        (column("address"), column("answers", number=True), column("failures")),
        [
            (
                code(address),
                number(counts.get("ok", 0)),
                _counts({name: n for name, n in counts.items() if name != "ok"}) or "–",
            )
            for address, counts in sorted(found.addresses.items())
        ],
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{number(count)} × {name.replace('-', ' ')}" for name, count in sorted(counts.items())
    )


def _health(found: Verification) -> Markup:
    return table(
        say("handover.caption.health"),
        (column("backend"), column("status"), column("reason")),
        [
            (
                each.server,
                mark("good" if each.status == NORMAL else "bad", each.status),
                each.reason or "–",
            )
            for each in found.health
        ],
    )


def _tls(found: Verification) -> Markup:
    return facts(
        [
            (say("handover.tls.endpoint"), code(found.endpoint)),
            (say("handover.tls.name"), code(found.name)),
            (say("handover.tls.version"), found.tls_version),
            (say("handover.tls.cipher"), found.tls_cipher),
            (say("handover.tls.until"), found.server_not_after and moment(found.server_not_after)),
            *_announced(found.announced),
        ]
    )


def _announced(said: Announced | None) -> Iterator[tuple[str, Inner]]:
    if said is None:
        return
    yield say("handover.tls.versions"), ", ".join(said.versions)
    yield say("handover.tls.group"), said.group
    yield say("handover.tls.alpn"), said.alpn
    yield say("handover.tls.resumption"), _yes_no(said.resumption)
    yield say("handover.tls.asked"), _yes_no(said.certificate_asked)
    yield say("handover.tls.accepted"), _lines(said.accepted_cas)
    yield say("handover.tls.chain"), _lines(said.chain)


def _lines(texts: Sequence[str]) -> Inner:
    return element("ul", [element("li", text) for text in texts]) if texts else None


def _yes_no(value: bool | None) -> str:
    return "" if value is None else say("handover.yes" if value else "handover.no")


def _picture(picture: bytes, found: Verification) -> Markup:
    """As an image an SVG can run no script and load nothing, whatever its text says."""
    source = f"data:image/svg+xml;base64,{base64.b64encode(picture).decode('ascii')}"
    words = say(
        "handover.picture",
        verdict=found.verdict,
        ok=number(found.ok),
        requests=number(found.requests),
    )
    image = element("img", src=source, alt=words)
    return element("figure", image, element("figcaption", say("handover.caption.live")))
