"""The command log: what was run, ready to be copied, filtered and saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.signal import Signal
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.clipboard import Copy
from screens.commandlog import CommandLog, Entry, Group
from screens.frame import Frame
from screens.news import News
from screens.spell import clock
from screens.widgets.keys import Key
from services.events import Event
from services.text import say

_SIGNS = {"running": "▸", "done": "✓", "failed": "✗"}


class LogScreen(Frame[None]):
    """Latest at the bottom, as in a shell."""

    DEFAULT_CSS = """
    LogScreen {
        & #log { height: 1fr; padding: 0 1; }
        & .title { height: 1; text-style: bold; margin-bottom: 1; }
        & OptionList { height: 1fr; border: none; padding: 0; background: $background; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy_line", show=False, id="copy-line"),
        Binding("C", "copy_group", show=False, id="copy-group"),
        Binding("w", "save", show=False, id="save-log"),
        Binding("f", "fold", show=False, id="fold-log"),
        Binding("slash", "filter", show=False, id="filter-log"),
    ]
    HELP_KEY = "log"

    def __init__(self, log: CommandLog, news: Signal[News], about: str, *, lab: bool) -> None:
        """`about` is what the session is about."""
        super().__init__()
        self._about = about
        self._lab = lab
        self._commands = log
        self._news = news
        self._shown: list[tuple[Group, Entry] | None] = []
        self._folded = True

    def body(self) -> ComposeResult:
        with Vertical(id="log"):
            yield Static(say("screens.log.title"), classes="title", markup=False)
            yield OptionList(markup=False, compact=True)
            field = Input(placeholder=say("screens.log.filter"), compact=True)
            field.display = False
            yield field

    def on_mount(self) -> None:
        self.show_head(self._about, lab=self._lab)
        self.query_one(Input).cursor_blink = False
        self._news.subscribe(self, self._heard)
        self._fill()
        self.query_one(OptionList).focus()

    def _heard(self, news: News) -> None:
        if isinstance(news, Event) and news.event in ("started", "done", "problem", "command"):
            self._fill()

    def _fill(self) -> None:
        wanted = self.query_one(Input).value.lower()
        options = self.query_one(OptionList)
        at = options.highlighted
        follows = at is None or at >= len(self._shown) - 1
        lines: list[Option] = []
        self._shown = []
        for group in self._commands.groups:
            entries = [
                entry
                for entry in group.entries
                if wanted in " ".join((entry.title, *entry.commands)).lower()
            ]
            if entries:
                lines.append(Option(Content.styled(group.title, "bold"), disabled=True))
                self._shown.append(None)
            looks = [entry for entry in entries if entry.reads]
            if looks and self._folded:
                words = say("screens.log.reads", count=len(looks))
                lines.append(Option(Content.styled(f"· {words}", "dim"), disabled=True))
                self._shown.append(None)
            for entry in entries:
                if not (entry.reads and self._folded):
                    lines.append(Option(self._line(entry)))
                    self._shown.append((group, entry))
        options.clear_options()
        options.add_options(lines)
        if lines:
            options.highlighted = len(lines) - 1 if follows else min(at or 0, len(lines) - 1)
        title = "screens.log.title" if lines else "screens.log.empty"
        self.query_one(".title", Static).update(say(title))

    @staticmethod
    def _line(entry: Entry) -> Content:
        took = f" {entry.seconds:.1f} s" if entry.seconds else ""
        parts: list[tuple[str, str] | str] = [
            f"{_SIGNS[entry.state]} ",
            (f"{clock(entry.at)} {entry.title}{took}", "dim"),
        ]
        for command in entry.commands:
            parts.append(f"\n    $ {command}")
        if not entry.commands:
            parts.append(("\n    " + say("screens.log.no-command"), "dim"))
        return Content.assemble(*parts)

    def _selected(self) -> tuple[Group, Entry] | None:
        at = self.query_one(OptionList).highlighted
        return self._shown[at] if at is not None and at < len(self._shown) else None

    def keys(self) -> Sequence[Key]:
        return (
            Key("c", say("screens.key.copy"), "copy_line"),
            Key("C", say("screens.key.copy-group"), "copy_group"),
            Key("w", say("screens.key.save"), "save"),
            Key("f", say("screens.key.fold"), "fold"),
            Key("/", say("screens.key.filter"), "filter"),
            Key("Esc", say("screens.key.back"), "back"),
        )

    def action_copy_line(self) -> None:
        if (selected := self._selected()) is not None:
            self.post_message(Copy("\n".join(selected[1].lines)))

    def action_copy_group(self) -> None:
        if (selected := self._selected()) is not None:
            lines = [
                line for entry in selected[0].entries if not entry.reads for line in entry.lines
            ]
            self.post_message(Copy("\n".join(lines)))

    def action_save(self) -> None:
        """Keep the whole log as `commands.sh`, and put it on the clipboard as well."""
        self.post_message(Copy(self._commands.script(), "commands.sh"))

    def action_fold(self) -> None:
        """Show or fold what only looked at the world."""
        self._folded = not self._folded
        self._fill()

    def action_filter(self) -> None:
        field = self.query_one(Input)
        field.display = True
        # At once: what is typed next belongs there.
        self.set_focus(field)

    def action_back(self) -> None:
        """Esc closes the filter first, then the log."""
        field = self.query_one(Input)
        if field.display:
            field.value = ""
            field.display = False
            self.query_one(OptionList).focus()
            return
        self.dismiss()

    @on(Input.Changed)
    def _filter_changed(self) -> None:
        self._fill()

    @on(Input.Submitted)
    def _filter_done(self) -> None:
        self.query_one(OptionList).focus()
