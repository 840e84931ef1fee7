"""The process that makes the requests: `python -m services.probe.worker`.

A process of its own, niced, keeps keys and screen quick while the engine runs at full speed. It
reads one line of JSON, a `Spec`, from stdin, and prints one line of cumulative counts each tenth
of a second and a last one marked `final`. Further lines on stdin are `News`. It ends when its
work is done, on SIGTERM, or when stdin closes: so also when the process that started it dies,
however it dies.

Secrets never pass through here: the spec holds file names, the output holds counts.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from services.probe.address import Address
from services.probe.answer import Answer, date_s
from services.probe.backend import Namer
from services.probe.engine import Engine, Exchange
from services.probe.outcome import Outcome
from services.probe.tally import ADDRESSES_LIMIT, NAMES_LIMIT, Counting
from services.probe.target import Target, client_context
from services.probe.wire import Line, News, Spec, target_from
from services.problem import Problem

NICENESS = 10
_LAST_RESORT_S = 1.0
"""How long after stdin has closed the process may still live."""
_FILES = 1024
"""Open files that 256 requests under way and as many answered ones need at most, and some more."""
_GARBAGE = 50_000
"""Objects that may wait for the garbage collector. A request leaves no cycle, so it finds nothing
and only costs time; should something leave one after all, this bounds it."""
_DATE_EVERY_S = 1.0


def main() -> int:
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    # ctrl+c goes to every process of the terminal; whoever started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stand_back()
    allow_files()
    lines = _lines()
    line = next(lines, None)
    if line is None:
        return 0
    inbox: list[News] = []
    threading.Thread(target=_watch, args=(lines, inbox, stopping), daemon=True).start()
    try:
        _work(json.loads(line), inbox, stopping)
    except Problem as problem:
        _print(
            {"problem": problem.code, "evidence": problem.evidence, "facts": dict(problem.facts)}
        )
    except BrokenPipeError:
        pass  # nobody listens any more
    return 0


def stand_back() -> None:
    """Let every other process of this computer go first. On Windows the parent sees to that.

    Linux may schedule each session as one (sched(7), "The autogroup feature"): niceness then counts
    within a session only, and this process is alone in its own, which has to be nice as well.
    """
    if sys.platform == "win32":
        return
    os.nice(NICENESS)
    with suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as group:
        group.write(str(NICENESS))


def allow_files() -> None:
    """Raise this process's own limit on open files as far as is needed, and allowed."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


class _Recorder:
    """Counts requests as they end."""

    def __init__(self, target: Target, counting: Counting) -> None:
        self._namer = Namer(
            target.backends, pattern=target.backend_pattern, name_header=target.backend_header
        )
        self._counting = counting
        self._texts: dict[Address, str] = {}
        self._dated: set[str] = set()
        self._next_date = 0.0

    def __call__(self, exchange: Exchange) -> None:
        answer, address = exchange.answer, self._text(exchange.address)
        if answer is None or exchange.outcome is not _OK:
            backend = self._namer.signed(answer) if answer else None
            self._counting.failed(exchange.outcome, exchange.evidence, address, backend)
            return
        name = self._namer.name(answer)
        self._counting.answered(
            name,
            exchange.latency_s,
            exchange.tls,
            address,
            connect_s=exchange.connect_s,
            handshake_s=exchange.handshake_s,
            first_byte_s=exchange.first_byte_s,
        )
        if exchange.server_not_after:
            self._counting.server_not_after = exchange.server_not_after
        self._date(name, answer)

    def _text(self, address: Address) -> str:
        known = self._texts.get(address)
        if known is None:
            if len(self._texts) >= ADDRESSES_LIMIT:
                self._texts.clear()
            known = self._texts[address] = str(address)
        return known

    def _date(self, backend: str, answer: Answer) -> None:
        """Look at each backend's clock once, and at whoever answers once a second."""
        now = time.time()
        if now < self._next_date and (backend in self._dated or len(self._dated) >= NAMES_LIMIT):
            return
        self._next_date = now + _DATE_EVERY_S
        self._dated.add(backend)
        if (date := date_s(answer.head)) is not None:
            self._counting.dated(date - now)


_OK = Outcome.OK


def _work(spec: Spec, inbox: list[News], stopping: threading.Event) -> None:
    target = target_from(spec["target"])
    context = client_context(target) if target.tls else None
    counting = Counting(started=time.time())
    engine = Engine(target, _addresses(spec["addresses"]), context, _Recorder(target, counting))
    began = time.monotonic()

    def report(unfinished: int = 0, final: bool = False) -> None:
        tally = counting.tally(
            time.monotonic() - began, unfinished, engine.concurrency, engine.limited_to
        )
        _print({"tally": tally.to_map(), "final": final})

    def tick() -> None:
        while inbox:
            engine.addresses = _addresses(inbox.pop(0)["addresses"])
        report()

    gc.freeze()
    gc.set_threshold(_GARBAGE)
    unfinished = engine.run(
        requests=spec["requests"],
        duration_s=spec["duration_s"],
        rate_per_s=spec["rate_per_s"],
        concurrency=spec["concurrency"],
        stop=stopping.is_set,
        tick=tick,
    )
    report(unfinished, final=True)


def _addresses(found: list[tuple[str, int]]) -> list[Address]:
    return [Address(host, port) for host, port in found]


def _lines() -> Iterator[bytes]:
    """The lines of stdin, as they come."""
    # By file descriptor: a thread that holds the buffer of sys.stdin stops Python from ending.
    heard = b""
    while more := os.read(0, 65536):
        heard += more
        *lines, heard = heard.split(b"\n")
        yield from lines


def _watch(lines: Iterator[bytes], inbox: list[News], stopping: threading.Event) -> None:
    for line in lines:
        inbox.append(json.loads(line))
    stopping.set()
    time.sleep(_LAST_RESORT_S)
    os._exit(1)


def _print(line: Line) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
