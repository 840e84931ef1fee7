"""F1: what this screen is for, and every key that works here now."""

from __future__ import annotations

from textual.content import Content
from textual.screen import Screen

from screens.reading import Reading
from services.text import knows, say

_UNNAMED = {"tab": "next-field", "shift+tab": "previous-field"}


def help_for(screen: Screen[object]) -> Reading:
    """The help of the screen below, with the keys of whatever has the focus."""
    key = f"screens.help.{getattr(screen, 'HELP_KEY', 'frame')}"
    parts: list[tuple[str, str] | str] = [
        say(key if knows(key) else "screens.help.frame"),
        "\n\n",
    ]
    for shown, words in _keys(screen):
        parts += [(f"{shown:<14}", "bold"), f"{words}\n"]
    parts += ["\n", (say("screens.help.mouse"), "dim")]
    return Reading(say("screens.help.title"), Content.assemble(*parts))


def _keys(screen: Screen[object]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        name = binding.id or _UNNAMED.get(binding.key)
        if name is None or not knows(f"screens.help.keys.{name}") or not active.enabled:
            continue
        found.setdefault(screen.app.get_key_display(binding), say(f"screens.help.keys.{name}"))
    return sorted(found.items(), key=lambda pair: (len(pair[0]) == 1, pair[0]))
