"""Two worker processes against one, where the target leaves them the room.

nginx needs about as much of a core for a request as a worker does, so on two cores a second worker
would only take from nginx what it gives. Here the client's key is RSA of 4096 bits: signing with it
costs the client several times what everything else costs both sides, and nginx needs little of
any core. So what is measured is what a second core gives the workers. What nginx did need is told
beside it: together with it two workers cannot be more than twice as fast.
"""

from __future__ import annotations

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
    one, two = worked[1], worked[2]
    return [
        ratio(
            "requests per second, two workers / one",
            [each.rate for each in two],
            [each.rate for each in one],
            at_least(1.7),
        ),
        ratio(
            "CPU per request, two workers / one",
            [each.cpu_s for each in two],
            [each.cpu_s for each in one],
            at_most(1.1),
        ),
        summary("one worker: requests per second", [each.rate for each in one]),
        summary("nginx's CPU per worker's", [each.target_cpu_s / each.cpu_s for each in two]),
    ]


def _work(target: Balancer, workers: int) -> Worked:
    before = cpu_s(target.pid)
    ran = verify(target.target(), concurrency=CONCURRENCY, duration_s=DURATION_S, workers=workers)
    target_s = cpu_s(target.pid) - before
    return Worked(ran.rate, ran.cpu_s / ran.requests, target_s / ran.requests)
