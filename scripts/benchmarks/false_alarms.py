"""Healthy endpoints, verified many times over: a diagnosis or a failed verdict is a false alarm.

Half of the verifications are those of a person without an account, against nginx with two backends
behind it; half are the last step of a session in the lab, with health, settings and the Linux
client besides. Their sizes differ, down to a single request, where chance has the most say. With
`--rounds 50` it is a thousand.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from app.wiring import Wiring
from scripts.benchmarks import balancer, credentials
from scripts.benchmarks.child import NLB_MTLS, ROOT, environment
from scripts.benchmarks.finding import Finding, exactly
from scripts.benchmarks.rounds import summary
from services.hosts.host_trust import refuse_host_key
from services.probe.report import verify
from services.stop import Stop

if TYPE_CHECKING:
    from services.probe.target import Target
    from services.walk import Walk

ROUNDS = 5

EACH = 10
"""Verifications of either kind in a round."""
SIZES = (1, 2, 3, 5, 10, 20, 50, 200)
"""How many requests one makes."""

Alarms = Counter[str]
"""What was found though nothing is wrong, and how often."""


def measure(rounds: int) -> Sequence[Finding]:
    sizes = random.Random(rounds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        home = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        at = stack.enter_context(balancer.running(folder, credentials.make(folder)))
        target = replace(at.target(), backends=())
        walk = stack.enter_context(_session(home))
        outside = [_alarms(lambda: _outside(target, sizes)) for _ in range(rounds)]
        session = [_alarms(lambda: _in_session(walk, sizes)) for _ in range(rounds)]
    made = rounds * EACH
    return [
        _finding(f"any endpoint (nginx), {made} verifications", outside),
        _finding(f"a session's last step (lab), {made} verifications", session),
    ]


def _alarms(verification: Callable[[], Alarms]) -> Alarms:
    return sum((verification() for _ in range(EACH)), Alarms())


def _finding(what: str, rounds: Sequence[Alarms]) -> Finding:
    alarms = sum(rounds, Alarms())
    named = "".join(f"; {name}: {count}" for name, count in alarms.most_common())
    return summary(f"false alarms, {what}{named}", [alarms.total()], exactly(0))


def _outside(target: Target, sizes: random.Random) -> Alarms:
    report = verify(target, requests=sizes.choice(SIZES), stop=Stop())
    return _alarms_of(report.verdict, [found.code for found in report.diagnoses])


def _in_session(walk: Walk, sizes: random.Random) -> Alarms:
    last = walk.steps[-1]
    # As many as it takes to meet both backends; fewer would fail for a good reason.
    walk.answer("verify.requests", str(sizes.choice([size for size in SIZES if size > 1])))
    proof = walk.prove(last, Stop())
    return _alarms_of(proof.result["verdict"], [one["code"] for one in proof.result["diagnosis"]])


def _alarms_of(verdict: str, codes: Sequence[str]) -> Alarms:
    return Alarms(codes) + Alarms([] if verdict == "pass" else [f"verdict {verdict}"])


def _session(home: Path) -> AbstractContextManager[Walk]:
    """A session in a lab of its own, with every step done."""
    done = subprocess.run(
        [NLB_MTLS, "lab", "--yes", "--json"],
        env=environment(home),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    session = json.loads(done.stdout.splitlines()[-1])["session"]
    return Wiring(home, environment(home)).resume(
        session, lambda event: None, lambda name, secret: None, refuse_host_key
    )
