"""A session that comes back: then and now, before anything else is offered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.frame import Frame
from screens.spell import ago, moment
from screens.widgets.keys import Key
from screens.widgets.press import Offer, Press, Presses
from services.text import say

if TYPE_CHECKING:
    from services.session.model import Session
    from services.walk import Drift

_SIGNS = {"gone": "✗", "changed": "!", "unknown": "?"}


class Returned(Frame[None]):
    """Answers by going on: what is gone will be made again, what is there is left alone."""

    DEFAULT_CSS = """
    Returned {
        & #returned { height: 1fr; padding: 0 1; }
        & .title { height: 1; text-style: bold; margin-bottom: 1; }
        & .text { height: auto; }
        & .scroll { height: 1fr; }
        & Presses { margin-top: 1; }
    }
    """

    def __init__(
        self,
        before: Session,
        drifts: Sequence[Drift],
        go_on: Callable[[], object],
        leave: Callable[[], object],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`before` is the session as it was saved."""
        super().__init__()
        self._before = before
        self._drifts = drifts
        self._go_on = go_on
        self._leave = leave
        self._now = now

    def body(self) -> ComposeResult:
        with Vertical(id="returned"):
            yield Static(
                say("screens.returned.title", session=self._before.id),
                classes="title",
                markup=False,
            )
            with VerticalScroll(classes="scroll", can_focus=False):
                yield Static(self._comparison(), classes="text", markup=False)
            yield Presses(
                [
                    Offer("back", say("screens.press.back")),
                    Offer("go", say("screens.press.go-on"), primary=True),
                ]
            )

    def _comparison(self) -> Content:
        drifting = {drift.deed.id: drift for drift in self._drifts}
        lines = [
            Content(
                say("screens.returned.when", ago=ago(moment(self._before.changed), self._now()))
            ),
            Content(),
        ]
        if not self._before.deeds:
            lines.append(Content(say("screens.returned.nothing")))
        for deed in self._before.deeds:
            drift = drifting.get(deed.id)
            what = f"{deed.kind} {deed.resource}".strip()
            if drift is None:
                word = say("screens.drift.begun" if deed.state == "begun" else "screens.drift.same")
                lines.append(Content.assemble("✓ ", what, "  ", (word, "dim")))
                continue
            word = say(f"screens.drift.{drift.how}")
            line = Content.assemble((f"{_SIGNS[drift.how]} {what}  {word}", "bold"))
            lines.append(line)
            if drift.evidence:
                lines.append(Content.styled(f"  {drift.evidence}", "dim"))
        return Content("\n").join(lines)

    def on_mount(self) -> None:
        self.show_head(f"nlb-mtls · {self._before.id}", lab=self._before.place == "lab")
        self.query_one("#press-go").focus()

    def keys(self) -> Sequence[Key]:
        return (
            Key("Enter", say("screens.press.go-on"), "go_on"),
            Key("Esc", say("screens.key.back"), "back"),
            *self.common_keys(),
        )

    def action_go_on(self) -> None:
        self._go_on()

    def action_back(self) -> None:
        self._leave()

    @on(Press.Pressed)
    def _pressed(self, message: Press.Pressed) -> None:
        if message.key == "go":
            self._go_on()
        else:
            self._leave()
