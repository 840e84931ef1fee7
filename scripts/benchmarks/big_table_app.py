"""The live screen alone, fed with the snapshots of 500 backends by `feeder`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from textual.app import App
from textual.message import Message
from textual.signal import Signal

from screens.live import LiveScreen
from screens.news import Latest, News
from scripts.benchmarks.feeder import NAMES
from services.cloud.port import Server, ServerHealth
from services.events import Event
from services.probe.tally import Tally, expected_shares
from services.probe.wire import Line
from services.steps.live import Live


class Delivery(Message):
    """A newest snapshot lies ready."""


class Fed(App[None]):
    """Takes the lines in a thread and shows what they say ten times a second, as the assistant."""

    def __init__(self) -> None:
        super().__init__()
        self.news: Signal[News] = Signal(self, "news")
        self._latest = Latest()
        self._feeder = subprocess.Popen(
            [sys.executable, "-m", "scripts.benchmarks.feeder"], stdout=subprocess.PIPE
        )

    def on_mount(self) -> None:
        screen = LiveScreen("500 backends", self.news, lab=True, again=lambda: None)
        self.push_screen(screen)
        threading.Thread(target=self._follow, daemon=True).start()

    def on_unmount(self) -> None:
        self._feeder.kill()

    def _follow(self) -> None:
        lines = self._feeder.stdout
        assert lines is not None
        servers = [Server(id=f"i-{name}", type="Ecs", port=80, weight=100) for name in NAMES]
        live = Live(
            endpoint="127.0.0.1:443",
            name="www.example.com",
            started=datetime.now(UTC),
            names={server.id: name for server, name in zip(servers, NAMES, strict=True)},
            expected=expected_shares(dict.fromkeys(NAMES, 100)),
            health=tuple(ServerHealth(server, "Normal") for server in servers),
            verdict="pass",
        )
        for text in lines:
            line: Line = json.loads(text)
            tally = Tally.from_map(line["tally"]).after(live.tally)
            live = replace(live, tally=tally, health_at=datetime.now(UTC))
            event = Event("snapshot", step="verify", snapshot=live)
            if self._latest.put(event):
                self.post_message(Delivery())

    def on_delivery(self) -> None:
        if (wait := self._latest.due_s()) > 0:
            self.set_timer(wait, self._publish)
        else:
            self._publish()

    def _publish(self) -> None:
        if (event := self._latest.take()) is not None:
            self.news.publish(event)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        Fed().run()
