"""The frame that every full screen has: a head line, the body between two rules, the keys."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import DescendantBlur, DescendantFocus, Mount
from textual.screen import Screen
from textual.widgets import Static

from screens.widgets.keys import Key, KeyLine
from services.text import say

T = TypeVar("T")


class Head(Static):
    """What this is about on the left; on the right "lab", where nothing here is real money."""

    DEFAULT_CSS = """
    Head {
        height: 2; padding: 0 1; text-wrap: nowrap;
        border-bottom: solid $foreground 35%;
        &.-lab { border-bottom: solid $warning; }
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._left = ""
        self._lab = False

    def show(self, left: str, *, lab: bool) -> None:
        """Say what the screen is about."""
        if (left, lab) != (self._left, self._lab):
            self._left, self._lab = left, lab
            self.set_class(lab, "-lab")
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        right = f" [{say('screens.lab')}]" if self._lab else ""
        room = max(self.content_size.width - len(right), 0)
        left = Content(self._left).truncate(room, ellipsis=True, pad=True)
        self.update(Content.assemble(left, (right, "bold $text-warning")), layout=False)


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
        yield from self.body()
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
        self.query_one(KeyLine).set_class(lab, "-lab")

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
