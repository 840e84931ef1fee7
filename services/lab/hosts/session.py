"""Scripts on a host: from a text and three streams to an exit status."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from services.lab.hosts.shell.builtins import BUILTINS
from services.lab.hosts.shell.interpreter import PATH, Shell
from services.lab.hosts.shell.machine import Machine, Program
from services.lab.hosts.shell.pipeline import BROKEN_PIPE, INTERRUPTED, TOO_DEEP
from services.lab.hosts.shell.streams import Sink, Source
from services.problem import Stopped
from services.stop import Stop

HOME = "/root"


def login_shell(
    machine: Machine,
    programs: Mapping[str, Program],
    streams: tuple[Source, Sink, Sink],
    stop: Stop,
    environment: Mapping[str, str],
) -> Shell:
    """A shell as root finds it after logging in."""
    variables = {
        "HOME": HOME,
        "HOSTNAME": machine.name,
        "LANG": "en_US.UTF-8",
        "LOGNAME": "root",
        "PATH": PATH,
        "PWD": HOME,
        "SHELL": "/bin/bash",
        "USER": "root",
        **environment,
    }
    cwd = HOME if machine.files.is_dir(HOME) else "/"
    stdin, stdout, stderr = streams
    descriptors: dict[int, Source | Sink] = {0: stdin, 1: stdout, 2: stderr}
    return Shell(machine, programs, BUILTINS, variables, descriptors, stop, cwd=cwd)


def run(shell: Shell, script: str) -> int:
    """Run a script to its end; whatever ends it early is a status too. Never raises those."""
    try:
        return shell.run(script)
    except Stopped:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except RecursionError:
        with suppress(BrokenPipeError):
            shell.complain(TOO_DEEP)
        return 2
