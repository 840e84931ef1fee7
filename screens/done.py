"""The end of the walk: what was made, where it lies, until when it holds, and how to go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.about import about
from screens.frame import Frame
from screens.messages import CleanUp
from screens.widgets.keys import Key
from screens.widgets.press import Offer, Press, Presses
from services.pki.ending import ends
from services.text import say

if TYPE_CHECKING:
    from services.walk import Walk

_STYLES = {"": "", "soon": "bold $text-warning", "over": "bold $text-error"}


class Done(Frame[None]):
    """Nothing is asked here; the way out has the focus."""

    DEFAULT_CSS = """
    Done {
        & #done { height: 1fr; padding: 0 1; }
        & .title { height: 1; text-style: bold; margin-bottom: 1; }
        & .text { height: auto; }
        & .scroll { height: 1fr; }
        & Presses { margin-top: 1; }
    }
    """

    def __init__(self, walk: Walk, program: str) -> None:
        """`program` is how this program is called, for the commands that it names."""
        super().__init__()
        self._walk = walk
        self._program = program

    def body(self) -> ComposeResult:
        with Vertical(id="done"):
            yield Static(say("screens.done.title"), classes="title", markup=False)
            with VerticalScroll(classes="scroll"):
                yield Static(self._words(), classes="text", markup=False)
            yield Presses(
                [
                    Offer("back", say("screens.press.back")),
                    Offer("cleanup", say("screens.press.clean-up"), danger=True),
                    Offer("quit", say("screens.press.quit"), primary=True),
                ]
            )

    def _words(self) -> Content:
        session, folder = self._walk.session, self._walk.store.folder
        parts: list[tuple[str, str] | str] = []
        for command in ("status", "verify", "export report", "cleanup"):
            parts += [
                say(f"screens.done.{command.partition(' ')[0]}"),
                (f"\n  {self._program} {command} {session.id}\n", "bold"),
            ]
        parts += ["\n", say("screens.done.files"), f"\n  {folder.path}\n\n"]
        for end in ends(session.facts, datetime.now(UTC)):
            words = say(
                f"screens.done.until{f'-{end.ending}' if end.ending else ''}",
                role=end.role,
                date=f"{end.not_after:%Y-%m-%d}",
                count=end.days_left,
            )
            parts.append((f"{words}\n", _STYLES[end.ending]))
        parts += ["\n", say("screens.done.made"), "\n"]
        for deed in session.deeds:
            parts.append(f"  {'+' if deed.made else '='} {deed.kind} {deed.resource}\n")
        return Content.assemble(*parts)

    def on_mount(self) -> None:
        session = self._walk.session
        self.show_head(f"nlb-mtls · {about(session)}", lab=session.place == "lab")
        self.query_one("#press-quit").focus()

    def keys(self) -> Sequence[Key]:
        return (
            Key("Enter", say("screens.press.quit"), "app.quit"),
            Key("Esc", say("screens.key.back"), "back"),
            Key("l", say("screens.key.log"), "app.log"),
            *self.common_keys(),
        )

    @on(Press.Pressed)
    async def _pressed(self, message: Press.Pressed) -> None:
        match message.key:
            case "back":
                self.action_back()
            case "quit":
                await self.run_action("app.quit")
            case "cleanup":
                self.dismiss()
                self.post_message(CleanUp())
