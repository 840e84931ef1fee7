"""The client in C (`mtls_client.c`): built where there is a compiler and libssl's headers."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.child import children_cpu_s, need
from scripts.benchmarks.finding import Skipped
from services.probe.target import Target
from services.probe.worker import NICENESS

_SOURCE = Path(__file__).with_name("mtls_client.c")
_LIBRARIES = ("-lssl", "-lcrypto")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of it took."""

    cpu_s: float
    rate: float
    """Requests a second, by its own clock."""


def build(folder: Path) -> Path:
    """Build it into `folder`; its path. Raises Skipped where it does not compile."""
    program = folder / "mtls_client"
    command = [need("cc"), "-O2", "-o", str(program), str(_SOURCE), *_LIBRARIES]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        errors = (line for line in built.stderr.splitlines() if "error:" in line)
        said = next(errors, f"exit status {built.returncode}")
        raise Skipped(f"the client in C does not compile here: {said.strip()}")
    return program


def run(
    program: Path,
    target: Target,
    requests: int,
    concurrency: int,
    *,
    enter: Sequence[str] = (),
) -> Ran:
    """Make this many requests, `concurrency` at once.

    Raises CalledProcessError unless all are ok.
    """
    command = shlex.join(
        [
            *(str(program), target.host, str(target.port), target.name),
            *map(str, (target.ca_file, target.certificate_file, target.key_file)),
            *(target.path, str(requests), str(concurrency)),
        ]
    )
    before = children_cpu_s()
    ran = subprocess.run(
        [*enter, *as_nice_as_the_worker(f"exec {command}")],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    elapsed_s = json.loads(ran.stdout)["elapsed_s"]
    return Ran(children_cpu_s() - before, requests / elapsed_s)


def as_nice_as_the_worker(script: str) -> Sequence[str]:
    """A shell for `script`; to be started in a session of its own, as the worker is."""
    alike = f"{{ echo {NICENESS} > /proc/self/autogroup; }} 2>/dev/null || :"
    niceness = NICENESS - os.nice(0)
    return ["nice", "-n", str(niceness), "sh", "-ec", f"{alike}; {script}"]
