"""From parsed options to an exit code: the command is run, and whatever it raises is told."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from app import crash
from app.console import Console
from app.interrupts import Interrupted
from app.options import Options, Usage
from services import disk
from services.problem import Exit, Problem
from services.redact import Redactor

_SECRETS = ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN")

_READER_GONE = 141
"""What a shell says of a program that SIGPIPE ended."""


def refuse(usage: Usage, words: Sequence[str]) -> int:
    """Tell what is wrong with the words, and where the help is."""
    console = Console(json="--json" in words)
    command = " ".join(filter(None, ("nlb-mtls", usage.command.replace("-", " "))))
    problem = Problem("app.usage", exit=Exit.USAGE, message=str(usage), command=command)
    return _ended(console, problem)


def carry_out(options: Options) -> int:
    """Run the command and return its exit code (`services.problem.Exit`, or 128 and a signal)."""
    _quiet()
    console = Console(
        json=options.json, redact=Redactor(os.environ.get(name, "") for name in _SECRETS)
    )
    try:
        home = home_folder(options.home)
        crash.report_to(home / "reports", console)
        command = import_module(f"app.commands.{_module(options)}")
        return int(command.run(options, console, home))
    except Problem as problem:
        return _ended(console, problem)
    except BrokenPipeError:
        # What is left in the buffer would fail once more when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except OSError as error:
        # A disk may fill up under any write, also under those of libraries.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        path = Path(os.fsdecode(error.filename)) if error.filename else home_folder(options.home)
        return _ended(console, disk.cannot_write(path, error))
    except KeyboardInterrupt as interrupt:
        # Work that was left behind, and threads that serve it, must not hold the prompt.
        sys.stderr.flush()
        os._exit(interrupt.exit_code if isinstance(interrupt, Interrupted) else Exit.INTERRUPTED)


def home_folder(given: str | None) -> Path:
    """`--home`, else `NLB_MTLS_HOME`, else the platform's folder for a user's data."""
    chosen = given or os.environ.get("NLB_MTLS_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("nlb-mtls", appauthor=False)


def _module(options: Options) -> str:
    if options.help_answers:
        return "help_answers"
    if options.print_completion:
        return "completion"
    if options.serve:
        return "lab_serve"
    return options.command or "begin"


def _ended(console: Console, problem: Problem) -> int:
    try:
        console.failure(problem)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(problem.exit)


def _quiet() -> None:
    """Keep libraries from talking on stderr: what matters comes as a Problem."""
    import logging

    logging.getLogger().addHandler(logging.NullHandler())
