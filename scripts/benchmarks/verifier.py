"""The program's own verification in a process of its own, and what it took.

`services.probe.runner` starts its worker wherever it runs itself: on the same core, in the same
network namespace. So a benchmark that wants it elsewhere starts this module there. It prints one
line of JSON, a `Report`. The CPU time is that of the worker processes alone, as the kernel accounts
it when they have ended.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import getpid
from pathlib import Path
from typing import Any, TypedDict

from scripts.benchmarks.child import PYTHON, ROOT, children_cpu_s, descendant
from services.probe import runner
from services.probe.tally import Tally
from services.probe.target import Target
from services.probe.wire import target_from, target_map
from services.stop import Stop


class Report(TypedDict):
    """What a run came to, as JSON."""

    ok: int
    requests: int
    backends: dict[str, int]
    outcomes: dict[str, int]
    samples: dict[str, str]
    rate: float
    history: list[float]
    cpu_s: float
    peak_kib: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What a run came to. Every request was ok, and named by its backend."""

    requests: int
    rate: float
    """Requests a second over the whole run, by the worker's own clock."""
    history: Sequence[float]
    """The rate over time, half a second each."""
    cpu_s: float
    """Of the workers, their start included."""
    peak_kib: int
    """The most memory that a worker had resident (VmHWM)."""


def verify(
    target: Target,
    requests: int | None = None,
    *,
    concurrency: int | None = 16,
    enter: Sequence[str] = (),
    **options: Any,
) -> Verified:
    """Make this many requests with the program's own runner; `options` are the runner's.

    Raises AssertionError when they are not all ok: that would measure something else.
    """
    spec = {"requests": requests, "concurrency": concurrency, **options}
    command = [
        *(*enter, PYTHON, "-P", "-m", "scripts.benchmarks.verifier"),
        *(json.dumps(target_map(target)), json.dumps(spec)),
    ]
    # -P keeps the folder that this was started from off the path, and the checkout's with it.
    ran = subprocess.run(
        ["env", f"PYTHONPATH={ROOT}", *command],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    report: Report = json.loads(ran.stdout)
    counted = sum(report["backends"].values())
    if not report["requests"] == report["ok"] == counted:
        raise AssertionError(
            f"{report['requests']} of {requests} requests made, {report['outcomes']},"
            f" by backend {report['backends']}: {report['samples']}"
        )
    return Verified(
        requests=report["requests"],
        rate=report["rate"],
        history=report["history"],
        cpu_s=report["cpu_s"],
        peak_kib=report["peak_kib"],
    )


class _Peak:
    """The worker's peak memory, read with each snapshot: it is gone when its run is over."""

    def __init__(self) -> None:
        self.kib = 0

    def look(self, _: Tally) -> None:
        # It may have ended already, with its last snapshot still to be shown.
        with suppress(LookupError, FileNotFoundError, ProcessLookupError):
            worker = descendant(getpid(), "services.probe.worker")
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
            self.kib = max(self.kib, int(found[1]) if found else 0)


def main() -> None:
    target, spec = target_from(json.loads(sys.argv[1])), json.loads(sys.argv[2])
    peak = _Peak()
    tally = runner.run(target, **spec, stop=Stop(), on_snapshot=peak.look)
    report: Report = {
        "ok": tally.ok,
        "requests": tally.requests,
        "backends": dict(tally.backends),
        "outcomes": dict(tally.outcomes),
        "samples": dict(tally.samples),
        "rate": tally.requests_per_second,
        "history": list(tally.rates.history),
        "cpu_s": children_cpu_s(),
        "peak_kib": peak.kib,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
