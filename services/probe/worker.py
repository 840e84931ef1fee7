"""The process that makes the requests: `python -m services.probe.worker`.

A process of its own, niced, keeps keys and screen quick while the engine runs at full speed. It
reads one line of JSON, a `Spec`, from stdin, and prints one line of cumulative counts each tenth
of a second and a last one marked `final`. It ends when its work is done, on SIGTERM, or when
stdin closes: so also when the process that started it dies, however it dies.

Secrets never pass through here: the spec holds file names, the output holds counts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from services.probe.address import Address
from services.probe.backend import Namer
from services.probe.engine import Engine, Exchange
from services.probe.outcome import Outcome
from services.probe.tally import Counting
from services.probe.target import client_context
from services.probe.wire import Line, Spec, target_from
from services.problem import Problem

NICENESS = 10
_LAST_RESORT_S = 1.0
"""How long after stdin has closed the process may still live."""


def main() -> int:
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    # ctrl+c goes to every process of the terminal; whoever started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stand_back()
    line = _read_line()
    if not line:
        return 0
    threading.Thread(target=_watch, args=(stopping,), daemon=True).start()
    try:
        _work(json.loads(line), stopping)
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


def _work(spec: Spec, stopping: threading.Event) -> None:
    target = target_from(spec["target"])
    context = client_context(target) if target.tls else None
    namer = Namer(target.backends)
    counting = Counting(started=time.time())
    began = time.monotonic()

    def record(exchange: Exchange) -> None:
        if exchange.outcome is not Outcome.OK or exchange.answer is None:
            counting.failed(exchange.outcome, exchange.evidence)
            return
        name = namer.name(exchange.answer.body)
        counting.answered(name, exchange.latency_s, exchange.tls)
        if exchange.server_not_after:
            counting.server_not_after = exchange.server_not_after

    def report(unfinished: int = 0, final: bool = False) -> None:
        tally = counting.tally(time.monotonic() - began, unfinished)
        _print({"tally": tally.to_map(), "final": final})

    addresses = [Address(host, port) for host, port in spec["addresses"]]
    unfinished = Engine(target, addresses, context, record).run(
        requests=spec["requests"],
        duration_s=spec["duration_s"],
        rate_per_s=spec["rate_per_s"],
        concurrency=spec["concurrency"],
        stop=stopping.is_set,
        tick=report,
    )
    report(unfinished, final=True)


def _read_line() -> bytes:
    # By file descriptor: a thread that holds the buffer of sys.stdin stops Python from ending.
    line = b""
    while not line.endswith(b"\n"):
        if not (more := os.read(0, 65536)):
            return b""
        line += more
    return line


def _watch(stopping: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stopping.set()
    time.sleep(_LAST_RESORT_S)
    os._exit(1)


def _print(line: Line) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
