"""From the start of the program to its first text, against a bare Textual application.

A bare App with one text in it is what nobody can be quicker than without leaving Textual. Both run
on a pseudo-terminal, with the same interpreter, the same frame rate, and bytecode that is there
already, and what is timed is the same: from before the start until the text is read on the
terminal. Measured for the welcome screen and for `lab`, which goes on by starting a lab. The home
folder is new each time, as on a person's first day. The CPU time that the program had used by then
is told beside it: on a busy computer it is the steadier number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from app.tui import FRAMES_PER_SECOND
from scripts.benchmarks import bare_app
from scripts.benchmarks.child import NLB_MTLS, PYTHON, Spent, cpu_s, environment
from scripts.benchmarks.finding import Finding, at_most
from scripts.benchmarks.rounds import in_turn, ratio
from scripts.benchmarks.terminal import on_terminal
from services.text import say

ROUNDS = 7
GOAL = at_most(1.1)


def measure(rounds: int) -> Sequence[Finding]:
    welcome, opening = say("screens.welcome.lab.title"), say("screens.opening.lab")
    # -P, or every import would look into this folder first.
    bare = [PYTHON, "-P", bare_app.__file__]
    spent = in_turn(
        {
            "bare": lambda: _until_text(bare, bare_app.TEXT),
            "welcome": lambda: _until_text([NLB_MTLS], welcome),
            "lab": lambda: _until_text([NLB_MTLS, "lab"], opening),
        },
        rounds,
    )
    wall = {name: [each.wall_s for each in taken] for name, taken in spent.items()}
    cpu = {name: [each.cpu_s for each in taken] for name, taken in spent.items()}
    return [
        ratio("welcome screen / bare Textual app", wall["welcome"], wall["bare"], GOAL),
        ratio("lab's first screen / bare Textual app", wall["lab"], wall["bare"], GOAL),
        ratio("the same in CPU time: welcome", cpu["welcome"], cpu["bare"]),
        ratio("the same in CPU time: lab", cpu["lab"], cpu["bare"]),
    ]


def _until_text(command: Sequence[str], text: str) -> Spent:
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        env = environment(Path(home), TEXTUAL_FPS=FRAMES_PER_SECOND)
        with on_terminal(command, env) as terminal:
            seen = terminal.sees(text)
            return Spent(seen - terminal.began, cpu_s(terminal.pid))
