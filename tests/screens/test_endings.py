"""Certificates near their end, where sessions are listed."""

from __future__ import annotations

from textual.app import App

from screens.sessions import SessionsScreen
from services.session.model import Deed, Session
from tests.screens.settle import settle, text
from tests.screens.toy import NOON


def made(role: str, since: str, until: str) -> Deed:
    """A certificate that a session has made."""
    facts = {f"{role}.not_before": since, f"{role}.not_after": until}
    return Deed(
        id=f"{role}.certificate",
        step=role,
        action="Make",
        params={},
        kind="certificate",
        state="done",
        facts=facts,
    )


async def test_the_list_of_sessions_warns_of_what_ends() -> None:
    session = Session(
        id="20261124-abcdef",
        place="lab",
        changed="2026-11-24T12:00:00.000Z",
        deeds=(
            made("ca", "2026-11-01T00:00:00Z", "2036-11-01T00:00:00Z"),
            made("server", "2026-01-01T00:00:00Z", "2026-12-04T00:00:00Z"),
            made("client", "2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z"),
        ),
    )
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = SessionsScreen(now=lambda: NOON)
        await app.push_screen(screen)
        screen.show([session])
        await settle(pilot, lambda: "20261124-abcdef" in text(app))  # type: ignore[arg-type]
        shown = text(app)
        assert "! the server certificate ends on 2026-12-04" in shown
        assert "✗ the client certificate ended on 2026-11-20" in shown
        assert "the ca certificate" not in shown
