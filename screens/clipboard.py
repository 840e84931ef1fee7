"""Copying that also works where the terminal has no clipboard: by OSC 52 and into a file."""

from __future__ import annotations

from textual.message import Message


class Copy(Message):
    """Put `text` into `file` among the session's reports and, as it is, on the clipboard."""

    def __init__(self, text: str, file: str = "command.txt", *, clipboard: bool = True) -> None:
        super().__init__()
        self.text = text
        self.file = file
        self.clipboard = clipboard
