"""Go to a step: all of them are listed, and those that cannot be gone to yet say why."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.dialog import Dialog
from screens.spell import fit
from screens.widgets.rail import Station
from services.text import say


class GoTo(Dialog[int]):
    """Answers the number of the chosen step."""

    DEFAULT_CSS = """
    GoTo OptionList { height: auto; max-height: 12; border: none; padding: 0; }
    """

    def __init__(self, stations: Sequence[Station], reach: int) -> None:
        """`reach` is the number of the first step that is not done: nothing beyond it is open."""
        super().__init__()
        self._stations = stations
        self._reach = reach

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(say("screens.goto.title"), classes="title", markup=False)
            yield OptionList(
                *[Option(self._line(s), disabled=s.number > self._reach) for s in self._stations],
                markup=False,
                compact=True,
            )

    def _line(self, station: Station) -> Content:
        word = (
            say("screens.goto.first", title=self._stations[self._reach].title)
            if station.number > self._reach
            else say(f"screens.state.{station.state}")
        )
        return Content.assemble(
            f"{station.sign} {station.number} {fit(station.title, 22)} ", (word, "dim")
        )

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        options.highlighted = next((s.number for s in self._stations if s.here), 0)
        options.focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)
