"""`lab serve`: only the lab, in the foreground."""

from __future__ import annotations

from pathlib import Path

from app.console import Console
from app.options import Options
from services.problem import Exit


def run(options: Options, console: Console, home: Path) -> Exit:
    """Prints one line of JSON when the lab is ready, and nothing more. Raises Problem."""
    from services.lab.serve import serve

    serve(
        Path(options.dir) if options.dir else None,
        options.port,
        options.backends,
        options.fault,
        lambda line: print(line, flush=True),
    )
    return Exit.FINE
