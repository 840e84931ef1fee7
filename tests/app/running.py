"""The real command in a process of its own, as a person or a script starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

REAL = ("-m", "app.cli")
TOY = ("-m", "tests.toy")

DEADLINE_S = 30
"""Generous: on a loaded machine nothing may fail for being slow."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        """stdout as `--json` promises it: one object a line, and nothing else."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> dict[str, Any]:
        last = self.lines()[-1]
        assert last["event"] == "result"
        return last


@dataclass(frozen=True, slots=True)
class Program:
    """A command line to be, with a home folder and an environment of its own."""

    home: Path
    module: Sequence[str] = REAL
    extra: tuple[tuple[str, str], ...] = ()

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ALIBABA_", "NLB_MTLS_", "TOY_"))
            and name not in ("CI", "ACCESSIBLE", "TERM", "NO_COLOR")
        }
        # Neither the developer's keys nor known hosts may decide a test.
        return {
            **kept,
            "HOME": str(self.home),
            "NLB_MTLS_HOME": str(self.home),
            "COLUMNS": "80",
            "TERM": "xterm-256color",
            **dict(self.extra),
        }

    def command(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, *self.module, *words]

    def run(self, *words: str, stdin: str = "") -> Ended:
        """Run it to its end without a terminal."""
        ran = subprocess.run(
            self.command(words),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=self.environment(),
            cwd=ROOT,
            timeout=DEADLINE_S,
            check=False,
            start_new_session=True,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        return Ended(ran.returncode, ran.stdout, ran.stderr)

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Start it, and be sure that it is gone afterwards."""
        process = subprocess.Popen(
            self.command(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=self.environment(),
            cwd=ROOT,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


def until(ready: Callable[[], bool]) -> None:
    """Wait for a state of another process."""
    deadline = time.monotonic() + DEADLINE_S
    while not ready():
        assert time.monotonic() < deadline, "it never got there"
        time.sleep(0.01)
