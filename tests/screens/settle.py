"""Waiting for what a person would wait for, and comparing what a person would see."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from app.assistant import Assistant
from screens.dialog import Deciding
from screens.step import Phase, StepScreen
from screens.widgets.outcome import Outcome
from screens.widgets.press import Press, Presses

PICTURES = Path(__file__).parent / "pictures"
DEADLINE_S = 20.0


async def settle(pilot: Pilot[int], ready: Callable[[], bool], what: str = "") -> None:
    """Let the program run until `ready`. The threads at work need real time, so turns of the loop
    are not counted; a deadline ends it.
    """
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        await pilot.pause()
        if ready():
            await pilot.pause()
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"the screen never got there {what}\n{text(pilot.app)}")


def steps(pilot: Pilot[int]) -> StepScreen:
    """The step screen, which has to be on top."""
    assert isinstance(pilot.app.screen, StepScreen), text(pilot.app)
    return pilot.app.screen


def at(pilot: Pilot[int], name: str, phase: Phase) -> Callable[[], bool]:
    """Whether the step screen rests at this phase of this step, ready for a key."""

    def there() -> bool:
        screen = pilot.app.screen
        if not isinstance(screen, StepScreen) or not screen.query(Presses):
            return False
        primary = screen.query_one(Presses).primary
        return (
            name == screen.step.NAME
            and screen.phase == phase
            and not screen.busy
            and primary is not None
            and primary.has_focus
            and screen.ready
        )

    return there


def on_top(pilot: Pilot[int], kind: type[Screen[Any]]) -> Callable[[], bool]:
    """Whether a screen of this kind is on top and takes keys."""

    def there() -> bool:
        screen = pilot.app.screen
        if isinstance(screen, Deciding) and not (screen.ready and screen.focused):
            return False
        return isinstance(screen, kind)

    return there


async def go(pilot: Pilot[int], name: str, phase: Phase) -> None:
    """Press Enter, and nothing else, until the phase of the step is reached."""

    def where() -> object:
        screen = pilot.app.screen
        if isinstance(screen, StepScreen):
            return screen, screen.step.NAME, screen.phase
        return screen

    def rests() -> bool:
        screen = pilot.app.screen
        if isinstance(screen, StepScreen):
            return at(pilot, screen.step.NAME, screen.phase)()
        return on_top(pilot, Deciding)()

    await settle(pilot, rests)
    while not at(pilot, name, phase)():
        before = where()
        await pilot.press("enter")
        # One Enter at a time: a second one before the first has led on would be one too many.
        await settle(pilot, lambda before=before: where() != before and rests())  # type: ignore[misc]


def outcome(pilot: Pilot[int]) -> str:
    """What the screen says came of it."""
    return pilot.app.screen.query_one(Outcome).text


def words(pilot: Pilot[int], selector: str) -> str:
    """The text of one widget."""
    return str(pilot.app.screen.query_one(selector, Static).content)


def presses(pilot: Pilot[int]) -> list[str]:
    """The buttons, from left to right."""
    return [press.offer.words for press in pilot.app.screen.query(Press)]


def text(app: App[Any]) -> str:
    """The whole screen as plain text."""
    width, height = app.size
    screen = app.screen
    lines = screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip()[:width] for strip in lines[:height])


def same_picture(app: Assistant, name: str) -> None:
    """Compare the screen with the picture of this name; one that differs is left beside it.

    `UPDATE_PICTURES=1 pytest tests/screens` draws them anew.
    """
    update = bool(os.environ.get("UPDATE_PICTURES"))
    golden = PICTURES / f"{name}.svg"
    svg = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title=""))
    # Goldens are read by people in reviews: no fonts from elsewhere, and no trailing blanks.
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)
    svg = "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
    (golden if update else golden.with_suffix(".actual.svg")).write_text(svg, encoding="utf-8")
    assert golden.exists(), f"{golden.name} is missing: set UPDATE_PICTURES=1"
    assert svg == golden.read_text(encoding="utf-8"), f"{golden.name} differs: look at both"
    golden.with_suffix(".actual.svg").unlink(missing_ok=True)
