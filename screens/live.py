"""The proof while it goes on: health, shares, speed, refusals, and what is wrong."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.signal import Signal
from textual.widgets import Static

from screens.clipboard import Copy
from screens.frame import Frame
from screens.news import Ended, News
from screens.spell import clock, count, fit, moment, span
from screens.timeline import Timeline, marks
from screens.widgets.bars import sparkline
from screens.widgets.keys import Key
from screens.widgets.outcome import problem_words
from screens.widgets.tally_table import (
    HealthRow,
    ShareRows,
    TallyTable,
    health_rows,
)
from services.pki.ending import ending
from services.steps.course import Pace
from services.text import say

if TYPE_CHECKING:
    from services.cloud.port import ServerHealth
    from services.probe.refusals import Refusal
    from services.probe.tally import Histogram
    from services.steps.live import Change, Live

STALE_AFTER_S = 10
"""Health that was asked for longer ago than this is dim and says its age."""

EVENTS_KEPT = 200

ADDRESSES_SHOWN = 3
"""Lines for addresses: a balancer has one a zone."""

WRONG_LINES = 6
"""Lines for what is wrong, at the least height."""

_BESIDE_CURVE = 32
"""Cells that the words beside the curve take."""

_VERDICTS = {"pass": "✓", "fail": "✗", "": "▸"}


class LiveScreen(Frame[None]):
    """Draws snapshots. Closing it stops what goes on; the proof that was made stays."""

    DEFAULT_CSS = """
    LiveScreen {
        & #live { height: 1fr; padding: 0 1; }
        & .line { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & .heading { color: $text-muted; }
        & .block { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
        & .gap { margin-top: 1; }
        & #refused { text-wrap: wrap; max-height: 16; }
        & #wrong { height: auto; color: $text-error; }
        & #wrong.-empty { display: none; }
        & #addresses.-empty { display: none; }
        & #bottom { height: 1fr; min-height: 2; margin-top: 1; }
        & #events { height: 1fr; }
        & #unseen { width: auto; height: 1; color: $text-muted; }
        & #events > Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", show=False, id="pause"),
        Binding("plus,equals_sign", "faster", show=False, id="faster"),
        Binding("minus", "slower", show=False, id="slower"),
        Binding("r", "reset", show=False, id="reset"),
        Binding("e", "export", show=False, id="export"),
        Binding("enter", "details", show=False, id="details"),
    ]
    HELP_KEY = "live"

    def __init__(
        self,
        title: str,
        news: Signal[News],
        *,
        lab: bool,
        again: Callable[[], None],
        pace: Pace | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`again` stops what goes on and makes the proof once more. `pace` is that of what goes on
        after the proof; it is changed here.
        """
        super().__init__()
        self._about = title
        self._news = news
        self._lab = lab
        self._again = again
        self._pace = pace or Pace()
        self._now = now
        self._live: Live | None = None
        self._timeline = Timeline()
        self._told: Change | None = None
        self._paused = False
        self._since: datetime | None = None
        self._verdict = ""
        self._health: tuple[ServerHealth, ...] | None = None
        self._health_rows: Sequence[HealthRow] = ()
        self._lines: dict[str, str] = {}
        self._refusals: tuple[Refusal, ...] | None = None
        self._roomy = False
        self._events: deque[str] = deque(maxlen=EVENTS_KEPT)
        self._unseen = 0

    def body(self) -> ComposeResult:
        with Vertical(id="live"):
            yield Static(id="heading", classes="line heading", markup=False)
            yield TallyTable()
            yield Static(id="rate", classes="line gap", markup=False)
            yield Static(id="marks", classes="line", markup=False)
            yield Static(id="phases", classes="line", markup=False)
            yield Static(id="addresses", classes="block -empty", markup=False)
            yield Static(id="tls", classes="line", markup=False)
            yield Static(id="wrong", classes="gap -empty", markup=False)
            yield Static(id="refused", classes="block gap", markup=False)
            with Horizontal(id="bottom"):
                with VerticalScroll(id="events"):
                    yield Static(id="notices", markup=False)
                yield Static(id="unseen", markup=False)

    def on_mount(self) -> None:
        self._news.subscribe(self, self._heard)
        self._head()
        self.query_one("#heading", Static).update(say("screens.live.starting"))
        self.query_one(TallyTable).focus()
        self.set_interval(1, self._tick)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    # news

    def _heard(self, news: News) -> None:
        if isinstance(news, Ended):
            if news.problem is not None:
                self._notice(news.problem.words().what)
                self.query_one("#wrong", Static).update(problem_words(news.problem))
                self.query_one("#wrong").remove_class("-empty")
                self._lines.pop("wrong", None)
            return
        if news.event == "snapshot" and news.snapshot is not None:
            live: Live = news.snapshot  # type: ignore[assignment]
            self._take(live)
        elif news.event == "output":
            self._notice(str(news.data.get("line", "")))

    def _take(self, live: Live) -> None:
        before = self._live
        if before is not None and not live.judged and live.verdict == before.verdict:
            # What goes on after the proof is judged after a while; until then its causes hold.
            live = replace(live, diagnosis=before.diagnosis)
        self._live = live
        self._timeline.add(live.tally.elapsed_s, live.tally.requests, live.tally.failed)
        self._compare(live)
        if not self._paused:
            self._draw()

    def _compare(self, live: Live) -> None:
        """Tell what is new since the last snapshot."""
        if live.verdict != self._verdict:
            if not self._verdict and not live.changes:
                self._notice(say(f"screens.live.verdict-{live.verdict}"))
            self._verdict = live.verdict
            self._since = self._now()
        if live.health is not self._health:
            # Asked for every few seconds, drawn ten times in each: made into rows once.
            self._health = live.health
            self._health_rows = health_rows(live.health, live.names)
        if live.changes and live.changes[-1] is not self._told:
            for change in _after(self._told, live.changes):
                self._notice(change.words(), change.at)
            self._told = live.changes[-1]

    def _notice(self, text: str, at: datetime | None = None) -> None:
        """The newest comes first; while somebody reads further down, it waits."""
        self._events.appendleft(f"{clock(at or self._now())}  {text}")
        self._unseen += 1
        self._show_notices()

    def _show_notices(self) -> None:
        if self.query_one("#events", VerticalScroll).scroll_y <= 0:
            self._unseen = 0
            self.query_one("#notices", Static).update("\n".join(self._events))
        unseen = say("screens.live.unseen", n=self._unseen) if self._unseen else ""
        self.query_one("#unseen", Static).update(unseen)

    # drawing

    def _tick(self) -> None:
        if self._unseen:
            self._show_notices()
        if self._live is not None and not self._paused:
            self._head()
            if self._is_stale(self._live):
                self._draw()

    def _head(self) -> None:
        live = self._live
        if live is None:
            self.show_head(f"▸ {self._about}", lab=self._lab)
            return
        words = say(f"screens.live.head-{live.verdict or 'none'}")
        since = say("screens.live.since", time=clock(self._since or live.started))
        parts = [
            f"{_VERDICTS[live.verdict]} {words} {since}",
            f"https://{live.name}",
            say("screens.live.paused" if self._paused else "screens.live.fresh"),
        ]
        self.show_head(" · ".join(parts), lab=self._lab)

    def _is_stale(self, live: Live) -> bool:
        return (
            live.health_at is not None
            and (self._now() - live.health_at).total_seconds() > STALE_AFTER_S
        )

    def _draw(self) -> None:
        live = self._live
        if live is None or not self.is_mounted:
            return
        self._head()
        tally = live.tally
        table = self.query_one(TallyTable)
        health, shares = self._health_rows, ShareRows(live)
        height = min(max(len(health), len(shares), 2), max(self.size.height - 18, 2))
        if table.size.height != height:
            table.styles.height = height
        table.show(health, shares, stale=self._is_stale(live))
        heading = table.heading(tally.ok, tally.requests)
        self._line("heading", heading)
        self._draw_rate(live)
        self._line("phases", _phases(live))
        self._line("tls", self._tls(live))
        addresses = list(_addresses(live))
        self.query_one("#addresses").set_class(not addresses, "-empty")
        if addresses:
            self._lines_of("addresses", Content("\n").join(addresses))
        self._draw_wrong(live, health)
        if live.refusals is not self._refusals or self._roomy != self._detailed(live):
            self._refusals, self._roomy = live.refusals, self._detailed(live)
            refused = _each_refused(live) if self._roomy else _refused(live)
            self.query_one("#refused", Static).update(refused)

    def _line(self, name: str, text: str) -> None:
        # Most say ten times what they said before, and each update is a repaint.
        if self._lines.get(name) != text:
            self._lines[name] = text
            self.query_one(f"#{name}", Static).update(text, layout=False)

    def _lines_of(self, name: str, shown: Content) -> None:
        """As `_line` for several: the screen is laid out anew, which costs as much as all the rest
        of a drawing, only when their number changes.
        """
        before, text = self._lines.get(name), shown.plain
        if before != text:
            self._lines[name] = text
            same = before is not None and before.count("\n") == text.count("\n")
            self.query_one(f"#{name}", Static).update(shown, layout=not same)

    def _detailed(self, live: Live) -> bool:
        """Whether there is room for a line a stranger."""
        return self.size.height >= 28 + len(live.refusals)

    def _draw_rate(self, live: Live) -> None:
        width = max(self.size.width - _BESIDE_CURVE, 12)
        rates, failed, length_s = self._timeline.shown(width)
        pace = self._pace.rate_per_s
        key = "screens.live.rate" if pace is None else "screens.live.rate-of"
        now = f"{live.tally.rates.now:.0f}"
        curve = sparkline(rates, width).ljust(width)
        self._line("rate", say(key, curve=curve, now=now, most=f"{pace or 0:.0f}"))
        changed = [(change.at - live.started).total_seconds() for change in live.changes]
        below = marks(failed, changed, length_s).ljust(width)
        lasts = span(len(rates) * length_s) if rates else ""
        self._line("marks", say("screens.live.marks", marks=below, span=lasts))

    def _tls(self, live: Live) -> str:
        tally = live.tally
        parts = [f"{tally.tls_version or '-'} {tally.tls_cipher or ''}".strip()]
        if live.certificate_until:
            until = _until(live, self._now())
            # A warning must not be what is cut off.
            parts.insert(1 if until[0] not in "!✗" else 0, until)
        if self._is_stale(live) and live.health_at is not None:
            age = span((self._now() - live.health_at).total_seconds())
            parts.append(say("screens.live.stale", age=age))
        return " · ".join(parts)

    def _draw_wrong(self, live: Live, health: Sequence[HealthRow]) -> None:
        errors = [each for each in live.diagnosis if each.severity == "error"]
        lines = [f"✗ {each.cause()}\n→ {each.remedy()}" for each in errors][:2]
        lines += [f"! {each.cause()}" for each in live.diagnosis if each.severity == "warning"][:1]
        if not errors:
            ill = [row for row in health if not row.well and row.reason]
            lines = [f"✗ {row.name} {row.words}" for row in ill][:2] + lines
        if not live.diagnosis and live.verdict != "pass":
            lines += [
                f"✗ {count(number)} × {_spoken(outcome)}  {live.tally.samples.get(outcome, '')}"
                for outcome, number in sorted(live.tally.outcomes.items())
                if outcome != "ok"
            ][:3]
        if live.tally.limited_to:
            lines.append(f"! {say('screens.live.limited', count=live.tally.limited_to)}")
        self.query_one("#wrong").set_class(not lines, "-empty")
        if lines:
            self._wrong("\n".join(lines))

    def _wrong(self, text: str) -> None:
        """As many lines of it as leave room for the rest; Enter shows all of it."""
        most = WRONG_LINES + max(self.size.height - 24, 0) // 2
        lines = [each.plain for each in Content(text).wrap(max(self.size.width - 2, 1))]
        if len(lines) > most:
            lines = [*lines[: most - 1], say("screens.live.more-wrong")]
        shown = "\n".join(lines)
        if self._lines.get("wrong") != shown:
            self._lines["wrong"] = shown
            self.query_one("#wrong", Static).update(shown)

    # keys

    def keys(self) -> Sequence[Key]:
        pause = say("screens.key.go-on" if self._paused else "screens.key.pause")
        return (
            Key("Space", pause, "pause"),
            Key("+ -", say("screens.key.pace"), "faster"),
            Key("Enter", say("screens.key.details"), "details"),
            Key("e", say("screens.key.export"), "export"),
            Key("Esc", say("screens.key.back"), "back"),
            Key("F1", say("screens.key.help"), "app.help"),
        )

    def action_pause(self) -> None:
        """Stop the drawing, not the sending; the head line says so."""
        self._paused = not self._paused
        self._head()
        self.show_keys()
        if not self._paused:
            self._draw()

    def action_faster(self) -> None:
        """More requests a second, from the next run on, which begins at once."""
        self._pace.faster()
        self._draw()

    def action_slower(self) -> None:
        """Fewer requests a second."""
        self._pace.slower()
        self._draw()

    def action_reset(self) -> None:
        """Count anew from nothing."""
        self._live, self._verdict, self._since, self._told = None, "", None, None
        self._timeline.clear()
        self._notice(say("screens.live.reset"))
        self._again()

    def action_export(self) -> None:
        """Keep the snapshot as JSON, and the screen as SVG, among the session's reports."""
        from screens.picture import svg

        at = f"{self._now():%Y%m%dT%H%M%SZ}"
        data = self._live.to_map() if self._live is not None else {}
        text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
        self.post_message(Copy(text, f"live-{at}.json", clipboard=False))
        self.post_message(Copy(svg(self.app), f"live-{at}.svg", clipboard=False))

    def action_details(self) -> None:
        from screens.reading import Reading

        if self._live is not None:
            self.app.push_screen(Reading(say("screens.live.details"), _details(self._live)))


def _spoken(outcome: str) -> str:
    return str(outcome).replace("-", " ")


def _stranger(name: str) -> str:
    return say(f"screens.live.refusal.{name.replace('_', '-')}")


def _refused(live: Live) -> Content:
    """All who were refused as one sentence; whoever was not, and why, before it."""
    if not live.refusals:
        return Content.styled(say("screens.live.not-yet-refused"), "dim")
    lines = []
    let_in = [each for each in live.refusals if each.refused is False]
    if let_in:
        words = say("screens.live.let-in", strangers=", ".join(_stranger(e.name) for e in let_in))
        why = f" ({let_in[0].evidence})" if len(let_in) == 1 else ""
        lines.append(Content.styled(f"✗ {words}{why}", "bold $text-error"))
    refused = [_stranger(each.name) for each in live.refusals if each.refused]
    if refused:
        words = say("screens.live.refused", strangers=", ".join(refused))
        lines.append(Content(f"✓ {words}"))
    unproven = [_stranger(each.name) for each in live.refusals if each.refused is None]
    if unproven:
        words = say("screens.live.unproven", strangers=", ".join(unproven))
        lines.append(Content.styled(f"· {words}", "dim"))
    return Content("\n").join(lines)


def _each_refused(live: Live) -> Content:
    """A line a stranger, with the evidence."""
    if not live.refusals:
        return _refused(live)
    all_refused = all(each.refused is not False for each in live.refusals)
    heading = say("screens.live.refused-all" if all_refused else "screens.live.strangers")
    lines = [Content.styled(heading, "dim")]
    width = max(cell_len(_stranger(each.name)) for each in live.refusals)
    for each in live.refusals:
        sign = "·" if each.refused is None else "✓" if each.refused else "✗"
        name = _stranger(each.name)
        style = "bold $text-error" if each.refused is False else ""
        evidence = each.untried or each.evidence
        lines.append(Content.assemble((f"{sign} {fit(name, width)} ", style), (evidence, "dim")))
    return Content("\n").join(lines)


def _after(last: Change | None, changes: Sequence[Change]) -> Sequence[Change]:
    """Those that came after `last`; all, where that is no longer among them."""
    for place in range(len(changes) - 1, -1, -1):
        if changes[place] is last:
            return changes[place + 1 :]
    return changes


def _until(live: Live, now: datetime) -> str:
    """Until when the server's certificate is valid, with a warning where that is near."""
    until = moment(live.certificate_until)
    since = moment(live.certificate_from) if live.certificate_from else None
    date, left = f"{until:%Y-%m-%d}", span((until - now).total_seconds())
    match ending(until, now, since):
        case "over":
            return f"✗ {say('screens.live.certificate-over', date=date)}"
        case "soon":
            return f"! {say('screens.live.certificate-ends', left=left, date=date)}"
    return say("screens.live.certificate", date=date)


def _phases(live: Live) -> str:
    """The latencies of each phase, in milliseconds."""
    tally = live.tally
    parts = [
        f"{say(f'screens.live.phase.{name}')} {_ms(histogram, 0.5)}/{_ms(histogram, 0.99)}"
        for name, histogram in (
            ("connect", tally.connect),
            ("tls", tally.tls_handshake),
            ("first-byte", tally.first_byte),
            ("whole", tally.latency),
        )
        if histogram.counts
    ]
    return say("screens.live.phases", phases=" · ".join(parts)) if parts else ""


def _ms(histogram: Histogram, share: float) -> str:
    milliseconds = (histogram.percentile_s(share) or 0.0) * 1000
    return f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:.0f}"


def _addresses(live: Live) -> Iterator[Content]:
    """How each address fares, where there are several; the worst first."""
    addresses = live.tally.addresses
    if len(addresses) < 2:
        return
    failed = {name: sum(each.values()) - each.get("ok", 0) for name, each in addresses.items()}
    ordered = sorted(addresses, key=lambda name: (-failed[name], name))
    for name in ordered[:ADDRESSES_SHOWN]:
        requests = sum(addresses[name].values())
        words = say(
            "screens.live.address",
            address=name,
            ok=count(requests - failed[name]),
            requests=count(requests),
        )
        sign = "✓" if not failed[name] else "!" if failed[name] < requests else "✗"
        yield Content.styled(f"{sign} {words}", "$text-error" if failed[name] else "")
    if len(ordered) > ADDRESSES_SHOWN:
        more = say("screens.live.addresses-more", n=len(ordered) - ADDRESSES_SHOWN)
        yield Content.styled(more, "dim")


def _details(live: Live) -> Content:
    """Everything that the screen has no room for."""
    parts: list[tuple[str, str] | str] = [(f"https://{live.name} → {live.endpoint}\n\n", "bold")]
    for each in live.diagnosis:
        sign = "✗" if each.severity == "error" else "!"
        parts += [
            (f"{sign} {each.cause()}\n", "bold"),
            f"→ {each.remedy()}\n",
            (f"  {each.code} · {each.confidence} · {each.evidence}\n\n", "dim"),
        ]
    for row in health_rows(live.health, live.names):
        parts.append(f"{'✓' if row.well else '✗'} {row.name}  {row.words}\n")
    parts.append("\n")
    for share in ShareRows(live):
        parts.append(f"{share.name}  {count(share.count)}  {share.share:.1%}\n")
    parts.append("\n")
    for outcome, number in sorted(live.tally.outcomes.items()):
        sample = live.tally.samples.get(outcome, "")
        parts.append(f"{count(number)} × {_spoken(outcome)}  {sample}\n")
    for negotiated, number in sorted(live.tally.tls.items()):
        parts.append(f"{count(number)} × {negotiated}\n")
    if live.refusals:
        parts += ["\n", *(f"{line}\n" for line in _each_refused(live).plain.splitlines())]
    if live.changes:
        parts.append("\n")
        parts += [f"{clock(each.at)}  {each.words()}\n" for each in reversed(live.changes)]
    return Content.assemble(*parts)
