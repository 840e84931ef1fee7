"""Two worker processes against one, where the target leaves them the room.

nginx needs about as much of a core for a request as a worker does, so on two cores a second worker
would only take from nginx what it gives. Here the client's key is RSA of 4096 bits: signing with it
costs the client several times what everything else costs both sides together, and nginx needs
little of any core. It still needs some: where there are two cores, two workers can at best be
2 / (1 + nginx's CPU by a worker's) times as fast as one. What is judged is how much of that, or of
twice where there are more cores, they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks import balancer, credentials
from scripts.benchmarks.balancer import Balancer
from scripts.benchmarks.child import cpu_s
from scripts.benchmarks.finding import Finding, at_least, at_most
from scripts.benchmarks.rounds import in_turn, ratio, summary
from scripts.benchmarks.verifier import verify
from services.pki.keys import KeyKind

ROUNDS = 3

DURATION_S = 4.0
CONCURRENCY = 32


@dataclass(frozen=True, slots=True)
class Worked:
    """What requests cost in one round."""

    rate: float
    """Requests per second."""
    cpu_s: float
    """Of all workers, for each request."""
    target_cpu_s: float
    """Of nginx, for each request."""


def measure(rounds: int) -> Sequence[Finding]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        made = credentials.make(folder, KeyKind.RSA_4096)
        running = stack.enter_context(balancer.running(folder, made))

        ways = {workers: partial(_work, running, workers) for workers in (1, 2)}
        worked = in_turn(ways, rounds)
    nginx = [each.target_cpu_s / each.cpu_s for each in worked[2]]
    rates = {workers: [each.rate for each in done] for workers, done in worked.items()}
    cpu = {workers: [each.cpu_s for each in done] for workers, done in worked.items()}
    faster = [two / one for two, one in zip(rates[2], rates[1], strict=True)]
    possible = [most_faster(len(os.sched_getaffinity(0)), share) for share in nginx]
    return [
        ratio("two workers / one, of what the cores allow", faster, possible, at_least(0.9)),
        ratio("CPU per request, two workers / one", cpu[2], cpu[1], at_most(1.1)),
        summary("requests per second, two workers / one", faster),
        summary("one worker: requests per second", rates[1]),
        summary("nginx's CPU / the workers'", nginx),
    ]


def most_faster(cores: int, target_share: float) -> float:
    """How many times as fast as one two workers can be on so many cores, when the target needs
    `target_share` of the CPU that they need and shares the cores with them.
    """
    return min(2.0, cores / (1 + target_share))


def _work(target: Balancer, workers: int) -> Worked:
    before = cpu_s(target.pid)
    ran = verify(target.target(), concurrency=CONCURRENCY, duration_s=DURATION_S, workers=workers)
    target_s = cpu_s(target.pid) - before
    return Worked(ran.rate, ran.cpu_s / ran.requests, target_s / ran.requests)
