"""The client in C, built where there is a compiler and libssl's headers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts.benchmarks.child import need
from scripts.benchmarks.finding import Skipped

_SOURCE = Path(__file__).with_name("mtls_client.c")
_LIBRARIES = ("-lssl", "-lcrypto")


def mtls_client(folder: Path) -> Path:
    """Build `mtls_client.c` into `folder`; its path. Raises Skipped where it does not compile."""
    program = folder / "mtls_client"
    command = [need("cc"), "-O2", "-o", str(program), str(_SOURCE), *_LIBRARIES]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        errors = (line for line in built.stderr.splitlines() if "error:" in line)
        said = next(errors, f"exit status {built.returncode}")
        raise Skipped(f"the client in C does not compile here: {said.strip()}")
    return program
