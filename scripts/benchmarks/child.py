"""Programs as children: what they cost, where they may run, and what they find around them."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts.benchmarks.finding import Skipped

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
NLB_MTLS = str(Path(sys.executable).with_name("nlb-mtls"))
"""The command as it is installed, not `python -m`: what a person starts."""

_OURS = ("ALIBABA_", "NLB_MTLS_", "TEXTUAL_", "PYTHON")
_TALK = ("CI", "ACCESSIBLE", "NO_COLOR", "COLORFGBG", "COLORTERM")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a child took until its end."""

    wall_s: float
    cpu_s: float


def environment(home: Path, **extra: str) -> Mapping[str, str]:
    """This environment without what would change the program's ways, in a home of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and name not in _TALK
    }
    told = {"HOME": str(home), "NLB_MTLS_HOME": str(home), "TERM": "xterm-256color"}
    return {**kept, **told, "LC_ALL": "C.UTF-8", **extra}


def spend(command: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Spent:
    """Run a command to its end, its output unseen. Raises CalledProcessError if it fails.

    It gets a session of its own, as the program's worker does: Linux weighs sessions against each
    other, and niceness counts within one only (sched(7), autogroup).
    """
    before, began = children_cpu_s(), time.perf_counter()
    subprocess.run(
        command,
        check=True,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return Spent(time.perf_counter() - began, children_cpu_s() - before)


def children_cpu_s() -> float:
    """The CPU time, user and system, of all children (and theirs) that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def need(program: str) -> str:
    """The path of a program that this project did not write. Raises Skipped without it."""
    found = shutil.which(program, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))
    if found is None:
        raise Skipped(f"{program} is not installed")
    return found


def cpu_s(pid: int) -> float:
    """The CPU time that a living process (without children) has used so far, to the nanosecond.

    `/proc/PID/stat` would count in hundredths of a second. Raises Skipped without Linux's /proc.
    """
    _on_linux()
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9


def descendant(pid: int, command: str) -> int:
    """The process that this one started, directly or not, with these words in its command line."""
    _on_linux()
    for found, words in _descendants(pid):
        if command in words:
            return found
    raise LookupError(f"process {pid} has started no {command}")


def _descendants(pid: int) -> Iterator[tuple[int, str]]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            yield child, command.replace(b"\0", b" ").decode()
            yield from _descendants(child)


def _on_linux() -> None:
    if sys.platform != "linux":
        raise Skipped("this looks into processes by Linux's /proc")


@contextmanager
def on_core(which: int) -> Iterator[None]:
    """What is started in this block stays on one core: the first, or the last (-1) of ours.

    Raises Skipped where there are not two cores to choose from, or no way to choose.
    """
    cores = _cores()
    os.sched_setaffinity(0, {cores[which]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def move_to_core(pid: int, which: int) -> None:
    """Tie a process that runs already, with all its threads, to one core."""
    core = _cores()[which]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


@cache
def _cores() -> Sequence[int]:
    """Those that this process had when it first asked: it may tie itself to one of them."""
    _on_linux()
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        raise Skipped("two cores are needed, one for each side")
    return mine
