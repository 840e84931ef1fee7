"""The file that a crash of the program itself leaves: no local variable, and no secret."""

from __future__ import annotations

import sys
from pathlib import Path

from app.version import __version__
from services.problem import Problem
from services.redact import Redactor


def write(error: BaseException, folder: Path, redact: Redactor) -> Problem:
    """Write the report into `folder`; returns what to tell the person (`core.unexpected`).

    Frames are named by file and line; what a variable held stays out, since keys pass through
    variables. Where the report cannot be written, the Problem says that in place of its path.
    """
    from datetime import UTC, datetime

    from services import disk  # 10 ms, at every start

    path: Path | str = folder / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.txt"
    try:
        disk.make_folder(folder)
        disk.write(Path(path), redact(_text(error)).encode(errors="backslashreplace"))
    except Problem as problem:
        path = problem.words().what
    return Problem("core.unexpected", kind=type(error).__name__, path=path)


def _text(error: BaseException) -> str:
    import platform
    import traceback

    frames = traceback.format_list(traceback.extract_tb(error.__traceback__))
    lines = [
        f"nlb-mtls {__version__}",
        f"Python {platform.python_version()} on {sys.platform}",
        f"{type(error).__name__}: {error}",
        "",
        *(frame.rstrip("\n") for frame in frames),
    ]
    if error.__cause__ is not None:
        lines += ["", "caused by", _text(error.__cause__)]
    return "\n".join(lines) + "\n"
