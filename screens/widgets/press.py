"""A button of one line, and the row of them at the foot of a screen, the primary one last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that a person can choose to do: `key` names it, `words` are on the button."""

    key: str
    words: str
    primary: bool = False
    disabled: bool = False
    danger: bool = False


class Press(Static, can_focus=True):
    """A button. Enter presses it; held or pasted line breaks do not reach it as more than Enter."""

    DEFAULT_CSS = """
    Press {
        width: auto; height: 1; margin-right: 2;
        color: $text; background: $surface-lighten-1;
        pointer: pointer;
        &.-primary { color: $text-primary; background: $primary-muted; text-style: bold; }
        &.-danger { color: $text-error; background: $error-muted; }
        &:focus { text-style: bold reverse; }
        &:disabled { text-style: dim; color: $text-disabled; background: $surface; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "press", show=False)]
    ALLOW_SELECT = False

    class Pressed(Message):
        """The button was pressed, by key or by mouse."""

        def __init__(self, press: Press) -> None:
            super().__init__()
            self.press = press
            self.key = press.offer.key

    def __init__(self, offer: Offer) -> None:
        super().__init__(self._label(offer), markup=False, id=f"press-{offer.key}")
        self.offer = offer
        self.disabled = offer.disabled
        self.set_class(offer.primary, "-primary")
        self.set_class(offer.danger, "-danger")

    def show(self, offer: Offer) -> None:
        """Become another offer in the same place."""
        if offer == self.offer:
            return
        if offer.words != self.offer.words:
            self.update(self._label(offer))
        self.offer = offer
        self.disabled = offer.disabled
        self.set_class(offer.primary, "-primary")
        self.set_class(offer.danger, "-danger")

    @staticmethod
    def _label(offer: Offer) -> Content:
        return Content(f"[ {offer.words} ]")

    def action_press(self) -> None:
        if not self.disabled:
            self.post_message(self.Pressed(self))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.action_press()


class Presses(Horizontal):
    """The row of buttons. The primary one stands on the right and takes the focus."""

    DEFAULT_CSS = """
    Presses {
        height: 1;
        & > .gap { width: 1fr; height: 1; }
        & > Press.-primary { margin-right: 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, offers: Sequence[Offer] = (), id: str | None = None) -> None:
        super().__init__(id=id)
        self._offers = tuple(offers)

    def compose(self) -> ComposeResult:
        yield from self._row()

    def _row(self) -> Sequence[Static]:
        left = [Press(offer) for offer in self._offers if not offer.primary]
        right = [Press(offer) for offer in self._offers if offer.primary]
        return [*left, Static(classes="gap"), *right]

    @property
    def primary(self) -> Press | None:
        """The primary button, where there is one."""
        return next((press for press in self.query(Press) if press.offer.primary), None)

    async def offer(self, offers: Sequence[Offer]) -> None:
        """Show these buttons instead. Buttons that stay keep their place and their focus."""
        offers = tuple(offers)
        if offers == self._offers:
            return
        same = [(o.key, o.primary) for o in offers] == [(o.key, o.primary) for o in self._offers]
        self._offers = offers
        if same:
            for offer in offers:
                self.query_one(f"#press-{offer.key}", Press).show(offer)
            return
        with self.app.batch_update():
            await self.remove_children()
            await self.mount(*self._row())
