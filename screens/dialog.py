"""What questions and short readings have in common: a box on top, closed with Esc."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

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
