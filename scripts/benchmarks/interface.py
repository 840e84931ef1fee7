"""The engine's rate under the live screen, against its rate with nobody looking.

Both times the program's own runner makes requests of nginx, 16 at once, for the same time, and the
worker shares one core with the process that started it; nginx has the other. With the screen that
process is a Textual application on a pseudo-terminal that draws every snapshot, ten a second;
without, one that drops them (`verifier`). The worker gives way to the screen, so what is lost is
what the drawing takes of the core.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from app.tui import FRAMES_PER_SECOND
from scripts.benchmarks import balancer, credentials
from scripts.benchmarks.child import PYTHON, environment, on_core
from scripts.benchmarks.finding import Finding, at_least
from scripts.benchmarks.rounds import in_turn, ratio, summary
from scripts.benchmarks.terminal import on_terminal
from scripts.benchmarks.verifier import verify
from services.probe.target import Target
from services.probe.wire import target_map

ROUNDS = 3

DURATION_S = 5.0
_RATE = re.compile(rb"requests per second: ([0-9.]+)\r?\n")


def measure(rounds: int) -> Sequence[Finding]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        made = credentials.make(folder)
        with on_core(0):
            target = stack.enter_context(balancer.running(folder, made)).target()
        with on_core(-1):
            rates = in_turn(
                {
                    "with": lambda: _with_screen(target, folder),
                    "without": lambda: verify(target, duration_s=DURATION_S).rate,
                },
                rounds,
            )
    return [
        ratio(
            "requests per second, with the screen / without",
            rates["with"],
            rates["without"],
            at_least(0.9),
        ),
        summary("with the screen: requests per second", rates["with"]),
    ]


def _with_screen(target: Target, home: Path) -> float:
    words = [json.dumps(target_map(target)), str(DURATION_S)]
    command = [PYTHON, "-m", "scripts.benchmarks.interface_app", *words]
    with on_terminal(command, environment(home, TEXTUAL_FPS=FRAMES_PER_SECOND)) as terminal:
        return float(terminal.reads(_RATE)[1])
