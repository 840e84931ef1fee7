"""Pipelines: each stage a shell of its own in a thread of its own, joined by real pipes."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.lab.hosts.shell.leaving import Exit
from services.lab.hosts.shell.streams import Descriptor
from services.lab.hosts.shell.syntax import Command
from services.problem import Stopped

if TYPE_CHECKING:
    from services.lab.hosts.shell.interpreter import Shell

MOST_STAGES = 64
"""How many stages of pipelines one session may have running at once."""

BROKEN_PIPE = 128 + 13
"""A shell's status for a command that SIGPIPE has ended."""

TOO_DEEP = "the script is nested too deeply"
"""What is said where Python's own stack ends."""

INTERRUPTED = 128 + 2
"""And for one that SIGINT has ended, which is what stopping a session comes to."""


def run_stages(shell: Shell, commands: Sequence[Command]) -> list[int]:
    """Run the commands of a pipeline at once; returns their statuses.

    The last one runs in the caller's thread. Raises `Exit` when there are too many threads.
    """
    stages: list[_Stage] = []
    threads: list[threading.Thread] = []
    stdin, ours = shell.descriptors.get(0), list[Descriptor]()
    try:
        for index, command in enumerate(commands):
            descriptors = dict(shell.descriptors)
            if stdin is not None:
                descriptors[0] = stdin
            if index < len(commands) - 1:
                reader, writer = (Descriptor(number) for number in os.pipe())
                descriptors[1] = writer
                stages.append(_Stage(shell.fork(descriptors), command, [*ours, writer]))
                stdin, ours = reader, [reader]
                threads.append(_start(shell, stages[-1]))
            else:
                stages.append(_Stage(shell.fork(descriptors), command, ours))
                ours = []
                stages[-1].run()
    finally:
        for end in ours:
            end.close()
        for thread in threads:
            thread.join()
    return [stage.status for stage in stages]


def _start(shell: Shell, stage: _Stage) -> threading.Thread:
    if not shell.stages_left.acquire(blocking=False):
        stage.abandon()
        shell.complain("fork: Resource temporarily unavailable")
        raise Exit(254)

    def run() -> None:
        try:
            stage.run()
        finally:
            shell.stages_left.release()

    thread = threading.Thread(target=run, name="lab-stage", daemon=True)
    thread.start()
    return thread


class _Stage:
    """One command of a pipeline, in a shell of its own; closes its pipe ends when it is done."""

    def __init__(self, shell: Shell, command: Command, ends: Sequence[Descriptor]) -> None:
        self._shell = shell
        self._command = command
        self._ends = ends
        self.status = 0

    def run(self) -> None:
        shell = self._shell
        try:
            self.status = shell.contained(lambda: shell.command(self._command))
        except BrokenPipeError:
            self.status = BROKEN_PIPE
        except Stopped:
            self.status = INTERRUPTED
        except RecursionError:
            shell.complain(TOO_DEEP)
            self.status = 2
        finally:
            self.abandon()

    def abandon(self) -> None:
        for end in self._ends:
            end.close()
