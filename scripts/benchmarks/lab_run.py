"""`nlb-mtls lab --yes --json` from its start to its end, and where the time goes.

There is nothing to compare it with, so these are seconds, told and not judged: on two cores that
have nothing else to do the whole is to stay within 15. A step lasts from its first event to the
next step's; what comes before the first event is the start of the program and of the lab.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.child import NLB_MTLS, ROOT, environment
from scripts.benchmarks.finding import Finding
from scripts.benchmarks.rounds import in_turn, summary

ROUNDS = 3


def measure(rounds: int) -> Sequence[Finding]:
    runs = in_turn({"lab": _run}, rounds)["lab"]
    return [summary(name, [run[name] for run in runs], unit="s") for name in runs[0]]


def _run() -> Mapping[str, float]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        began, clock = time.time(), time.perf_counter()
        done = subprocess.run(
            [NLB_MTLS, "lab", "--yes", "--json"],
            env=environment(Path(home)),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        whole = time.perf_counter() - clock
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return {"whole run (goal 15 s, not judged)": whole, **durations(events, began)}


def durations(events: Sequence[Mapping[str, str]], began: float) -> Mapping[str, float]:
    """Seconds for each step, from the events of a run that began then (seconds since the epoch)."""
    name, since, taken = "start", began, {}
    for event in events:
        moment = datetime.fromisoformat(event["time"]).timestamp()
        step = event.get("step", name)
        if step != name:
            taken[name] = moment - since
            name, since = step, moment
    return {**taken, name: moment - since}
