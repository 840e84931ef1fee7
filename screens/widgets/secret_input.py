"""Where a secret is typed: dots, no copying, no length to see once the focus is elsewhere."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from services.text import say


class SecretInput(Static, can_focus=True):
    """Takes typed and pasted text. There is nothing to select, copy, cut, suggest or recall.

    Textual's own password field hands out the clear text on ctrl+c.
    """

    DEFAULT_CSS = """
    SecretInput {
        width: 1fr; height: 1; background: $surface;
        &:focus { background: $surface-lighten-1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace", "rub_out", show=False),
        Binding("ctrl+u,delete", "clear", show=False),
        Binding("enter", "submit", show=False),
    ]
    ALLOW_SELECT = False

    class Changed(Message):
        """Its content changed; the content itself does not travel."""

    class Submitted(Message):
        """Enter was pressed."""

    def __init__(self, placeholder: str, id: str | None = None) -> None:
        super().__init__(Content.styled(placeholder, "dim"), markup=False, id=id)
        self._placeholder = placeholder
        self._secret = ""

    @property
    def secret(self) -> str:
        """What was typed."""
        return self._secret

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and character.isprintable()

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character is not None:
            event.stop()
            event.prevent_default()
            self._set(self._secret + event.character)

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        lines = event.text.splitlines()
        if len(lines) > 1:
            self.notify(say("screens.ask.one-line"), severity="warning", markup=False)
        elif lines:
            self._set(self._secret + lines[0])

    def action_rub_out(self) -> None:
        self._set(self._secret[:-1])

    def action_clear(self) -> None:
        self._set("")

    def action_submit(self) -> None:
        self.post_message(self.Submitted())

    def forget(self) -> None:
        """Drop the secret, without telling anyone."""
        self._secret = ""
        self._draw()

    def _set(self, secret: str) -> None:
        self._secret = secret
        self._draw()
        self.post_message(self.Changed())

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def on_unmount(self) -> None:
        self._secret = ""

    def _draw(self) -> None:
        if self.has_focus:
            self.update(Content.assemble("•" * len(self._secret), (" ", "reverse")), layout=False)
        elif self._secret:
            self.update(say("screens.ask.secret-typed"), layout=False)
        else:
            self.update(Content.styled(self._placeholder, "dim"), layout=False)
