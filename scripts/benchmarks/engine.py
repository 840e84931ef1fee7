"""The request engine against a client in C and a loop of curl; nginx has a core of its own.

nginx terminates mutual TLS and passes on to two HTTP backends (`balancer`), all on the first core;
the clients run on the last. Each request of every side is a fresh TCP connection, a full TLS 1.3
handshake with chain and name verified, and one GET, its answer read whole. The engine is what the
program runs, the worker process with its counting and reporting, at 16 connections at once. The C
client (`mtls_client.c`) does the same with epoll and the same libssl, and counts nothing but the
answers. The loop is what people write: a shell that starts curl for each request.

CPU time is that of the whole processes as the kernel accounts it, but that the engine's and the C
client's are less their starts (a run of one request), which do not grow with the requests. All run
at the worker's own priority, in a session of their own: on a shared computer a niced process would
lose against one that is not. The sum of the tally, and what the backends logged themselves, must be
the number of requests, exactly.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks import balancer, c_client, credentials
from scripts.benchmarks.balancer import Balancer
from scripts.benchmarks.child import need, on_core, spend
from scripts.benchmarks.finding import Finding, Omitted, Skipped, at_least, at_most, exactly
from scripts.benchmarks.rounds import in_turn, ratio, summary
from scripts.benchmarks.verifier import verify
from services.probe.target import Target

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


def measure(rounds: int) -> Sequence[Finding | Omitted]:
    need("curl")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        made = credentials.make(folder)
        with on_core(0):
            target = stack.enter_context(balancer.running(folder, made))
        with on_core(-1):
            return _compare(target, folder, rounds)


def _compare(target: Balancer, folder: Path, rounds: int) -> Sequence[Finding | Omitted]:
    way_in = target.target(PATH)
    ways: dict[str, Callable[[], Pace]] = {"engine": partial(_engine, way_in)}
    no_c_client = ""
    try:
        ways["C client"] = partial(_c_client, c_client.build(folder), way_in)
    except Skipped as skipped:
        no_c_client = str(skipped)
    ways["curl loop"] = partial(_curl_loop, way_in)

    paces = in_turn(ways, rounds)
    cpu = {name: [pace.cpu_s for pace in taken] for name, taken in paces.items()}
    rate = {name: [pace.rate for pace in taken] for name, taken in paces.items()}
    asked = (rounds + 1) * ((len(ways) - 1) * (REQUESTS + 1) + CURLS)

    what = "CPU per request, engine / C client"
    against_c: Finding | Omitted = (
        Omitted(what, no_c_client)
        if no_c_client
        else ratio(what, cpu["engine"], cpu["C client"], at_most(1.1))
    )
    return [
        against_c,
        ratio(
            "requests per second, engine / curl loop",
            rate["engine"],
            rate["curl loop"],
            at_least(12),
        ),
        ratio("CPU per request, curl loop / engine", cpu["curl loop"], cpu["engine"], at_least(13)),
        summary(
            "counted / asked / logged by the backends",
            [target.logged(PATH) / asked],
            exactly(1),
        ),
        *(
            summary(f"{name}: CPU per request", [each * 1e6 for each in cpu[name]], unit="µs")
            for name in ways
        ),
        *(summary(f"{name}: requests per second", rate[name]) for name in ways),
    ]


def _engine(target: Target) -> Pace:
    start = verify(target, 1, concurrency=CONCURRENCY)
    whole = verify(target, REQUESTS, concurrency=CONCURRENCY)
    return Pace((whole.cpu_s - start.cpu_s) / (REQUESTS - 1), whole.rate)


def _c_client(program: Path, target: Target) -> Pace:
    start = c_client.run(program, target, 1, CONCURRENCY)
    whole = c_client.run(program, target, REQUESTS, CONCURRENCY)
    return Pace((whole.cpu_s - start.cpu_s) / (REQUESTS - 1), whole.rate)


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
    loop = f"i=0; while [ $i -lt {CURLS} ]; do {curl}; i=$((i+1)); done"
    spent = spend(c_client.as_nice_as_the_worker(loop))
    return Pace(spent.cpu_s / CURLS, CURLS / spent.wall_s)
