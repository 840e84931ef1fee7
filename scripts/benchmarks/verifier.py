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
from collections.abc import Mapping, Sequence
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
    peaks_kib: dict[str, int]


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
    peaks_kib: Mapping[int, int]
    """The most memory that the worker had had resident (VmHWM) when it had counted 100 requests,
    1000, and so on."""


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
        peaks_kib={int(counted): kib for counted, kib in report["peaks_kib"].items()},
    )


class _Peaks:
    """The worker's peak memory at each power of ten, read with the snapshot that passes it."""

    def __init__(self) -> None:
        self.kib: dict[str, int] = {}
        self._newest = 0
        self._next = 100

    def look(self, tally: Tally) -> None:
        # The worker may have ended already when its last snapshot is shown: the newest then stays.
        with suppress(LookupError, FileNotFoundError, ProcessLookupError):
            worker = descendant(getpid(), "services.probe.worker")
            status = Path(f"/proc/{worker}/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                self._newest = int(found[1])
        while self._next <= tally.requests:
            self.kib[str(self._next)] = self._newest
            self._next *= 10


def main() -> None:
    target, spec = target_from(json.loads(sys.argv[1])), json.loads(sys.argv[2])
    peaks = _Peaks()
    tally = runner.run(target, **spec, stop=Stop(), on_snapshot=peaks.look)
    report: Report = {
        "ok": tally.ok,
        "requests": tally.requests,
        "backends": dict(tally.backends),
        "outcomes": dict(tally.outcomes),
        "samples": dict(tally.samples),
        "rate": tally.requests_per_second,
        "history": list(tally.rates.history),
        "cpu_s": children_cpu_s(),
        "peaks_kib": peaks.kib,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
