"""The live screen with 500 backends and 10,000 results a second, against the same screen idle.

One process on a pseudo-terminal shows the program's own live screen; a second one (`feeder`) stands
in for the worker, since no target here answers that fast. What is measured is the first one's CPU
time: reading the counts, sorting the backends, drawing what is seen. Idle is the same process with
the feeder halted (SIGSTOP), so both states have the same modules, rows and terminal. The number is
a difference in points: hundredths of one core.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.child import PYTHON, cpu_s, descendant, environment
from scripts.benchmarks.feeder import NAMES
from scripts.benchmarks.finding import Finding, at_most
from scripts.benchmarks.rounds import in_turn, summary
from scripts.benchmarks.terminal import Terminal, on_terminal

ROUNDS = 3

SETTLE_S = 0.5
WINDOW_S = 3.0


def measure(rounds: int) -> Sequence[Finding]:
    command = [PYTHON, "-m", "scripts.benchmarks.big_table_app"]
    with TemporaryDirectory() as home, on_terminal(command, environment(Path(home))) as terminal:
        terminal.sees(NAMES[0])
        feeder = descendant(terminal.pid, "benchmarks.feeder")
        try:
            points = in_turn(
                {
                    "idle": partial(_points, terminal, feeder, signal.SIGSTOP),
                    "fed": partial(_points, terminal, feeder, signal.SIGCONT),
                },
                rounds,
            )
        finally:
            os.kill(feeder, signal.SIGCONT)  # or it would never notice that nobody listens
    more = [fed - idle for fed, idle in zip(points["fed"], points["idle"], strict=True)]
    return [
        summary("points of a core over idle", more, at_most(4), "points"),
        summary("idle", points["idle"], unit="points"),
    ]


def _points(terminal: Terminal, feeder: int, order: signal.Signals) -> float:
    """Hundredths of a core that the screen's process uses while the feeder runs or stands."""
    os.kill(feeder, order)
    terminal.forget(SETTLE_S)
    before, began = cpu_s(terminal.pid), time.perf_counter()
    terminal.forget(WINDOW_S)
    return 100 * (cpu_s(terminal.pid) - before) / (time.perf_counter() - began)
