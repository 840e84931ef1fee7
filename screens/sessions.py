"""What is saved: every session with what it is about, and the way back into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.about import about
from screens.frame import Frame
from screens.spell import ago, fit, moment
from screens.widgets.keys import Key
from screens.widgets.outcome import problem_words
from services.pki.ending import ends
from services.problem import Problem
from services.text import say

if TYPE_CHECKING:
    from services.session.model import Session


class SessionsScreen(Frame[str]):
    """Answers the id of the session to go on with."""

    DEFAULT_CSS = """
    SessionsScreen {
        & #sessions { height: 1fr; padding: 0 1; }
        & .title { height: 1; text-style: bold; margin-bottom: 1; }
        & OptionList { height: 1fr; border: none; padding: 0; background: $background; }
    }
    """

    def __init__(
        self,
        current: str = "",
        *,
        lab: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`current` is the session that is open already."""
        super().__init__()
        self._current = current
        self._lab = lab
        self._now = now
        self._ids: list[str] = []

    def body(self) -> ComposeResult:
        with Vertical(id="sessions"):
            yield Static(say("screens.sessions.title"), classes="title", markup=False)
            yield OptionList(markup=False, compact=True)

    def on_mount(self) -> None:
        self.show_head(" · ".join(filter(None, ("nlb-mtls", self._current))), lab=self._lab)
        self.query_one(OptionList).focus()

    def show(self, saved: Sequence[Session | tuple[str, Problem]]) -> None:
        """These are there, latest first."""
        title = "screens.sessions.title" if saved else "screens.sessions.none"
        self.query_one(".title", Static).update(say(title))
        self._ids = [each[0] if isinstance(each, tuple) else each.id for each in saved]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([self._option(each) for each in saved])
        if saved:
            options.highlighted = 0

    def _option(self, saved: Session | tuple[str, Problem]) -> Option:
        if isinstance(saved, tuple):
            name, problem = saved
            return Option(Content.assemble(f"{name}  ", problem_words(problem)), disabled=True)
        place = f"[{say('screens.lab')}]" if saved.place == "lab" else ""
        made = say("screens.sessions.made", count=sum(deed.made for deed in saved.deeds))
        here = say("screens.sessions.open") if saved.id == self._current else ""
        return Option(
            Content.assemble(
                (fit(saved.id, 17), "bold"),
                f" {fit(about(saved), 32)} {fit(place, 6)} {fit(made, 10)}"
                f"{ago(moment(saved.changed), self._now())} {here}",
                *self._endings(saved),
            ),
            disabled=saved.id == self._current,
        )

    def _endings(self, saved: Session) -> Iterator[tuple[str, str]]:
        """A line for each certificate that has ended, or does soon."""
        for end in ends(saved.facts, self._now()):
            if end.ending:
                date = f"{end.not_after:%Y-%m-%d}"
                words = say(f"screens.sessions.ends-{end.ending}", role=end.role, date=date)
                colour = "$text-error" if end.ending == "over" else "$text-warning"
                yield f"\n{'':18}{words}", colour

    def keys(self) -> Sequence[Key]:
        return (
            Key("Enter", say("screens.key.go-on"), "choose", bool(self._ids)),
            Key("Esc", say("screens.key.back"), "back"),
            *self.common_keys(),
        )

    def action_choose(self) -> None:
        self.query_one(OptionList).action_select()

    def action_back(self) -> None:
        self.dismiss("")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._ids[event.option_index])
