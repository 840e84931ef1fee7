"""What was run, grouped by what the person did: kept while the program runs, and copied from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.events import Event
from services.text import say

State = Literal["running", "done", "failed"]


@dataclass(slots=True)
class Entry:
    """One action and the commands that a person could have typed instead."""

    at: datetime
    action: str
    title: str
    commands: Sequence[str]
    state: State = "running"
    seconds: float = 0.0
    status: str = ""

    @property
    def lines(self) -> Sequence[str]:
        """For a shell: the commands, or a comment where there is none that one could type."""
        return self.commands or [f"# {self.title}"]


@dataclass(slots=True)
class Group:
    """What one press of a button led to."""

    step: str
    phase: str
    entries: list[Entry] = field(default_factory=list)

    @property
    def title(self) -> str:
        phase = say(f"screens.phase.{self.phase}")
        return f"{say(f'{self.step}.title')} · {phase}" if self.step else phase


class CommandLog:
    """Learns from the news; knows no secret, since an action's equivalents hold none."""

    MOST = 2000
    """Entries kept: an evening's work, at a size that stays small."""

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def hear(self, event: Event) -> None:
        """Take an event in, where it is about something that was run."""
        match event.event:
            case "phase" if event.phase in ("act", "prove"):
                self.groups.append(Group(event.step, event.phase))
            case "started":
                commands = tuple(map(str, event.data.get("equivalent", ())))
                title = str(event.data.get("title", ""))
                phase = "undo" if event.status == "removing" else "act"
                self._add(event, phase, Entry(event.time, event.action, title, commands))
            case "command":
                commands = (str(event.data.get("command", "")),)
                entry = Entry(event.time, event.action, "", commands, state="done")
                self._add(event, event.phase or "act", entry)
            case "done" | "problem":
                self._end(event)

    def _add(self, event: Event, phase: str, entry: Entry) -> None:
        last = self.groups[-1] if self.groups else None
        if last is None or (last.step, last.phase) != (event.step, phase):
            last = Group(event.step, phase)
            self.groups.append(last)
        last.entries.append(entry)
        while sum(len(group.entries) for group in self.groups) > self.MOST:
            del self.groups[0]

    def _end(self, event: Event) -> None:
        for entry in self._entries():
            if entry.action == event.action and entry.state == "running":
                entry.state = "done" if event.event == "done" else "failed"
                entry.status = event.status
                entry.seconds = (event.time - entry.at).total_seconds()
                return

    def _entries(self) -> Iterator[Entry]:
        """Latest first."""
        for group in reversed(self.groups):
            yield from reversed(group.entries)

    def script(self) -> str:
        """Everything as a shell script, to read and to keep."""
        lines = ["#!/bin/sh", f"# {say('screens.log.script')}"]
        for group in self.groups:
            if group.entries:
                lines += ["", f"# {group.title}"]
            for entry in group.entries:
                lines += [f"# {entry.at:%Y-%m-%dT%H:%M:%SZ} {entry.title}".rstrip()]
                lines += entry.commands
        return "\n".join(lines) + "\n"
