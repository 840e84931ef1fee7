"""The frame that every full screen has: a head line, the body between two rules, the keys."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import DescendantBlur, DescendantFocus, Mount
from textual.screen import Screen
from textual.widgets import Static

from screens.widgets.keys import Key, KeyLine
from services.text import say

T = TypeVar("T")


class Rule(Static):
    """A line across the screen."""

    DEFAULT_CSS = """
    Rule { height: 1; border-top: solid $foreground 35%; }
    Rule.-lab { border-top: solid $warning; }
    """
    ALLOW_SELECT = False


class Head(Horizontal):
    """What this is about on the left; on the right "lab", where nothing here is real money."""

    DEFAULT_CSS = """
    Head {
        height: 1; padding: 0 1;
        & > #head-left { width: 1fr; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #head-right { width: auto; height: 1; color: $text-warning; text-style: bold; }
    }
    """

    def compose(self) -> ComposeResult:
        yield Static(markup=False, id="head-left")
        yield Static(markup=False, id="head-right")

    def show(self, left: str, *, lab: bool) -> None:
        """Say what the screen is about."""
        self.query_one("#head-left", Static).update(left, layout=False)
        self.query_one("#head-right", Static).update(f" [{say('screens.lab')}]" if lab else "")


class Frame(Screen[T]):
    """A full screen. Subclasses yield their body, name their keys and say what they are about."""

    DEFAULT_CSS = """
    Frame { layout: vertical; overflow: hidden hidden; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.help", show=False, id="help-letter"),
        Binding("l", "app.log", show=False, id="log"),
        Binding("s", "app.sessions", show=False, id="sessions"),
        Binding("escape", "back", show=False, id="back"),
    ]
    HELP_KEY = "frame"
    """Which text of `screens.help` explains this screen."""

    def compose(self) -> ComposeResult:
        yield Head()
        yield Rule()
        yield from self.body()
        yield Rule()
        yield KeyLine()

    def body(self) -> ComposeResult:
        """What stands between the rules."""
        raise NotImplementedError

    def keys(self) -> Sequence[Key]:
        """What the key line shows now."""
        return (Key("Esc", say("screens.key.back"), "back"), *self.common_keys())

    def common_keys(self) -> Sequence[Key]:
        """The keys that work nearly everywhere, for the end of the line."""
        return (
            Key("F1", say("screens.key.help"), "app.help"),
            Key("^p", say("screens.key.commands"), "app.command_palette"),
        )

    def show_head(self, left: str, *, lab: bool = False) -> None:
        """Fill the head line."""
        self.query_one(Head).show(left, lab=lab)
        self.query(Rule).set_class(lab, "-lab")

    def show_keys(self) -> None:
        """Fill the key line anew."""
        self.query_one(KeyLine).show(self.keys())

    @on(Mount)
    def _framed(self) -> None:
        self.show_keys()

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _focus_moved(self) -> None:
        self.show_keys()

    def action_back(self) -> Awaitable[None] | None:
        """Esc: close this screen."""
        self.dismiss()
        return None
