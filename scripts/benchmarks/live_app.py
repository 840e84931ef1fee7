"""The live screen alone, fed with tallies from a thread as the assistant feeds it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from textual.app import App
from textual.message import Message
from textual.signal import Signal

from screens.live import LiveScreen
from screens.news import Latest, News
from services.cloud.port import Server, ServerHealth
from services.events import Event
from services.probe.tally import Tally, expected_shares
from services.steps.live import Live

Show = Callable[[Tally], None]


class Delivery(Message):
    """A newest snapshot lies ready."""


class LiveApp(App[None]):
    """Shows what `follow` passes to its argument, ten times a second.

    `follow` runs in a thread of its own and knows no widget.
    """

    def __init__(self, title: str, names: Sequence[str], follow: Callable[[Show], None]) -> None:
        super().__init__()
        self.news: Signal[News] = Signal(self, "news")
        self._about = title
        self._follow = follow
        self._latest = Latest()
        servers = [Server(id=f"i-{name}", type="Ecs", port=80, weight=100) for name in names]
        self._live = Live(
            endpoint="127.0.0.1:443",
            name="www.example.com",
            started=datetime.now(UTC),
            names={server.id: name for server, name in zip(servers, names, strict=True)},
            expected=expected_shares(dict.fromkeys(names, 100)),
            health=tuple(ServerHealth(server, "Normal") for server in servers),
            verdict="pass",
        )

    def on_mount(self) -> None:
        self.push_screen(LiveScreen(self._about, self.news, lab=True, again=lambda: None))
        threading.Thread(target=self._follow, args=(self._show,), daemon=True).start()

    def _show(self, tally: Tally) -> None:
        live = replace(self._live, tally=tally, health_at=datetime.now(UTC))
        if self._latest.put(Event("snapshot", step="verify", snapshot=live)):
            self.post_message(Delivery())

    def on_delivery(self) -> None:
        if (wait := self._latest.due_s()) > 0:
            self.set_timer(wait, self._publish)
        else:
            self._publish()

    def _publish(self) -> None:
        if (event := self._latest.take()) is not None:
            self.news.publish(event)
