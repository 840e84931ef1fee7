"""The lab as a process: ready line, signals, and the end of whoever started it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from services import disk

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    directory: Path | None,
    port: int,
    backends: int,
    faults: Sequence[str],
    ready: Callable[[str], None],
) -> None:
    """Run a lab until SIGINT or SIGTERM, or until a pipe on stdin is closed by whoever holds it.

    `ready` gets one line of JSON once everything listens. Without `directory` the lab lives in a
    folder that goes with it. Raises Problem (rooms lab, disk).
    """
    from services.lab.lab import held

    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nlb-mtls-")))
        directory = directory.absolute()
        stack.enter_context(held(directory))
        try:
            asyncio.run(_serve(directory, port, backends, faults, ready))
        except OSError as error:
            # Nothing else of the system can fail there: the ports have Problems of their own.
            raise disk.cannot_write(directory, error) from error


async def _serve(
    directory: Path,
    port: int,
    backends: int,
    faults: Sequence[str],
    ready: Callable[[str], None],
) -> None:
    from services.lab.lab import open_lab

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows: ctrl+c comes as KeyboardInterrupt
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    _watch_parent(loop, ended)
    lab = open_lab(directory, backends, faults)
    async with lab.running(port):
        ready(json.dumps(lab.describe(), ensure_ascii=False))
        await ended.wait()


def _watch_parent(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """End with the process that holds the other end of our stdin, even if it is killed.

    Only where stdin is a pipe: a terminal or /dev/null says nothing about anybody.
    """
    try:
        if not stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
            return
    except (OSError, ValueError, AttributeError):
        return

    import threading

    def wait() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()
