"""`lab serve`: only the lab, in the foreground, until ctrl+c or SIGTERM."""

from __future__ import annotations

from pathlib import Path

from app.console import Console
from app.lab_process import LabSettings
from app.options import Options
from services.problem import Exit


def run(options: Options, console: Console, home: Path) -> Exit:
    """One JSON line on stdout when everything listens, then nothing. Raises Problem."""
    from services.lab.serve import serve

    LabSettings(options.backends, tuple(options.fault)).check()
    serve(
        Path(options.dir) if options.dir is not None else None,
        options.port,
        options.backends,
        tuple(options.fault),
        lambda line: print(line, flush=True),
    )
    return Exit.FINE
