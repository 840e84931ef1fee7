"""A key press until its text has changed: in the assistant's live screen, idle and at full speed.

The assistant in the lab, on a pseudo-terminal, stands in step 6 and makes a million requests, 16 at
once. The person moves the cursor in the table; timed is from the key to the backend's name in
reverse video on the terminal. Idle is the same screen of the same process with the worker that
makes the requests halted (SIGSTOP) for a few seconds. As the worker would on a small computer, it
shares one core with the interface; the lab, which is no part of what a real account's user runs,
is moved to the other.

Keys come at varying distances, so that they fall into every phase of the ten repaints a second.
The 50th percentiles are compared round by round; the 99th over all rounds' keys together, since it
is nearly the worst key of a round.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.child import (
    NLB_MTLS,
    ROOT,
    cpu_s,
    descendant,
    environment,
    move_to_core,
    on_core,
)
from scripts.benchmarks.finding import Finding, at_most
from scripts.benchmarks.rounds import in_turn, percentile, ratio, summary
from scripts.benchmarks.terminal import PATIENCE_S, Terminal, on_terminal
from services.text import say

ROUNDS = 3

REQUESTS = 1_000_000
CONCURRENCY = 16
SETTLE_S = 0.5
WINDOW_S = 3.5
"""Shorter than the requests' own time-outs: they stand still, too, while the worker is halted."""
GAP_S = (0.015, 0.06)

DOWN, UP, ENTER = "\x1b[B", "\x1b[A", "\r"


def measure(rounds: int) -> Sequence[Finding]:
    with ExitStack() as stack:
        home = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
        session = _stopped_while_proving(Path(home))
        with on_core(-1):
            assistant = on_terminal([NLB_MTLS, "resume", session], environment(Path(home)))
            terminal = stack.enter_context(assistant)
        _go_on_to_the_live_screen(terminal)
        move_to_core(descendant(terminal.pid, "lab serve"), 0)
        worker = _worker(terminal)
        keys = in_turn(
            {
                "idle": partial(_press, terminal, worker, signal.SIGSTOP),
                "loaded": partial(_press, terminal, worker, signal.SIGCONT),
            },
            rounds,
        )
        os.kill(worker, signal.SIGCONT)
        load = _load(terminal, worker)
    idle, loaded = keys["idle"], keys["loaded"]
    all_idle, all_loaded = ([key for each in side for key in each] for side in (idle, loaded))
    halves = [[percentile(each, 0.5) for each in side] for side in (loaded, idle)]
    return [
        ratio("p50 of key to text, full speed / idle", halves[0], halves[1], at_most(1.2)),
        ratio(
            "p99, all rounds together",
            [percentile(all_loaded, 0.99)],
            [percentile(all_idle, 0.99)],
            at_most(1.5),
        ),
        summary("idle p50", [each * 1000 for each in halves[1]], unit="ms"),
        summary("idle p99", [percentile(all_idle, 0.99) * 1000], unit="ms"),
        summary("worker's share of the core meanwhile", [load], unit="%"),
    ]


def _stopped_while_proving(home: Path) -> str:
    """A session in the lab whose steps are done but for the proof: its id."""
    with subprocess.Popen(
        [
            *(NLB_MTLS, "lab", "--yes", "--json"),
            *("--answer", f"verify.requests={REQUESTS}"),
            *("--answer", f"verify.concurrency={CONCURRENCY}"),
        ],
        env=environment(home),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as headless:
        assert headless.stdout is not None
        lines = map(json.loads, headless.stdout)
        if not any(line["event"] == "snapshot" and line["requests"] for line in lines):
            raise RuntimeError("the lab's run ended before it made requests")
        headless.send_signal(signal.SIGINT)
        *_, last = lines
    return str(last["session"])


def _go_on_to_the_live_screen(terminal: Terminal) -> None:
    """Enter alone leads there, as often as it is needed; keys that come too early do not count."""
    deadline = time.monotonic() + PATIENCE_S
    while not terminal.saw(say("screens.live.starting"), within_s=1.0):
        terminal.presses(ENTER)
        if time.monotonic() > deadline:
            raise TimeoutError("the live screen did not open")


def _worker(terminal: Terminal) -> int:
    """The process that makes the requests, once it is there and at full speed."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with suppress(LookupError):
            worker = descendant(terminal.pid, "services.probe.worker")
            terminal.forget(2 * SETTLE_S)
            return worker
        if time.monotonic() > deadline:
            raise TimeoutError("no worker was started")
        terminal.forget(0.1)


def _press(terminal: Terminal, worker: int, order: signal.Signals) -> Sequence[float]:
    """Move the cursor down and up for a while; seconds from each key to its row."""
    os.kill(worker, order)
    terminal.presses(UP)
    terminal.forget(SETTLE_S)
    taken = []
    until = time.monotonic() + WINDOW_S
    while time.monotonic() < until:
        for key, name in ((DOWN, b"ECS02"), (UP, b"ECS01")):
            pressed = terminal.presses(key)
            taken.append(terminal.sees(_reversed(name)) - pressed)
            terminal.forget(random.uniform(*GAP_S))
    return taken


def _reversed(name: bytes) -> re.Pattern[bytes]:
    """A name whose style has `7`, reverse video, among its parts (ECMA-48 8.3.117)."""
    return re.compile(rb"\x1b\[(?:[0-9;]*;)?7(?:;[0-9;]*)?m" + name)


def _load(terminal: Terminal, worker: int) -> float:
    """How much of its core the worker has; little would mean that the speed was not full."""
    before, began = cpu_s(worker), time.perf_counter()
    terminal.forget(2.0)
    return 100 * (cpu_s(worker) - before) / (time.perf_counter() - began)
