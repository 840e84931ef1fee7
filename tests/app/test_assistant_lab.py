"""The whole way in the interface, in a lab of its own, by Enter alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.assistant import Assistant
from app.wiring import Wiring
from screens.dialog import Deciding
from screens.live import LiveScreen
from screens.step import StepScreen
from screens.welcome import Welcome
from services.redact import Redactor
from tests.screens.settle import at, on_top, settle, text


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anybody's credentials, known hosts or sessions."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NLB_MTLS_API", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


async def test_enter_alone_leads_to_a_passing_verdict_at_80x24(alone: Path) -> None:
    redact = Redactor()
    app = Assistant(lambda: Wiring(alone, redact=redact), "welcome", alone, redact)
    async with app.run_test(size=(80, 24)) as pilot:

        def where() -> object:
            screen = app.screen
            if isinstance(screen, StepScreen):
                return screen, screen.step.NAME, screen.phase
            return screen

        def rests() -> bool:
            """Ready for the next Enter."""
            screen = app.screen
            if isinstance(screen, LiveScreen):
                return "PASS since" in text(app) or "FAIL since" in text(app)
            if isinstance(screen, StepScreen):
                return at(pilot, screen.step.NAME, screen.phase)()
            return isinstance(screen, Welcome) or on_top(pilot, Deciding)()

        await settle(pilot, rests)
        seen = []
        while not isinstance(app.screen, LiveScreen):
            before = where()
            await pilot.press("enter")
            await settle(
                pilot,
                lambda before=before: where() != before and rests(),  # type: ignore[misc]
            )
            screen = app.screen
            if isinstance(screen, StepScreen):
                assert screen._problem is None, text(app)
                seen.append((screen.step.NAME, screen.phase))
        assert "PASS since" in text(app)
        assert "ECS01 normal" in text(app)
        refused = "✓ refused: no certificate, another CA, plain HTTP"
        await settle(pilot, lambda: refused in text(app))
        steps = ["prepare", "ca", "server", "client", "install", "listener", "verify"]
        assert list(dict.fromkeys(name for name, _ in seen)) == steps
        # The watch goes on with fresh connections, and health beside it.
        await settle(pilot, lambda: "within chance" in text(app))
        await pilot.press("escape")
        await settle(pilot, at(pilot, "verify", "prove"))
        assert "All checks passed." in text(app)
        await pilot.press("enter")
        await settle(pilot, lambda: "nlb-mtls cleanup" in text(app))
