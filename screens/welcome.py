"""The first screen: a new set-up, a saved one, or the lab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.frame import Frame
from screens.widgets.keys import Key
from services.text import say

Way = Literal["lab", "cloud", "resume", "sessions"]


class Chosen(Message):
    """The person chose a way to begin."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way = way


class Welcome(Frame[None]):
    """Offers first what this person can most likely use."""

    DEFAULT_CSS = """
    Welcome {
        & #welcome { height: 1fr; padding: 1 3; }
        & #about { height: auto; margin-bottom: 1; }
        & OptionList { height: auto; border: none; padding: 0; background: $background; }
    }
    """
    HELP_KEY = "welcome"

    def __init__(self) -> None:
        super().__init__()
        self._ways: Sequence[Way] = ("lab", "cloud", "sessions")

    def body(self) -> ComposeResult:
        with Vertical(id="welcome"):
            yield Static(say("screens.welcome.about"), id="about", markup=False)
            yield OptionList(*self._options(), markup=False, compact=True)

    def on_mount(self) -> None:
        self.show_head("nlb-mtls")
        options = self.query_one(OptionList)
        options.highlighted = 0
        options.focus()

    def offer(self, *, credentials: bool, saved: int) -> None:
        """What was found out meanwhile: keys of a real account, and saved sessions.

        What the person has already moved to stays highlighted.
        """
        rest: Sequence[Way] = ("cloud", "lab") if credentials else ("lab", "cloud")
        ways: Sequence[Way] = ("resume", *rest, "sessions") if saved else (*rest, "sessions")
        if ways == self._ways:
            return
        options = self.query_one(OptionList)
        moved = bool(options.highlighted)
        chosen = self._ways[options.highlighted or 0]
        self._ways = ways
        options.clear_options()
        options.add_options(self._options())
        options.highlighted = ways.index(chosen) if moved else 0

    def _options(self) -> list[Option]:
        return [
            Option(
                Content.assemble(
                    (say(f"screens.welcome.{way}.title"), "bold"),
                    "\n  ",
                    (say(f"screens.welcome.{way}.about"), "dim"),
                    "\n",
                ),
                id=way,
            )
            for way in self._ways
        ]

    def keys(self) -> Sequence[Key]:
        return (
            Key("Enter", say("screens.key.choose"), "choose"),
            Key("↑↓", say("screens.key.move"), "move"),
            Key("^q", say("screens.key.quit"), "app.quit"),
            *self.common_keys(),
        )

    def action_choose(self) -> None:
        self.query_one(OptionList).action_select()

    def action_move(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_back(self) -> None:
        """Esc never quits; there is nothing before this screen."""

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.post_message(Chosen(self._ways[event.option_index]))
