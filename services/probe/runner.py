"""Starts the worker processes, follows their counts, and sees to it that they end."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import IO

import services
from services.probe.address import Address, Unresolved, resolve
from services.probe.outcome import Outcome
from services.probe.tally import Tally
from services.probe.target import Target
from services.probe.wire import Line, News, Spec, target_map
from services.problem import Exit, Problem, Stopped
from services.stop import Stop

SNAPSHOT_S = 0.1
"""Snapshots come at most this often, but for the last."""
MOST_WORKERS = 64
_KILL_AFTER_S = 0.8
"""How long after a stop the workers may still send their last counts."""
_LOOK_UP_EVERY_S = 30.0
_LOOK_UP_AGAIN_S = 1.0
"""How soon the name is looked up again when no address can be connected to."""

Lookup = Callable[[], Sequence[Address]]
"""The addresses to connect to, as they are now. Raises Unresolved, or Stopped."""


def run(
    target: Target,
    *,
    requests: int | None = None,
    duration_s: float | None = None,
    rate_per_s: float | None = None,
    concurrency: int | None = None,
    workers: int = 1,
    stop: Stop,
    on_snapshot: Callable[[Tally], None] = lambda tally: None,
    addresses: Sequence[Address] | None = None,
    lookup: Lookup | None = None,
) -> Tally:
    """Make `requests` requests, or as many as fit in `duration_s`; with neither, until stopped.

    `rate_per_s` bounds how many are begun a second. `concurrency` is how many are under way at
    once, at most 256 for each worker; None lets each worker find out how many are worth having.
    `workers` processes share all this; more than one helps where one fills its core. At any time
    at most twice the connections at once are open: those answered wait for the other side's end.
    `on_snapshot` is called in this thread, at most ten times a second and with the end. A stop
    ends the run within a second, and what was counted until then is returned.

    A name is looked up again while the run goes on, every half a minute and as soon as none of
    its addresses can be connected to; what has vanished is no longer connected to. `addresses`
    spares the first look-up; `lookup` takes the place of the system's resolver.
    Raises Problem for files that no request can be made with, and when a worker dies.
    """
    target.check()
    if concurrency is not None and concurrency < 1:
        raise ValueError("concurrency must be at least 1")
    if not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"workers must be 1 to {MOST_WORKERS}")
    if lookup is None and not _numeric(target.host):

        def lookup() -> Sequence[Address]:
            return resolve(target.host, target.port, stop)

    try:
        if not addresses:
            addresses = lookup() if lookup else [Address(target.host, target.port)]
    except Unresolved as error:
        return unresolved(target, error)
    except Stopped:
        return Tally()
    specs = _shares(
        {
            "target": target_map(target),
            "addresses": [(address.host, address.port) for address in addresses],
            "requests": requests,
            "duration_s": duration_s,
            "rate_per_s": rate_per_s,
            "concurrency": concurrency,
        },
        workers,
    )
    with ExitStack() as stack:
        started = []
        for _ in specs:
            # A file, not a pipe: nobody has to read it while the worker lives.
            complaints = stack.enter_context(tempfile.TemporaryFile())
            worker = _Worker(stack.enter_context(_start(complaints)), complaints)
            stack.callback(worker.process.kill)  # it has ended, unless an exception brings us here
            started.append(worker)
        return _Run(started, stop).follow(specs, on_snapshot, addresses, lookup)


def _numeric(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _shares(spec: Spec, workers: int) -> list[Spec]:
    """What each of `workers` is to do, so that all together do what `spec` says."""
    requests, rate, concurrency = spec["requests"], spec["rate_per_s"], spec["concurrency"]
    for most in (requests, concurrency):
        if most is not None:
            workers = max(1, min(workers, most))

    def part(whole: int | None, number: int) -> int | None:
        return None if whole is None else (whole + number) // workers

    return [
        {
            **spec,
            "requests": part(requests, number),
            "rate_per_s": None if rate is None else rate / workers,
            "concurrency": part(concurrency, number),
        }
        for number in range(workers)
    ]


def unresolved(target: Target, error: Unresolved) -> Tally:
    """The tally when there is no address to connect to: one request, failed; more prove no more."""
    evidence = f"{error}: {target.host}"
    return Tally(
        outcomes={Outcome.NAME_NOT_RESOLVING.value: 1},
        samples={Outcome.NAME_NOT_RESOLVING.value: evidence},
        addresses={target.endpoint: {Outcome.NAME_NOT_RESOLVING.value: 1}},
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


class _Worker:
    """A worker process as it is followed."""

    def __init__(self, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._stdin, self.stdout = process.stdin, process.stdout
        self._complaints = complaints
        self._telling = threading.Lock()
        self.tally = Tally()
        self.final = False

    def tell(self, line: Spec | News) -> None:
        with self._telling, suppress(OSError, ValueError):  # it has ended, and stderr says why
            self._stdin.write(json.dumps(line).encode() + b"\n")
            self._stdin.flush()

    def end(self) -> None:
        """Close its stdin: it then ends by itself, with its last counts."""
        with self._telling, suppress(OSError):
            self._stdin.close()

    def why(self) -> str:
        status = self.process.wait()
        self._complaints.seek(0)
        said = self._complaints.read(65536).decode(errors="replace").strip().splitlines()
        return f"exit status {status}" + (f": {said[-1][:200]}" if said else "")


class _Run:
    """The workers of one run, and the sum of what they have counted."""

    def __init__(self, workers: Sequence[_Worker], stop: Stop) -> None:
        self._workers = workers
        self._stop = stop
        self._said: queue.SimpleQueue[tuple[_Worker, bytes]] = queue.SimpleQueue()
        """What the workers print; an empty line is the end of a worker."""

    def follow(
        self,
        specs: Sequence[Spec],
        on_snapshot: Callable[[Tally], None],
        addresses: Sequence[Address],
        lookup: Lookup | None,
    ) -> Tally:
        tally, shown_at = Tally(), 0.0
        last_resort = threading.Timer(_KILL_AFTER_S, self._kill)

        def end() -> None:
            last_resort.start()
            self._end()

        try:
            with self._stop.closing(end), self._reading(), ExitStack() as stack:
                for worker, spec in zip(self._workers, specs, strict=True):
                    worker.tell(spec)
                names = None
                if lookup is not None:
                    names = stack.enter_context(_Names(lookup, addresses, self._tell).following())
                for _ in self._counted():
                    final = all(each.final for each in self._workers)
                    now = time.monotonic()
                    if not final and now - shown_at < SNAPSHOT_S * 0.9:
                        continue
                    shown_at, earlier = now, tally
                    tally = self._sum().after(earlier, ended=final)
                    on_snapshot(tally)
                    if names and _unreached(earlier, tally):
                        names.hurry()
        except Stopped:
            pass
        finally:
            last_resort.cancel()
            self._end()
        return self._sum().after(tally, ended=True)

    def _counted(self) -> Iterator[None]:
        """Take what the workers say, and pause after each new count, until all have ended.

        Raises Problem for one that cannot work or has died."""
        living = len(self._workers)
        while living:
            worker, text = self._said.get()
            if not text:
                living -= 1
                if not worker.final and not self._stop.is_set():
                    raise Problem("probe.worker", worker.why())
                continue
            line: Line = json.loads(text)
            if "problem" in line:
                raise Problem(
                    line["problem"], line["evidence"], exit=Exit.NOT_FINE, **line["facts"]
                )
            worker.final = line["final"]
            worker.tally = Tally.from_map(line["tally"])
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Read what the workers say, each in a thread of its own, until they end."""

        def read(worker: _Worker) -> None:
            for text in worker.stdout:
                self._said.put((worker, text))
            self._said.put((worker, b""))

        threads = [
            threading.Thread(target=read, args=(worker,), name="worker", daemon=True)
            for worker in self._workers
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        except BaseException:
            self._kill()
            raise
        finally:
            for thread in threads:
                thread.join()

    def _sum(self) -> Tally:
        return sum((worker.tally for worker in self._workers), start=Tally())

    def _tell(self, news: News) -> None:
        for worker in self._workers:
            worker.tell(news)

    def _end(self) -> None:
        for worker in self._workers:
            worker.end()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()


_UNREACHED = (
    Outcome.CONNECT_REFUSED,
    Outcome.CONNECT_TIMEOUT,
    Outcome.UNREACHABLE,
)


def _unreached(earlier: Tally, later: Tally) -> bool:
    """Whether requests ended between the two, and none of them could even connect."""
    ended = later.requests - earlier.requests
    return ended > 0 and ended == sum(
        later.outcomes.get(outcome, 0) - earlier.outcomes.get(outcome, 0) for outcome in _UNREACHED
    )


class _Names:
    """Looks the target's name up again and again, in a thread, and tells of what has changed."""

    def __init__(
        self, lookup: Lookup, known: Sequence[Address], tell: Callable[[News], None]
    ) -> None:
        self._lookup = lookup
        self._known = tuple(known)
        self._tell = tell
        self._wake = threading.Event()
        self._over = threading.Event()

    def hurry(self) -> None:
        """Look up now, or a second after the last time."""
        self._wake.set()

    @contextmanager
    def following(self) -> Iterator[_Names]:
        # Not waited for: a resolver may take its time, and does nothing any more when it returns.
        threading.Thread(target=self._follow, name="names", daemon=True).start()
        try:
            yield self
        finally:
            self._over.set()
            self._wake.set()

    def _follow(self) -> None:
        while not self._over.wait(_LOOK_UP_AGAIN_S):
            self._wake.wait(_LOOK_UP_EVERY_S)
            self._wake.clear()
            if self._over.is_set():
                return
            try:
                found = tuple(self._lookup())
            except (Unresolved, Stopped):
                continue  # what was known goes on to be tried: the name service may be down
            if found and set(found) != set(self._known) and not self._over.is_set():
                self._known = found
                self._tell({"addresses": [(each.host, each.port) for each in found]})
