"""The live screen drawn once, without a terminal, from a snapshot that is kept."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from textual.app import App
from textual.signal import Signal

from screens.live import LiveScreen
from screens.news import News
from screens.picture import svg
from services.events import Event

if TYPE_CHECKING:
    from services.steps.live import Live

SIZE = (100, 28)
"""Columns and rows: that of the pictures in the documentation."""


class _Easel(App[object]):
    """Shows the live screen and nothing else."""

    def __init__(self, live: Live, at: datetime, *, lab: bool) -> None:
        super().__init__()
        self._live = live
        self._news: Signal[News] = Signal(self, "news")
        self._screen = LiveScreen(
            live.name, self._news, lab=lab, again=lambda: None, now=lambda: at
        )

    def on_mount(self) -> None:
        self.push_screen(self._screen)

    def show(self) -> None:
        self._news.publish(Event("snapshot", data=self._live.to_map(), snapshot=self._live))


def draw(live: Live, at: datetime, *, lab: bool) -> str:
    """The live screen as an SVG, as it showed `live` at that moment."""

    async def drawn() -> str:
        easel = _Easel(live, at, lab=lab)
        async with easel.run_test(size=SIZE) as pilot:
            await pilot.pause()
            easel.show()
            await pilot.pause()
            return svg(easel)

    return asyncio.run(drawn())
