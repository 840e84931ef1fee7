"""What questions and short readings have in common: a box on top, closed with Esc."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual import on
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from screens.guard import Guard
from screens.widgets.press import Press

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A box in the middle. Esc gives no answer."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > .box {
            width: 76; max-width: 100%; height: auto; max-height: 100%;
            padding: 1 2; border: solid $foreground 50%; background: $surface;
        }
        & .title { height: auto; text-style: bold; margin-bottom: 1; }
        & .text { height: auto; }
        & .scroll { height: auto; max-height: 14; }
        & Presses { margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", show=False, id="close")]

    def action_close(self) -> None:
        """Close it without an answer."""
        self.dismiss(None)


class Deciding(Dialog[T]):
    """A box whose buttons count only once the keys meant for the screen below are over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._guard = Guard(clock)

    def on_mount(self) -> None:
        self._guard.open()
        self.set_focus(self.query(Press).last())

    @property
    def ready(self) -> bool:
        """Whether a key pressed now counts."""
        return self._guard.quiet

    @on(Press.Pressed)
    def _pressed(self, message: Press.Pressed) -> None:
        if self._guard.passed():
            self.decide(message.key)

    def decide(self, key: str) -> None:
        """The button `key` was pressed, and meant."""
        raise NotImplementedError
