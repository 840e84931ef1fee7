"""Where the walk stands: every step with its state, as sign and word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from screens.spell import fit
from services.text import say

if TYPE_CHECKING:
    from services.walk import State

SIGNS: dict[State, str] = {
    "pending": "·",
    "begun": "○",
    "done": "✓",
    "attention": "!",
    "failed": "✗",
    "outdated": "~",
}
HERE = "▸"


@dataclass(frozen=True, slots=True)
class Station:
    """One step on the rail."""

    number: int
    title: str
    state: State
    here: bool

    @property
    def sign(self) -> str:
        return HERE if self.here else SIGNS[self.state]


class Rail(Static):
    """The steps below each other, on screens wide enough for them."""

    DEFAULT_CSS = """
    Rail {
        width: 32; height: 1fr; padding: 0 1;
        border-right: solid $foreground 35%;
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)

    def show(self, stations: Sequence[Station]) -> None:
        """Show the steps as they stand."""
        lines: list[Content] = []
        for station in stations:
            word = say(f"screens.state.{station.state}")
            style = "bold" if station.here else ""
            lines.append(
                Content.assemble(
                    (f"{station.sign} {station.number} ", style),
                    (f"{fit(station.title, 19)} ", style),
                    (word, "dim"),
                )
            )
        self.update(Content("\n").join(lines), layout=False)


def folded(stations: Sequence[Station]) -> str:
    """The rail on narrow screens: `3/7 Client`."""
    here = next(station for station in stations if station.here)
    return f"{here.number}/{len(stations)} {here.title}"


def signs(stations: Sequence[Station]) -> str:
    """Every step's sign in a row: `✓✓✓▸···`."""
    return "".join(station.sign for station in stations)
