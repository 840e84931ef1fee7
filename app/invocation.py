"""The exact command with which a person goes on, as it can be pasted into the same shell."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path


def command(words: Sequence[str], home: str | None) -> str:
    """`nlb-mtls WORDS`, spelt as this process was started and with its `--home`, if it has one."""
    options = ["--home", str(Path(home).absolute())] if home else []
    return " ".join([_program(), *(shlex.quote(word) for word in (*options, *words))])


def _program() -> str:
    started = Path(sys.argv[0])
    if started.suffix == ".py":
        return f"{shlex.quote(sys.executable)} -m app.cli"
    on_path = shutil.which(started.name)
    if on_path is not None and os.path.realpath(on_path) == os.path.realpath(started):
        return shlex.quote(started.name)
    return shlex.quote(str(started.absolute()))
