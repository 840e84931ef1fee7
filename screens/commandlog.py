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
    equivalent: Sequence[str]
    """What a person could have typed, as the action itself says."""
    ran: list[str] = field(default_factory=list)
    """The calls that it really made, where they are known."""
    state: State = "running"
    seconds: float = 0.0
    reads: bool = False
    """It only looked."""

    @property
    def commands(self) -> Sequence[str]:
        """What was run, in a shell's words."""
        return self.ran or self.equivalent

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
        self._phase = "", "ask"
        self._count = 0

    def hear(self, event: Event) -> None:
        """Take an event in, where it is about something that was run."""
        match event.event:
            case "phase":
                self._phase = event.step, event.phase
            case "started":
                equivalent = tuple(map(str, event.data.get("equivalent", ())))
                title = str(event.data.get("title", ""))
                if event.status == "removing":
                    self._phase = event.step, "undo"
                self._add(Entry(event.time, event.action, title, equivalent))
            case "command":
                self._ran(event)
            case "done" | "problem":
                self._end(event)

    def _ran(self, event: Event) -> None:
        """A call: part of the action that is under way, unless it only looks."""
        command, reads = str(event.data.get("command", "")), bool(event.data.get("reads"))
        running = next((each for each in self._entries() if each.state == "running"), None)
        if running is not None and not reads:
            running.ran.append(command)
            return
        if self._phase[1] == "watch" and self._is_known(command):
            return
        entry = Entry(event.time, "", "", (command,), state="done", reads=reads)
        entry.seconds = float(event.data.get("duration_s", 0.0))
        self._add(entry)

    def _is_known(self, command: str) -> bool:
        """The same looks every few seconds would push out everything else."""
        last = self.groups[-1] if self.groups else None
        return (
            last is not None
            and (last.step, last.phase) == self._phase
            and any(command in entry.commands for entry in last.entries)
        )

    def _add(self, entry: Entry) -> None:
        last = self.groups[-1] if self.groups else None
        if last is None or (last.step, last.phase) != self._phase:
            last = Group(*self._phase)
            self.groups.append(last)
        last.entries.append(entry)
        self._count += 1
        while self._count > self.MOST and len(self.groups) > 1:
            self._count -= len(self.groups.pop(0).entries)
        if len(last.entries) > self.MOST:
            del last.entries[: -self.MOST]

    def _end(self, event: Event) -> None:
        for entry in self._entries():
            if entry.action == event.action and entry.state == "running":
                entry.state = "done" if event.event == "done" else "failed"
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
            if any(not entry.reads for entry in group.entries):
                lines += ["", f"# {group.title}"]
            for entry in group.entries:
                if entry.reads:
                    continue
                lines += [f"# {entry.at:%Y-%m-%dT%H:%M:%SZ} {entry.title}".rstrip()]
                lines += entry.commands
        return "\n".join(lines) + "\n"
