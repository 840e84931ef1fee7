"""Starts the worker process, follows its counts, and sees to it that it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import services
from services.probe.address import Address, Unresolved, resolve
from services.probe.outcome import Outcome
from services.probe.tally import Tally
from services.probe.target import Target
from services.probe.wire import Line, Spec, target_map
from services.problem import Exit, Problem, Stopped
from services.stop import Stop

SNAPSHOT_S = 0.1
"""Snapshots come at most this often, but for the last."""
_KILL_AFTER_S = 0.8
"""How long after a stop the worker may still send its last counts."""


def run(
    target: Target,
    *,
    requests: int | None = None,
    duration_s: float | None = None,
    rate_per_s: float | None = None,
    concurrency: int = 16,
    stop: Stop,
    on_snapshot: Callable[[Tally], None] = lambda tally: None,
    addresses: Sequence[Address] | None = None,
) -> Tally:
    """Make `requests` requests, or as many as fit in `duration_s`; with neither, until stopped.

    `rate_per_s` bounds how many are begun a second. `on_snapshot` is called in this thread, at
    most ten times a second and with the end. A stop ends the run within a second, and what was
    counted until then is returned. `addresses` spares the look-up of the target's name. Raises
    Problem for files that no request can be made with.
    """
    target.check()
    if concurrency < 1:
        raise ValueError("concurrency must be at least 1")
    try:
        found = addresses or resolve(target.host, target.port, stop)
    except Unresolved as error:
        return unresolved(target, error)
    except Stopped:
        return Tally()
    spec: Spec = {
        "target": target_map(target),
        "addresses": [(address.host, address.port) for address in found],
        "requests": requests,
        "duration_s": duration_s,
        "rate_per_s": rate_per_s,
        "concurrency": concurrency,
    }
    # A file, not a pipe: nobody has to read it while the worker lives.
    with tempfile.TemporaryFile() as complaints, _start(complaints) as worker:
        try:
            return _follow(worker, spec, complaints, stop, on_snapshot)
        finally:
            worker.kill()  # it has ended, unless we are here by an exception


def unresolved(target: Target, error: Unresolved) -> Tally:
    """The tally when there is no address to connect to: one request, failed; more prove no more."""
    evidence = f"{error}: {target.host}"
    return Tally(
        outcomes={Outcome.NAME_NOT_RESOLVING.value: 1},
        samples={Outcome.NAME_NOT_RESOLVING.value: evidence},
        started=time.time(),
    )


def _start(complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    priority = 0
    if sys.platform == "win32":  # elsewhere the worker sets its own
        priority = subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        # -P keeps the current folder off the path: it may hold a file named like a module of ours.
        [sys.executable, "-P", "-m", "services.probe.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env=_environment(),
        # The terminal's ctrl+c is to reach us alone: we stop the worker.
        start_new_session=sys.platform != "win32",
        creationflags=priority,
    )


def _environment() -> dict[str, str]:
    """Ours, and where `services` is if it runs from a checkout, installed or not."""
    environment = dict(os.environ)
    home = Path(services.__file__ or "").parent.parent
    # site-packages is found anyway, and must not come before the standard library.
    if home.name not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(home), known)))
    return environment


def _follow(
    worker: subprocess.Popen[bytes],
    spec: Spec,
    complaints: IO[bytes],
    stop: Stop,
    on_snapshot: Callable[[Tally], None],
) -> Tally:
    assert worker.stdin is not None
    assert worker.stdout is not None
    stdin = worker.stdin
    last_resort = threading.Timer(_KILL_AFTER_S, worker.kill)

    def end() -> None:
        last_resort.start()
        with suppress(OSError):
            stdin.close()

    tally, shown_at, final = Tally(), 0.0, False
    try:
        with stop.closing(end):
            with suppress(BrokenPipeError):  # it died at once, and stderr says why
                stdin.write(json.dumps(spec).encode() + b"\n")
                stdin.flush()
            for text in worker.stdout:
                line: Line = json.loads(text)
                if "problem" in line:
                    raise Problem(
                        line["problem"], line["evidence"], exit=Exit.NOT_FINE, **line["facts"]
                    )
                final = line["final"]
                tally = Tally.from_map(line["tally"]).after(tally, ended=final)
                now = time.monotonic()
                if final or now - shown_at >= SNAPSHOT_S * 0.9:
                    shown_at = now
                    on_snapshot(tally)
            if not final:
                stop.check()
                raise Problem("probe.worker", _why(worker, complaints))
    except Stopped:
        pass
    finally:
        last_resort.cancel()
        with suppress(OSError):
            stdin.close()
    return tally


def _why(worker: subprocess.Popen[bytes], complaints: IO[bytes]) -> str:
    status = worker.wait()
    complaints.seek(0)
    said = complaints.read(65536).decode(errors="replace").strip().splitlines()
    return f"exit status {status}" + (f": {said[-1][:200]}" if said else "")
