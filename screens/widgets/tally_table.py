"""Health and tally side by side, one line a backend, drawn line by line as they are seen.

Hundreds of backends at ten snapshots a second: only the lines on the screen are ever rendered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.spell import count as spelt
from screens.spell import fit
from screens.widgets.bars import bar
from services.text import say

if TYPE_CHECKING:
    from services.cloud.port import ServerHealth
    from services.steps.live import Live

NORMAL = "Normal"
"""The API's word for a healthy backend."""


@dataclass(frozen=True, slots=True)
class HealthRow:
    """A backend as the listener sees it."""

    name: str
    status: str
    reason: str

    @property
    def well(self) -> bool:
        return self.status == NORMAL

    @property
    def words(self) -> str:
        status = say("screens.live.normal") if self.well else self.status
        return f"{status}: {self.reason}" if self.reason else status


@dataclass(frozen=True, slots=True)
class ShareRow:
    """A backend as the responses show it. `expected` is None where nobody knows its weight."""

    name: str
    count: int
    share: float
    expected: float | None
    by_chance: bool


def health_rows(health: Sequence[ServerHealth], names: Mapping[str, str]) -> list[HealthRow]:
    """Worst first, then by name."""
    rows = [HealthRow(names.get(h.server.id, h.server.id), h.status, h.reason) for h in health]
    return sorted(rows, key=lambda row: (row.well, row.name))


def share_rows(live: Live) -> list[ShareRow]:
    """Those whose share is not chance first, then by name; expected ones without a response too."""
    counts = live.tally.backends
    total = sum(counts.values())
    rows = [
        ShareRow(
            name,
            counts.get(name, 0),
            counts.get(name, 0) / total if total else 0.0,
            live.expected.get(name),
            not total or name not in live.expected or live.within_chance(name),
        )
        for name in {**live.expected, **counts}
    ]
    return sorted(rows, key=lambda row: (row.by_chance, row.name))


class TallyTable(ScrollView, can_focus=True):
    """The cursor stays on its backend when the order changes."""

    DEFAULT_CSS = """
    TallyTable { height: auto; background: $background; }
    TallyTable > .tally--bar { color: $primary; }
    TallyTable > .tally--bad { color: $text-error; text-style: bold; }
    TallyTable > .tally--dim { color: $text-muted; }
    TallyTable > .tally--cursor { text-style: reverse; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "tally--bar",
        "tally--bad",
        "tally--dim",
        "tally--cursor",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "move(-100000)", show=False),
        Binding("end", "move(100000)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._health: Sequence[HealthRow] = ()
        self._shares: Sequence[ShareRow] = ()
        self._stale = False
        self._cursor = ""

    def show(self, health: Sequence[HealthRow], shares: Sequence[ShareRow], *, stale: bool) -> None:
        """Show these rows instead; `stale` health is dim, but stays."""
        self._health, self._shares, self._stale = health, shares, stale
        size = Size(self.size.width, max(len(health), len(shares), 2))
        if size.height != self.virtual_size.height:
            self.virtual_size = size
        self.refresh()

    @property
    def selected(self) -> str:
        """The backend under the cursor."""
        return self._cursor

    def action_move(self, by: int) -> None:
        if not self._shares:
            return
        names = [row.name for row in self._shares]
        at = names.index(self._cursor) if self._cursor in names else -1 if by > 0 else 0
        at = min(max(at + by, 0), len(names) - 1)
        self._cursor = names[at]
        self.scroll_to_region(Region(0, at, 1, 1), animate=False)
        self.refresh()

    @property
    def _left(self) -> int:
        return 18 if self.size.width < 98 else 34

    @property
    def _name_width(self) -> int:
        return 8 if self.size.width - self._left < 70 else 20

    @property
    def _bar_width(self) -> int:
        return max(self.size.width - self._left - self._name_width - 37, 4)

    def heading(self, ok: int, requests: int) -> str:
        """What stands above the columns."""
        left = fit(say("screens.live.health"), self._left)
        responses = say("screens.live.responses", ok=spelt(ok), requests=spelt(requests))
        counted = fit(responses, self._name_width + self._bar_width + 7)
        share, expected = say("screens.live.share"), say("screens.live.expected")
        return f"{left}{counted}{share:>8}{expected:>10}"

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        segments = [*self._health_part(index), *self._share_part(index)]
        strip = Strip(segments).adjust_cell_length(self.size.width, self.rich_style)
        return strip.apply_style(self.rich_style)

    def _part(self, name: str) -> Style:
        return self.get_component_rich_style(f"tally--{name}", partial=True)

    def _health_part(self, index: int) -> list[Segment]:
        if index >= len(self._health):
            return [Segment(" " * self._left)]
        row = self._health[index]
        text = fit(f"{'✓' if row.well else '✗'} {row.name} {row.words}", self._left - 1)
        style = self._part("dim") if self._stale else None if row.well else self._part("bad")
        return [Segment(text + " ", style)]

    def _share_part(self, index: int) -> list[Segment]:
        if index >= len(self._shares):
            return []
        row = self._shares[index]
        expected = "" if row.expected is None else f"{row.expected:.0%}".replace("%", " %")
        chance = "" if row.expected is None else self._chance(row)
        under_cursor = row.name == self._cursor and self.has_focus
        return [
            Segment(
                fit(row.name, self._name_width - 1) + " ",
                self._part("cursor") if under_cursor else None,
            ),
            Segment(bar(row.share, self._bar_width), self._part("bar")),
            Segment(f"{spelt(row.count):>7}"),
            Segment(f"{row.share * 100:>6.1f} %"),
            Segment(f"{expected:>7}", self._part("dim")),
            Segment(f"  {fit(chance, 13)}", None if row.by_chance else self._part("bad")),
        ]

    @staticmethod
    def _chance(row: ShareRow) -> str:
        return say("screens.live.by-chance" if row.by_chance else "screens.live.not-chance")
