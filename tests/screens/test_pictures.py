"""The screens as pictures, at the size they are designed for and at a large one.

`UPDATE_PICTURES=1 pytest tests/screens/test_pictures.py` draws them anew; look at both then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from app.assistant import Assistant
from screens.live import LiveScreen
from screens.phases.ask import AskForm
from screens.secret import Secret
from screens.welcome import Welcome
from services.events import Event
from services.probe.tally import Rates
from services.redact import Redactor
from services.steps.course import GENTLE, Pace
from services.steps.live import Live
from tests.screens.settle import at, go, on_top, same_picture, settle, steps, text
from tests.screens.test_live import CAME, FAILING, PASSING, WENT, later
from tests.screens.toy import Knobs, ToyStart

SIZES = [(80, 24), (120, 40)]
both = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same picture every time: no motion, one theme, one zone, one name."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLORFGBG", raising=False)
    monkeypatch.setattr("secrets.token_hex", lambda count: "c0ffee"[: 2 * count])
    yield
    monkeypatch.undo()
    time.tzset()


def watched() -> list[Live]:
    """A backend that is down for half a minute, at the cost of two requests."""
    film = [later(second, 20 * second) for second in range(5)]
    film += [later(second, 20 * second - 5, WENT, failed=2) for second in range(5, 36)]
    film += [later(second, 20 * second, WENT, CAME, failed=2) for second in range(36, 90)]
    addresses = {"192.0.2.10:443": {"ok": 890}, "192.0.2.138:443": {"ok": 888, "http-5xx": 2}}
    last = film[-1]
    tally = replace(
        last.tally,
        backends={"ECS01": 1126, "ECS02": 652},
        addresses=addresses,
        rates=Rates((20.0,), 20.0, 20.0),
    )
    return [*film, replace(last, tally=tally, certificate_until="2026-12-04T12:00:00Z", pace=20)]


def name(what: str, size: tuple[int, int]) -> str:
    return f"{what}-{size[0]}x{size[1]}"


@pytest.fixture
def knobs() -> Knobs:
    return Knobs()


@pytest.fixture
def app(tmp_path: Path, knobs: Knobs) -> Assistant:
    start = ToyStart(tmp_path / "home", knobs)
    return still(Assistant(lambda: start, "lab", start.home, Redactor(), ascii=False))


def still(app: Assistant) -> Assistant:
    app.animation_level = "none"
    return app


@both
async def test_welcome(tmp_path: Path, size: tuple[int, int]) -> None:
    start = ToyStart(tmp_path / "home")
    app = still(Assistant(lambda: start, "welcome", start.home, Redactor(), ascii=False))
    async with app.run_test(size=size) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, Welcome))
        same_picture(app, name("welcome", size))


@both
async def test_explain(app: Assistant, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await settle(pilot, at(pilot, "shelf", "explain"))
        same_picture(app, name("explain", size))


@both
async def test_ask_with_a_wrong_answer(app: Assistant, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "shelf", "ask")
        row = app.screen.query_one(AskForm).rows[0]
        await settle(pilot, lambda: "▾ 2" in text(app))
        row.focus_field()
        row.query_one(Input).value = "no!"
        await pilot.press("enter")
        await settle(pilot, lambda: row.is_wrong and not steps(pilot).busy)
        await settle(pilot, lambda: row.has_focus_within)
        same_picture(app, name("ask", size))


@both
async def test_preview(app: Assistant, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "shelf", "preview")
        same_picture(app, name("preview", size))


@both
async def test_failure(app: Assistant, knobs: Knobs, size: tuple[int, int]) -> None:
    knobs.fail_next = True
    async with app.run_test(size=size) as pilot:
        await go(pilot, "shelf", "preview")
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "act"))
        same_picture(app, name("failure", size))


@both
async def test_proof(app: Assistant, knobs: Knobs, size: tuple[int, int]) -> None:
    knobs.pass_proof = False
    async with app.run_test(size=size) as pilot:
        await go(pilot, "shelf", "preview")
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Secret))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "act"))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "prove"))
        steps(pilot)._now = lambda: datetime(2026, 11, 24, 12, 0, 42, tzinfo=UTC)
        steps(pilot)._show_standing()
        await pilot.pause()
        same_picture(app, name("proof", size))


@both
@pytest.mark.parametrize(
    ("what", "film"),
    [
        ("pass", [later(1, 31), later(2, 211), later(3, 425), PASSING]),
        ("fail", [FAILING]),
        ("changed", watched()),
    ],
)
async def test_live(app: Assistant, what: str, film: list[Live], size: tuple[int, int]) -> None:
    now: Callable[[], datetime] = lambda: datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # noqa: E731
    async with app.run_test(size=size) as pilot:
        await settle(pilot, at(pilot, "shelf", "explain"))
        screen = LiveScreen(
            "Verify", app.news, lab=True, again=lambda: None, pace=Pace(GENTLE), now=now
        )
        await app.push_screen(screen)
        for live in film:
            app.news.publish(Event("snapshot", snapshot=live))
        await shown(pilot, "since")
        same_picture(app, name(f"live-{what}", size))


async def shown(pilot: Pilot[int], words: str) -> None:
    await settle(pilot, lambda: words in text(pilot.app))
