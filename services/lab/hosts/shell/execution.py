"""From a command's name to a program that runs: PATH, permissions, scripts on the host."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from getopt import GetoptError
from typing import TYPE_CHECKING

from services.lab.hosts.shell.machine import Process, decoded
from services.stop import Stop

if TYPE_CHECKING:
    from services.lab.hosts.shell.interpreter import Shell

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
"""A shell's own statuses for what it could not run (XCU 2.8.2)."""


def find(shell: Shell, name: str) -> str | None:
    """The path of the program `name`, by PATH; None when there is none that could be run."""
    if "/" in name:
        return name if _executable(shell, name) else None
    for folder in (shell.variables.get("PATH") or "").split(":"):
        path = f"{folder or '.'}/{name}"
        if _executable(shell, path):
            return path
    return None


def launch(
    shell: Shell, arguments: Sequence[str], environment: Mapping[str, str], stop: Stop
) -> int:
    """Run a program of the table, or a script on the host; returns its status.

    Raises `Stopped`, and BrokenPipeError when nobody reads its output any more.
    """
    name = arguments[0]
    path = find(shell, name)
    if path is None:
        return _refuse(shell, name)
    program = shell.programs.get(shell.machine.files.canonical(path, shell.cwd))
    if program is None:
        return _run_file(shell, path, arguments[1:], environment, stop)
    process = Process(
        name=name,
        machine=shell.machine,
        cwd=shell.cwd,
        environment=environment,
        umask=shell.umask,
        stdin=shell.stdin,
        stdout=shell.stdout,
        stderr=shell.stderr,
        stop=stop,
        parent=shell,
    )
    try:
        return program(process, list(arguments[1:]))
    except BrokenPipeError:
        raise
    except GetoptError as error:
        return process.fail(str(error), 2)
    except OSError as error:
        return process.fail_on(error)


def _executable(shell: Shell, path: str) -> bool:
    try:
        mode = shell.machine.files.stat(path, shell.cwd).st_mode
    except OSError:
        return False
    # Windows has no such permission.
    return stat.S_ISREG(mode) and (bool(mode & 0o111) or os.name == "nt")


def _refuse(shell: Shell, name: str) -> int:
    if "/" not in name:
        shell.complain(f"{name}: command not found")
        return _NOT_FOUND
    try:
        mode = shell.machine.files.stat(name, shell.cwd).st_mode
    except OSError as error:
        shell.complain(f"{name}: {error.strerror}")
        return _NOT_FOUND
    shell.complain(f"{name}: {'Is a directory' if stat.S_ISDIR(mode) else 'Permission denied'}")
    return _NOT_EXECUTABLE


def _run_file(
    shell: Shell,
    path: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stop: Stop,
) -> int:
    content = shell.machine.files.read(path, shell.cwd)
    first = content.split(b"\n", 1)[0]
    if b"\0" in content or (first.startswith(b"#!") and not re.search(rb"\b(ba)?sh\b", first)):
        shell.complain(f"{path}: cannot execute binary file: Exec format error")
        return _NOT_EXECUTABLE
    return shell.run_script(decoded(content), path, arguments, environment, stop)
