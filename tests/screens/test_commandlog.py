"""What the command log keeps while a proof goes on."""

from __future__ import annotations

from screens.commandlog import CommandLog
from services.events import Event


def test_the_looks_of_a_watch_are_kept_once_each_time_that_one_watches() -> None:
    log = CommandLog()
    act = Event("started", "listener", "act", "listener.x", data={"equivalent": ["make it"]})
    log.hear(Event("phase", "listener", "act"))
    log.hear(act)
    log.hear(Event("done", "listener", "act", "listener.x"))
    for _ in range(2):
        log.hear(Event("phase", "verify", "prove"))
        log.hear(Event("command", data={"command": "look once", "reads": True}))
        log.hear(Event("phase", "verify", "watch"))
        for _ in range(5000):
            for command in ("look at health", "look at servers"):
                log.hear(Event("command", data={"command": command, "reads": True}))
    assert [len(group.entries) for group in log.groups] == [1, 1, 2, 1, 2]
    assert "make it" in log.script()
