"""Health and tally side by side, one line a backend, drawn line by line as they are seen.

Hundreds of backends at ten snapshots a second: only the lines on the screen are ever rendered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, overload

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


class ShareRows(Sequence[ShareRow]):
    """The rows of a snapshot, each made when somebody looks at it: of hundreds few are seen."""

    def __init__(self, live: Live) -> None:
        self._counts, self._expected = live.tally.backends, live.expected
        self._total = sum(self._counts.values())
        self._beyond = live.beyond_chance()
        self.names: Sequence[str] = sorted(
            {**live.expected, **self._counts}, key=lambda name: (name not in self._beyond, name)
        )
        """Those whose share is not chance first, then by name; expected ones without a response
        too."""

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> ShareRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ShareRow]: ...
    def __getitem__(self, index: int | slice) -> ShareRow | Sequence[ShareRow]:
        if isinstance(index, slice):
            return [self._row(name) for name in self.names[index]]
        return self._row(self.names[index])

    def _row(self, name: str) -> ShareRow:
        count = self._counts.get(name, 0)
        return ShareRow(
            name,
            count,
            count / self._total if self._total else 0.0,
            self._expected.get(name),
            name not in self._beyond,
        )


@dataclass(frozen=True, slots=True)
class _Columns:
    """How wide the columns are that share what room there is."""

    health: int
    name: int
    bar: int

    @classmethod
    def within(cls, width: int) -> _Columns:
        health = 18 if width < 98 else 34
        name = 8 if width - health < 70 else 20
        return cls(health, name, max(width - health - name - 37, 4))


@dataclass(frozen=True, slots=True)
class _Frame:
    """Everything about one drawing that is the same for all its lines."""

    first: int
    """The row that is seen at the top."""
    width: int
    columns: _Columns
    plain: Style
    bar: Style
    bad: Style
    dim: Style
    cursor: Style


class TallyTable(ScrollView, can_focus=True):
    """The cursor stays on its backend when the order changes."""

    DEFAULT_CSS = """
    TallyTable { height: auto; background: $background; overflow-x: hidden; }
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
        self._shares: ShareRows | None = None
        self._parts: dict[str, Style] = {}
        self._stale = False
        self._cursor = ""

    def show(self, health: Sequence[HealthRow], shares: ShareRows, *, stale: bool) -> None:
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
        names = self._shares.names
        at = names.index(self._cursor) if self._cursor in names else -1 if by > 0 else 0
        at = min(max(at + by, 0), len(names) - 1)
        self._cursor = names[at]
        self.scroll_to_region(Region(0, at, 1, 1), animate=False)
        self.refresh()

    def heading(self, ok: int, requests: int) -> str:
        """What stands above the columns."""
        columns = _Columns.within(self.size.width)
        left = fit(say("screens.live.health"), columns.health)
        responses = say("screens.live.responses", ok=spelt(ok), requests=spelt(requests))
        counted = fit(responses, columns.name + columns.bar + 7)
        share, expected = say("screens.live.share"), say("screens.live.expected")
        return f"{left}{counted}{share:>8}{expected:>10}"

    def render_lines(self, crop: Region) -> list[Strip]:
        # What all lines of a frame have in common: Textual works each of these out anew when asked.
        self._frame = _Frame(
            first=self.scroll_offset.y,
            width=self.size.width,
            columns=_Columns.within(self.size.width),
            plain=self.rich_style,
            bar=self._part("bar"),
            bad=self._part("bad"),
            dim=self._part("dim"),
            cursor=self._part("cursor") if self.has_focus else Style.null(),
        )
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        frame = self._frame
        index = y + frame.first
        segments = [*self._health_part(index, frame), *self._share_part(index, frame)]
        strip = Strip(segments).adjust_cell_length(frame.width, frame.plain)
        return strip.apply_style(frame.plain)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._parts.clear()

    def _part(self, name: str) -> Style:
        if name not in self._parts:
            self._parts[name] = self.get_component_rich_style(f"tally--{name}", partial=True)
        return self._parts[name]

    def _health_part(self, index: int, frame: _Frame) -> list[Segment]:
        width = frame.columns.health
        if index >= len(self._health):
            return [Segment(" " * width)]
        row = self._health[index]
        text = fit(f"{'✓' if row.well else '✗'} {row.name} {row.words}", width - 1)
        style = frame.dim if self._stale else None if row.well else frame.bad
        return [Segment(text + " ", style)]

    def _share_part(self, index: int, frame: _Frame) -> list[Segment]:
        if self._shares is None or index >= len(self._shares):
            return []
        row, columns = self._shares[index], frame.columns
        expected = "" if row.expected is None else f"{row.expected:.0%}".replace("%", " %")
        chance = "" if row.expected is None else self._chance(row)
        return [
            Segment(
                fit(row.name, columns.name - 1) + " ",
                frame.cursor if row.name == self._cursor else None,
            ),
            Segment(bar(row.share, columns.bar), frame.bar),
            Segment(f"{spelt(row.count):>7}"),
            Segment(f"{row.share * 100:>6.1f} %"),
            Segment(f"{expected:>7}", frame.dim),
            Segment(f"  {fit(chance, 13)}", None if row.by_chance else frame.bad),
        ]

    @staticmethod
    def _chance(row: ShareRow) -> str:
        return say("screens.live.by-chance" if row.by_chance else "screens.live.not-chance")
