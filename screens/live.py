"""The proof while it goes on: health, shares, speed, refusals, and what is wrong."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

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
from screens.widgets.bars import sparkline
from screens.widgets.keys import Key
from screens.widgets.outcome import problem_words
from screens.widgets.tally_table import (
    HealthRow,
    TallyTable,
    health_rows,
    share_rows,
)
from services.events import Event
from services.text import say

if TYPE_CHECKING:
    from services.cloud.port import ServerHealth
    from services.probe.refusals import Refusal
    from services.steps.live import Live

STALE_AFTER_S = 10
"""Health that was asked for longer ago than this is dim and says its age."""

SOON_S = 30 * 86400
"""A certificate that ends sooner than this is told with the days that are left."""

EVENTS_KEPT = 200

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
        & #wrong { height: auto; max-height: 6; color: $text-error; }
        & #wrong.-empty { display: none; }
        & #bottom { height: 1fr; min-height: 1; margin-top: 1; }
        & #events { height: 1fr; }
        & #unseen { width: auto; height: 1; color: $text-muted; }
        & #events > Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", show=False, id="pause"),
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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`again` stops what goes on and makes the proof once more."""
        super().__init__()
        self._about = title
        self._news = news
        self._lab = lab
        self._again = again
        self._now = now
        self._live: Live | None = None
        self._data: Mapping[str, Any] = {}
        self._paused = False
        self._since: datetime | None = None
        self._verdict = ""
        self._health: tuple[ServerHealth, ...] | None = None
        self._health_rows: Sequence[HealthRow] = ()
        self._refusals: tuple[Refusal, ...] | None = None
        self._failures: set[str] = set()
        self._events: deque[str] = deque(maxlen=EVENTS_KEPT)
        self._unseen = 0

    def body(self) -> ComposeResult:
        with Vertical(id="live"):
            yield Static(id="heading", classes="line heading", markup=False)
            yield TallyTable()
            yield Static(id="rate", classes="line gap", markup=False)
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
            return
        if news.event == "snapshot" and news.snapshot is not None:
            live: Live = news.snapshot  # type: ignore[assignment]
            self._take(live, news)
        elif news.event == "output":
            self._notice(str(news.data.get("line", "")))

    def _take(self, live: Live, event: Event) -> None:
        before = self._live
        if before is not None and not live.diagnosis and live.verdict == before.verdict:
            # What goes on after the proof only counts; the causes are still those of the proof.
            live = replace(live, diagnosis=before.diagnosis)
        self._live, self._data = live, event.data
        self._compare(live)
        if not self._paused:
            self._draw()

    def _compare(self, live: Live) -> None:
        """Turn what changed since the last snapshot into events."""
        if live.verdict != self._verdict:
            self._verdict = live.verdict
            self._since = self._now()
            if live.verdict:
                self._notice(say(f"screens.live.verdict-{live.verdict}"))
        if live.health is not self._health:
            # Asked for every few seconds, drawn ten times in each: made into rows once.
            known = {row.name: row.words for row in self._health_rows}
            self._health = live.health
            self._health_rows = health_rows(live.health, live.names)
            for row in self._health_rows:
                if known and known.get(row.name) != row.words:
                    self._notice(f"{row.name} {row.words}")
        for outcome in live.tally.outcomes:
            if outcome != "ok" and outcome not in self._failures:
                self._failures.add(outcome)
                sample = live.tally.samples.get(outcome, "")
                self._notice(say("screens.live.first", outcome=_spoken(outcome), sample=sample))

    def _notice(self, text: str) -> None:
        events = self.query_one("#events", VerticalScroll)
        at_end = events.is_vertical_scroll_end
        self._events.append(f"{clock(self._now())}  {text}")
        self._unseen = 0 if at_end else self._unseen + 1
        self.query_one("#notices", Static).update("\n".join(self._events))
        unseen = say("screens.live.unseen", n=self._unseen) if self._unseen else ""
        self.query_one("#unseen", Static).update(unseen)
        if at_end:
            events.scroll_end(animate=False)

    # drawing

    def _tick(self) -> None:
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
        health, shares = self._health_rows, share_rows(live)
        height = min(max(len(health), len(shares), 2), max(self.size.height - 17, 2))
        if table.size.height != height:
            table.styles.height = height
        table.show(health, shares, stale=self._is_stale(live))
        heading = table.heading(tally.ok, tally.requests)
        self.query_one("#heading", Static).update(heading, layout=False)
        self.query_one("#rate", Static).update(self._rate(live), layout=False)
        self.query_one("#tls", Static).update(self._tls(live), layout=False)
        self._draw_wrong(live, health)
        if live.refusals is not self._refusals:
            self._refusals = live.refusals
            self.query_one("#refused", Static).update(_refused(live))

    def _rate(self, live: Live) -> str:
        rates, tally = live.tally.rates, live.tally
        width = min(max(self.size.width - 62, 12), 60)
        curve = sparkline(rates.history, width).ljust(width)
        p50, p99 = tally.p50_ms, tally.p99_ms
        return say(
            "screens.live.rate",
            curve=curve,
            now=f"{rates.now:.0f}",
            low=f"{rates.low:.0f}",
            high=f"{rates.high:.0f}",
            p50="-" if p50 is None else f"{p50:.1f}",
            p99="-" if p99 is None else f"{p99:.1f}",
        )

    def _tls(self, live: Live) -> str:
        tally = live.tally
        parts = [f"{tally.tls_version or '-'} {tally.tls_cipher or ''}".strip()]
        if live.certificate_until:
            until = moment(live.certificate_until)
            left = (until - self._now()).total_seconds()
            key = "screens.live.certificate" if left > SOON_S else "screens.live.certificate-ends"
            parts.append(say(key, left=span(left), date=f"{until:%Y-%m-%d}"))
        if self._is_stale(live) and live.health_at is not None:
            age = span((self._now() - live.health_at).total_seconds())
            parts.append(say("screens.live.stale", age=age))
        return " · ".join(parts)

    def _draw_wrong(self, live: Live, health: Sequence[HealthRow]) -> None:
        lines = [f"✗ {row.name} {row.words}" for row in health if not row.well and row.reason][:2]
        lines += [
            f"✗ {each.cause()}\n→ {each.remedy()}"
            for each in live.diagnosis
            if each.severity == "error"
        ][:2]
        if not live.diagnosis:
            lines += [
                f"✗ {count(number)} × {_spoken(outcome)}  {live.tally.samples.get(outcome, '')}"
                for outcome, number in sorted(live.tally.outcomes.items())
                if outcome != "ok"
            ][:3]
        wrong = self.query_one("#wrong", Static)
        wrong.set_class(not lines, "-empty")
        if lines:
            wrong.update("\n".join(lines))

    # keys

    def keys(self) -> Sequence[Key]:
        pause = say("screens.key.go-on" if self._paused else "screens.key.pause")
        return (
            Key("Space", pause, "pause"),
            Key("r", say("screens.key.reset"), "reset"),
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

    def action_reset(self) -> None:
        """Count anew from nothing."""
        self._live, self._verdict, self._since = None, "", None
        self._failures.clear()
        self._notice(say("screens.live.reset"))
        self._again()

    def action_export(self) -> None:
        """Keep the snapshot as JSON, and the screen as SVG, among the session's reports."""
        from screens.picture import svg

        at = f"{self._now():%Y%m%dT%H%M%SZ}"
        text = json.dumps(self._data, indent=2, ensure_ascii=False) + "\n"
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
    if not live.refusals:
        return Content.styled(say("screens.live.not-yet-refused"), "dim")
    all_refused = all(each.refused for each in live.refusals)
    heading = say("screens.live.refused" if all_refused else "screens.live.strangers")
    lines = [Content.styled(heading, "dim")]
    width = max(cell_len(_stranger(each.name)) for each in live.refusals)
    for each in live.refusals:
        sign = "?" if each.refused is None else "✓" if each.refused else "✗"
        name = _stranger(each.name)
        style = "" if each.refused else "bold $text-error"
        lines.append(
            Content.assemble((f"{sign} {fit(name, width)} ", style), (each.evidence, "dim"))
        )
    return Content("\n").join(lines)


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
    for share in share_rows(live):
        parts.append(f"{share.name}  {count(share.count)}  {share.share:.1%}\n")
    parts.append("\n")
    for outcome, number in sorted(live.tally.outcomes.items()):
        sample = live.tally.samples.get(outcome, "")
        parts.append(f"{count(number)} × {_spoken(outcome)}  {sample}\n")
    for negotiated, number in sorted(live.tally.tls.items()):
        parts.append(f"{count(number)} × {negotiated}\n")
    return Content.assemble(*parts)
