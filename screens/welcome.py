"""The first screen: a new set-up, a saved one, or the lab."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.widgets import Static

from screens.frame import Frame
from screens.widgets.keys import Key
from screens.widgets.menu import Menu, Way
from services.text import say


class Welcome(Frame[None]):
    """Offers first what this person can most likely use. The app hears `Menu.Chosen`: `lab`,
    `cloud`, `resume` or `sessions`.
    """

    DEFAULT_CSS = """
    Welcome {
        & #about { height: auto; margin: 1 3; }
        & Menu { height: 1fr; margin: 0 3; }
    }
    """
    HELP_KEY = "welcome"

    def body(self) -> ComposeResult:
        yield Static(say("screens.welcome.about"), id="about", markup=False)
        yield Menu(_ways("lab", "cloud", "sessions"))

    def on_mount(self) -> None:
        self.show_head("nlb-mtls")
        self.query_one(Menu).focus()

    def offer(self, *, credentials: bool, saved: int) -> None:
        """What was found out meanwhile: keys of a real account, and saved sessions."""
        first = ("resume",) if saved else ()
        rest = ("cloud", "lab") if credentials else ("lab", "cloud")
        self.query_one(Menu).show(_ways(*first, *rest, "sessions"))

    def keys(self) -> Sequence[Key]:
        return (
            Key("Enter", say("screens.key.choose"), "choose"),
            Key("^q", say("screens.key.quit"), "app.quit"),
            *self.common_keys(),
        )

    def action_choose(self) -> None:
        self.query_one(Menu).action_choose()

    def action_back(self) -> None:
        """Esc never quits, and there is nothing before this screen."""


def _ways(*keys: str) -> Sequence[Way]:
    return [
        Way(key, say(f"screens.welcome.{key}.title"), say(f"screens.welcome.{key}.about"))
        for key in keys
    ]
