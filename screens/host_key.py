"""An unknown host key: what to compare it with, and a way out that has the focus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from screens.dialog import Deciding
from screens.widgets.press import Offer, Presses
from services.text import say

if TYPE_CHECKING:
    from services.hosts.port import HostKeyQuestion

_FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


class HostKey(Deciding[bool]):
    """Answers True only for "it is the same, connect". A changed key never comes here."""

    def __init__(self, question: HostKeyQuestion) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        question, host = self._question, self._question.host
        kind = _FILES.get(question.algorithm, "ecdsa")
        with Vertical(classes="box"):
            yield Static(
                say("screens.host-key.title", host=host.name), classes="title", markup=False
            )
            yield Static(
                Content.assemble(
                    say("screens.host-key.at", address=host.address, port=host.port),
                    "\n\n  ",
                    (f"{question.algorithm}\n  {question.fingerprint}", "bold"),
                    "\n\n",
                    say("screens.host-key.compare"),
                    "\n\n  ",
                    (f"ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub", "bold"),
                    "\n\n",
                    say("screens.host-key.same"),
                ),
                classes="text",
                markup=False,
            )
            yield Presses(
                [
                    Offer("yes", say("screens.host-key.connect"), danger=True),
                    Offer("no", say("screens.host-key.refuse"), primary=True),
                ]
            )

    def decide(self, key: str) -> None:
        self.dismiss(key == "yes")

    def action_close(self) -> None:
        self.dismiss(False)
