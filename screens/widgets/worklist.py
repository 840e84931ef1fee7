"""The preview's list, which turns in place into the list of what is being done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.spell import span
from services.events import Event
from services.text import say

if TYPE_CHECKING:
    from services.walk import Line

_VERBS = {"+": "make", "=": "adopt", "-": "remove", "✓": "there"}


@dataclass(slots=True)
class _Progress:
    """How far a line has come. `since` is by the monotonic clock, in seconds."""

    since: float = 0.0
    output: str = ""


class WorkRow(Vertical):
    """One action: sign, verb, what; on the right its cost, later how it went; details below."""

    DEFAULT_CSS = """
    WorkRow {
        height: auto;
        & > Horizontal { height: auto; }
        & .sign { width: 2; height: 1; text-style: bold; }
        & .verb { width: 8; height: 1; }
        & .what { width: 1fr; height: auto; }
        & .right { width: auto; max-width: 34; height: 1; margin-left: 1; color: $text-muted; }
        & .more { height: auto; padding-left: 10; color: $text-muted; display: none; }
        &.-selected .more { display: block; }
        &.-selected .what { text-style: bold; }
        &.-running .sign, &.-running .what { text-style: bold; }
        &.-failed .sign, &.-failed .right { color: $text-error; }
        &.-done .sign { color: $text-success; }
    }
    WorkList:focus .-selected > Horizontal { text-style: reverse; background: $primary-muted; }
    """

    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line
        self._progress: _Progress | None = None

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(self.line.sign, classes="sign", markup=False)
            yield Static(say(f"screens.verb.{_VERBS[self.line.sign]}"), classes="verb")
            yield Static(self._what(), classes="what", markup=False)
            yield Static(self._cost(), classes="right", markup=False)
        yield Static(self._details(), classes="more", markup=False)

    def _what(self) -> str:
        resource = self.line.resource
        title = self.line.action.title()
        return f"{title} ({resource})" if resource and resource not in title else title

    def _cost(self) -> str:
        return self.line.action.cost() if self.line.sign == "+" else ""

    def _details(self) -> Content:
        parts = [Content(say("screens.undo-is", words=self.line.action.undo_words()))]
        if self.line.sign == "+":
            parts += [Content(f"$ {command}") for command in self.line.action.equivalent()]
        return Content("\n").join(parts)

    def waiting(self) -> None:
        """It is its turn later, or again."""
        self._sign(self.line.sign, "-waiting")
        self._right(say("screens.work.waiting"))

    def running(self, now: float) -> None:
        """It is its turn."""
        self._progress = _Progress(now)
        self._sign("▸", "-running")
        self._right(span(0))

    def tick(self, now: float) -> None:
        """Count the seconds."""
        if self._progress is not None:
            self._right(span(now - self._progress.since))

    def output(self, text: str) -> None:
        """Keep the last line that it printed."""
        if self._progress is not None:
            self._progress.output = text
            self.query_one(".more", Static).update(Content(text))

    def done(self, text: str) -> None:
        """It went well."""
        self._progress = None
        self._sign("✓", "-done")
        self._right(text)

    def failed(self, text: str) -> None:
        """It did not, or was stopped."""
        self._progress = None
        self._sign("✗", "-failed")
        self._right(text)

    @property
    def is_done(self) -> bool:
        """Whether it went well, in this list's time."""
        return self.has_class("-done")

    @property
    def busy(self) -> bool:
        """Whether it is its turn."""
        return self._progress is not None

    def _sign(self, sign: str, state: str) -> None:
        self.remove_class("-waiting", "-running", "-done", "-failed")
        self.add_class(state)
        self.query_one(".sign", Static).update(sign, layout=False)

    def _right(self, text: str) -> None:
        self.query_one(".right", Static).update(text)


class WorkList(VerticalScroll):
    """Lines of a preview. The selected one opens; up and down move the selection."""

    DEFAULT_CSS = "WorkList { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("home", "move(-9999)", show=False),
        Binding("end", "move(9999)", show=False),
    ]

    def __init__(self, lines: Sequence[Line], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._rows = [WorkRow(line) for line in lines]
        self._clock = clock
        self._selected = next((i for i, line in enumerate(lines) if line.sign != "✓"), 0)

    def compose(self) -> ComposeResult:
        yield from self._rows

    def on_mount(self) -> None:
        self._mark()

    @property
    def selected(self) -> Line | None:
        """The line that is open."""
        return self._rows[self._selected].line if self._rows else None

    def action_move(self, by: int) -> None:
        if self._rows:
            self._selected = min(max(self._selected + by, 0), len(self._rows) - 1)
            self._mark()

    def on_click(self, event: events.Click) -> None:
        for index, row in enumerate(self._rows):
            if event.widget is not None and row in event.widget.ancestors_with_self:
                self._selected = index
                self._mark()

    def _mark(self) -> None:
        for index, row in enumerate(self._rows):
            row.set_class(index == self._selected, "-selected")
        if self._rows:
            self.call_after_refresh(
                self._rows[self._selected].scroll_visible, animate=False, top=False
            )

    def begin(self) -> None:
        """From now on it shows how the work goes."""
        for row in self._rows:
            row.remove_class("-selected")
            if row.line.sign != "✓" and not row.is_done:
                row.waiting()

    def hear(self, event: Event) -> None:
        """News of one of its actions."""
        row = self._row(event)
        if row is None:
            return
        match event.event:
            case "started":
                row.running(self._clock())
                row.scroll_visible(animate=False)
            case "output":
                row.output(str(event.data.get("line", "")))
            case "done":
                resource = str(event.data.get("resource", ""))
                row.done(say(f"screens.work.{event.status}", resource=resource))
            case "problem":
                row.failed(say("screens.work.failed"))
            case _:
                return

    def _row(self, event: Event) -> WorkRow | None:
        """The same action may be there twice: removed first, then made anew."""
        of_action = [row for row in self._rows if row.line.action.id == event.action]
        removal = event.status in ("removing", "removed")
        if event.event in ("problem", "output"):
            of_action = [row for row in of_action if row.busy] or of_action
            return of_action[-1] if of_action else None
        return next((row for row in of_action if (row.line.sign == "-") == removal), None)

    def tick(self) -> None:
        """A second has passed."""
        for row in self._rows:
            row.tick(self._clock())

    def stopped(self) -> None:
        """The person stopped it: what was under way may have happened, or not."""
        for row in self._rows:
            if row.busy:
                row.failed(say("screens.work.unknown"))
