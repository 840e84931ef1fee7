"""The engine over a link of 40 ms round trip, against what the link itself allows.

A fresh connection with TLS 1.3 takes three round trips: TCP's handshake, TLS's, and the request
with its answer. So 64 connections at once can give no more than 64 requests in three round trips;
the C client (`mtls_client.c`) shows beside it how much of that this computer can give at all. And
where nobody says how many connections to open at once, the engine has to find out: its steady rate
over this link is compared with that over one that takes no time. Both links are namespaces with a
relay between them (`delayed_link`), nginx on the far side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from scripts.benchmarks import balancer, c_client, credentials
from scripts.benchmarks.balancer import Balancer
from scripts.benchmarks.child import on_core
from scripts.benchmarks.delayed_link import FAR, DelayedLink, delayed_link, round_trip_s
from scripts.benchmarks.finding import Finding, Omitted, Skipped, at_least
from scripts.benchmarks.rounds import in_turn, ratio, summary
from scripts.benchmarks.verifier import verify
from services.probe.tally import Rates

ROUNDS = 3

ROUND_TRIP_S = 0.040
CONCURRENCY = 64
REQUESTS = CONCURRENCY * 40
ADAPTING_S = 5.0
"""How long a run may take to find its concurrency; judged is what comes after."""
STEADY_S = 3.0
_ROUND_TRIPS = 3


def measure(rounds: int) -> Sequence[Finding | Omitted]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        made = credentials.make(folder)
        slow, quick = (stack.enter_context(delayed_link(s)) for s in (ROUND_TRIP_S, 0.0))
        behind_slow, behind_quick = (
            stack.enter_context(_far_side(folder / name, made, link))
            for name, link in (("slow", slow), ("quick", quick))
        )
        trip_s = round_trip_s(slow, behind_slow.port)
        stack.enter_context(on_core(-1))
        return [
            *_fixed(slow, behind_slow, folder, rounds, CONCURRENCY / (_ROUND_TRIPS * trip_s)),
            *_adaptive({"slow": (slow, behind_slow), "quick": (quick, behind_quick)}, rounds),
            summary("round trip as measured", [trip_s * 1000], unit="ms"),
        ]


@contextmanager
def _far_side(folder: Path, made: credentials.Credentials, link: DelayedLink) -> Iterator[Balancer]:
    folder.mkdir()
    with ExitStack() as stack:
        with on_core(0):
            far = balancer.running(folder, made, address=FAR, enter=link.far)
            running = stack.enter_context(far)
        yield running


def _fixed(
    link: DelayedLink, far: Balancer, folder: Path, rounds: int, ideal: float
) -> Sequence[Finding | Omitted]:
    """64 connections at once, as parts of `ideal` requests a second."""
    target = far.target()

    def engine() -> float:
        return verify(target, REQUESTS, concurrency=CONCURRENCY, enter=link.near).rate / ideal

    def in_c(program: Path) -> float:
        return c_client.run(program, target, REQUESTS, CONCURRENCY, enter=link.near).rate / ideal

    ways: dict[str, Callable[[], float]] = {"engine": engine}
    what, without = "the same by the C client", ""
    try:
        ways["C client"] = partial(in_c, c_client.build(folder))
    except Skipped as skipped:
        without = str(skipped)
    shares = in_turn(ways, rounds)
    return [
        summary("64 connections: requests / 64 in 3 round trips", shares["engine"], at_least(0.93)),
        Omitted(what, without) if without else summary(what, shares["C client"]),
    ]


def _adaptive(ends: Mapping[str, tuple[DelayedLink, Balancer]], rounds: int) -> Sequence[Finding]:
    """No number of connections given: the rate over the slow link against that over the quick."""

    def steady(link: DelayedLink, far: Balancer) -> float:
        ran = verify(
            far.target(), concurrency=None, duration_s=ADAPTING_S + STEADY_S, enter=link.near
        )
        return median(ran.history[-int(STEADY_S / Rates.STEP_S) :])

    rates = in_turn({name: partial(steady, *each) for name, each in ends.items()}, rounds)
    return [
        ratio(
            "adaptive: requests a second at 40 ms / 0 ms",
            rates["slow"],
            rates["quick"],
            at_least(0.9),
        ),
        summary("adaptive: requests a second at 40 ms", rates["slow"]),
    ]
