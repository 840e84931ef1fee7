"""`nlb-mtls --version` and `--help` against an interpreter that does nothing.

`python -c pass` of the same environment is what any Python program pays before its first line:
the same interpreter, site-packages and `.pth` files. The command is the installed script, started
directly, without a version manager's shim. The measure is what the person waits for, wall time,
in many rounds since a round is short; the CPU time beside it tells a busy computer from a slow
program.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.child import NLB_MTLS, PYTHON, environment, spend
from scripts.benchmarks.finding import Finding, at_most
from scripts.benchmarks.rounds import in_turn, ratio

ROUNDS = 11


def measure(rounds: int) -> Sequence[Finding]:
    with TemporaryDirectory() as home:
        env = environment(Path(home))
        spent = in_turn(
            {
                "pass": lambda: spend([PYTHON, "-c", "pass"], env),
                "--version": lambda: spend([NLB_MTLS, "--version"], env),
                "--help": lambda: spend([NLB_MTLS, "--help"], env),
            },
            rounds,
        )
    wall = {name: [each.wall_s for each in taken] for name, taken in spent.items()}
    cpu = {name: [each.cpu_s for each in taken] for name, taken in spent.items()}
    return [
        ratio("--version / python -c pass", wall["--version"], wall["pass"], at_most(1.3)),
        ratio("--help / python -c pass", wall["--help"], wall["pass"], at_most(2.5)),
        ratio("the same in CPU time: --version", cpu["--version"], cpu["pass"]),
        ratio("the same in CPU time: --help", cpu["--help"], cpu["pass"]),
    ]
