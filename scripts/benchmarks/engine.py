"""The request engine against a loop of curl, both against nginx on a core of its own.

nginx's stream module terminates mutual TLS and passes on to two HTTP backends, all on the first
core; the clients run on the last. Each request of either side is a fresh TCP connection, a full
TLS 1.3 handshake with chain and name verified, and one GET. The loop is what people write: a
shell that starts curl for each request. The engine is what the program runs, the worker process
with its counting and reporting, at 16 connections at once.

CPU time is that of the whole processes as the kernel accounts it, but that the engine's is less
the start of its interpreter (a run of one request), which does not grow with the requests. Both
run at the worker's own priority, in a session of their own: on a shared computer a niced process
would lose against one that is not. The sum of the tally, and what the backends logged themselves,
must be the number of requests, exactly.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scripts.benchmarks.child import children_cpu_s, need, on_core, spend
from scripts.benchmarks.finding import Finding, Skipped, at_least, exactly
from scripts.benchmarks.rounds import in_turn, ratio, summary
from services.probe import runner
from services.probe.target import Target
from services.probe.worker import NICENESS
from services.stop import Stop

if TYPE_CHECKING:
    from tests.services.probe.nginx import Nginx

ROUNDS = 5

REQUESTS = 3000
CURLS = 150
CONCURRENCY = 16
PATH = "/counted"


@dataclass(frozen=True, slots=True)
class Pace:
    """What requests cost one side in one round."""

    cpu_s: float
    """Of the client, for each request."""
    rate: float
    """Requests per second."""


def measure(rounds: int) -> Sequence[Finding]:
    need("curl")
    need("nginx")
    from tests.services.probe import certificates, nginx

    if not nginx.STREAM_MODULE.exists():
        raise Skipped("nginx has no stream module here")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        made = certificates.make(folder)
        with on_core(0):
            balancer = stack.enter_context(nginx.running(folder, made))
        with on_core(-1):
            return _compare(balancer, rounds)


def _compare(balancer: Nginx, rounds: int) -> Sequence[Finding]:
    target = balancer.target(path=PATH)
    paces = in_turn(
        {"engine": partial(_engine, target), "curl": partial(_curl_loop, target)}, rounds
    )
    engine, curl = paces["engine"], paces["curl"]
    cpu, rate = [pace.cpu_s for pace in engine], [pace.rate for pace in engine]
    their_cpu, their_rate = [pace.cpu_s for pace in curl], [pace.rate for pace in curl]
    asked = (rounds + 1) * (REQUESTS + 1 + CURLS)
    logged = sum(balancer.logged(PATH).values())
    return [
        ratio("requests per second, engine / curl loop", rate, their_rate, at_least(12)),
        ratio("CPU per request, curl loop / engine", their_cpu, cpu, at_least(13)),
        summary("counted / asked / logged by the backends", [logged / asked], exactly(1)),
        summary("engine's CPU per request", [each * 1e6 for each in cpu], unit="µs"),
        summary("engine's requests per second", rate),
    ]


def _engine(target: Target) -> Pace:
    start_s, _ = _requests(target, 1)
    whole_s, rate = _requests(target, REQUESTS)
    return Pace((whole_s - start_s) / (REQUESTS - 1), rate)


def _requests(target: Target, number: int) -> tuple[float, float]:
    """The worker's CPU time for this many requests, and their rate by its own clock."""
    before = children_cpu_s()
    tally = runner.run(target, requests=number, concurrency=CONCURRENCY, stop=Stop())
    if tally.ok != number or sum(tally.backends.values()) != number:
        raise AssertionError(f"of {number} requests {tally.outcomes}: {tally.samples}")
    return children_cpu_s() - before, tally.requests_per_second


def _curl_loop(target: Target) -> Pace:
    curl = shlex.join(
        [
            *("curl", "--silent", "--show-error", "--fail", "--output", "/dev/null"),
            *("--cacert", str(target.ca_file), "--cert", str(target.certificate_file)),
            *("--key", str(target.key_file), "--tlsv1.3"),
            *("--resolve", f"{target.name}:{target.port}:{target.host}"),
            f"https://{target.name}:{target.port}{target.path}",
        ]
    )
    # As nice as the worker, in its own session too (`services.probe.worker.stand_back`).
    alike = f"{{ echo {NICENESS} > /proc/self/autogroup; }} 2>/dev/null || :"
    loop = f"{alike}; i=0; while [ $i -lt {CURLS} ]; do {curl}; i=$((i+1)); done"
    niceness = NICENESS - os.nice(0)
    spent = spend(["nice", "-n", str(niceness), "sh", "-ec", loop])
    return Pace(spent.cpu_s / CURLS, CURLS / spent.wall_s)
