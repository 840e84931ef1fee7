"""The memory of the worker process, by the number of requests it has made.

A snapshot holds counts and buckets, never a request, so a worker needs as much after a hundred
thousand requests as after a hundred. Compared is the most that was ever resident (VmHWM of Linux's
/proc) when the hundredth request of a run was counted, and when the last one was. What the
allocator keeps for a process that has only begun to work is a MiB or so; a tenth of a KiB for each
request would be ten. One run shows all sizes; a round more makes it ten times as long: two end at
10⁵, three at a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks import balancer, credentials
from scripts.benchmarks.child import on_core
from scripts.benchmarks.finding import Finding, at_most
from scripts.benchmarks.rounds import summary
from scripts.benchmarks.verifier import verify

ROUNDS = 2

FIRST = 100


def measure(rounds: int) -> Sequence[Finding]:
    last = 1000 * 10**rounds
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        made = credentials.make(folder)
        with on_core(0):
            target = stack.enter_context(balancer.running(folder, made)).target()
        with on_core(-1):
            peaks = verify(target, last).peaks_kib
    growth = (peaks[last] - peaks[FIRST]) / 1024
    return [
        summary(f"growth from {FIRST} to {last:,} requests", [growth], at_most(2), "MiB"),
        *(
            summary(f"peak after {requests:,} requests", [kib / 1024], unit="MiB")
            for requests, kib in peaks.items()
        ),
    ]
