"""The commands that are part of the shell, because they change it or ask about it (XCU 2.14)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.lab.hosts.shell.execution import find
from services.lab.hosts.shell.interpreter import Shell
from services.lab.hosts.shell.leaving import Exit, LoopControl, Return
from services.lab.hosts.shell.machine import decoded, encoded
from services.lab.hosts.shell.programs.expression import expression

_OPTIONS = {"e": "errexit", "u": "nounset", "f": "noglob", "x": "xtrace"}


@dataclass(frozen=True, slots=True)
class Builtin:
    """`special` ones keep the assignments before them, and cannot be hidden by a function."""

    run: Callable[[Shell, list[str]], int]
    special: bool = False


def _write(shell: Shell, text: str) -> int:
    shell.stdout.write(encoded(text))
    return 0


def _complain(shell: Shell, text: str, status: int = 1) -> int:
    shell.complain(text)
    return status


def _number(shell: Shell, name: str, arguments: list[str], default: int) -> int:
    if not arguments:
        return default
    if not arguments[0].lstrip("-").isdigit():
        raise Exit(_complain(shell, f"{name}: {arguments[0]}: numeric argument required", 2))
    return int(arguments[0])


def _true(shell: Shell, arguments: list[str]) -> int:
    return 0


def _false(shell: Shell, arguments: list[str]) -> int:
    return 1


def _cd(shell: Shell, arguments: list[str]) -> int:
    arguments = [a for a in arguments if a not in ("--", "-P", "-L")]
    wanted = arguments[0] if arguments else shell.value("HOME") or "/"
    if wanted == "-":
        wanted = shell.value("OLDPWD") or shell.cwd
    files = shell.machine.files
    try:
        there = files.canonical(wanted, shell.cwd)
        files.stat(there)
    except OSError as error:
        return _complain(shell, f"cd: {wanted}: {error.strerror}")
    if not files.is_dir(there):
        return _complain(shell, f"cd: {wanted}: Not a directory")
    shell.assign("OLDPWD", shell.cwd)
    shell.cwd = there
    shell.assign("PWD", there)
    return _write(shell, there + "\n") if arguments and arguments[0] == "-" else 0


def _pwd(shell: Shell, arguments: list[str]) -> int:
    return _write(shell, shell.cwd + "\n")


def _echo(shell: Shell, arguments: list[str]) -> int:
    newline, interpreted = "\n", False
    while arguments and len(arguments[0]) > 1 and set(arguments[0][1:]) <= set("neE"):
        if arguments[0][0] != "-":
            break
        for letter in arguments.pop(0)[1:]:
            if letter == "n":
                newline = ""
            else:
                interpreted = letter == "e"
    text = " ".join(arguments)
    if interpreted:
        from services.lab.hosts.shell.programs.printf import unescaped

        text, ended = unescaped(text)
        newline = "" if ended else newline
    return _write(shell, text + newline)


def _test(shell: Shell, arguments: list[str]) -> int:
    try:
        return int(not expression(arguments, shell.machine.files, shell.cwd))
    except ValueError as error:
        return _complain(shell, f"test: {error}", 2)


def _bracket(shell: Shell, arguments: list[str]) -> int:
    if not arguments or arguments[-1] != "]":
        return _complain(shell, "[: missing `]'", 2)
    return _test(shell, arguments[:-1])


def _exit(shell: Shell, arguments: list[str]) -> int:
    raise Exit(_number(shell, "exit", arguments, shell.status) & 0xFF)


def _return(shell: Shell, arguments: list[str]) -> int:
    raise Return(_number(shell, "return", arguments, shell.status) & 0xFF)


def _break(shell: Shell, arguments: list[str]) -> int:
    raise LoopControl(max(1, _number(shell, "break", arguments, 1)), again=False)


def _continue(shell: Shell, arguments: list[str]) -> int:
    raise LoopControl(max(1, _number(shell, "continue", arguments, 1)), again=True)


def _export(shell: Shell, arguments: list[str]) -> int:
    if not arguments or arguments == ["-p"]:
        environment = sorted(shell.environment().items())
        return _write(shell, "".join(f'declare -x {n}="{v}"\n' for n, v in environment))
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals:
            shell.assign(name, value)
        shell.exported.add(name)
    return 0


def _unset(shell: Shell, arguments: list[str]) -> int:
    functions = bool(arguments) and arguments[0] == "-f"
    for name in arguments:
        if functions:
            shell.functions.pop(name, None)
        else:
            shell.variables.pop(name, None)
            shell.exported.discard(name)
    return 0


def _local(shell: Shell, arguments: list[str]) -> int:
    if not shell.locals:
        return _complain(shell, "local: can only be used in a function")
    for argument in arguments:
        name, equals, value = argument.partition("=")
        shell.locals[-1].setdefault(name, shell.variables.get(name))
        if equals:
            shell.assign(name, value)
        else:
            shell.variables.pop(name, None)
    return 0


def _set(shell: Shell, arguments: list[str]) -> int:
    if not arguments:
        return _write(shell, "".join(f"{n}={v}\n" for n, v in sorted(shell.variables.items())))
    while arguments and arguments[0][:1] in ("-", "+") and len(arguments[0]) > 1:
        argument = arguments.pop(0)
        if argument == "--":
            shell.arguments = arguments
            return 0
        change = shell.options.add if argument[0] == "-" else shell.options.discard
        for letter in argument[1:]:
            if letter == "o":
                name = arguments.pop(0) if arguments else ""
                if name not in ("errexit", "nounset", "noglob", "xtrace", "pipefail"):
                    return _complain(shell, f"set: {name}: invalid option name")
                change(name)
            elif letter in _OPTIONS:
                change(_OPTIONS[letter])
            else:
                return _complain(shell, f"set: {argument[0]}{letter}: invalid option", 2)
    if arguments:
        shell.arguments = arguments
    return 0


def _shift(shell: Shell, arguments: list[str]) -> int:
    count = _number(shell, "shift", arguments, 1)
    if not 0 <= count <= len(shell.arguments):
        return 1
    shell.arguments = shell.arguments[count:]
    return 0


def _eval(shell: Shell, arguments: list[str]) -> int:
    shell.status = 0
    shell.evaluate(" ".join(arguments))
    return shell.status


def _source(shell: Shell, arguments: list[str]) -> int:
    if not arguments:
        return _complain(shell, ".: filename argument required", 2)
    try:
        text = decoded(shell.machine.files.read(arguments[0], shell.cwd))
    except OSError as error:
        return _complain(shell, f"{arguments[0]}: {error.strerror}")
    outer = shell.arguments
    if len(arguments) > 1:
        shell.arguments = arguments[1:]
    try:
        shell.status = 0
        shell.evaluate(text)
    except Return as left:
        return left.status
    finally:
        shell.arguments = outer
    return shell.status


def _exec(shell: Shell, arguments: list[str]) -> int:
    if not arguments:
        return 0  # Its redirections are what was wanted, and they are in force.
    raise Exit(shell.launch(arguments, shell.environment(), shell.stop))


def _read(shell: Shell, arguments: list[str]) -> int:
    raw = False
    while arguments and arguments[0].startswith("-"):
        raw = raw or "r" in arguments.pop(0)
    line, ended = [], False
    while not ended:
        byte = shell.stdin.read(1)
        if not byte:
            break
        if byte == b"\\" and not raw:
            following = shell.stdin.read(1)
            line.append(b"" if following == b"\n" else following)
        elif byte == b"\n":
            ended = True
        else:
            line.append(byte)
    text = decoded(b"".join(line))
    separators = shell.value("IFS")
    blanks = " \t" if separators is None else separators
    names = arguments or ["REPLY"]
    if blanks:
        text = text.strip(blanks)
    for name in names[:-1]:
        cut = next((at for at, char in enumerate(text) if char in blanks), len(text))
        shell.assign(name, text[:cut])
        text = text[cut:].lstrip(blanks) if blanks else ""
    shell.assign(names[-1], text)
    return int(not ended)


def _trap(shell: Shell, arguments: list[str]) -> int:
    if len(arguments) >= 2 and set(arguments[1:]) & {"EXIT", "0"}:
        shell.at_exit = "" if arguments[0] == "-" else arguments[0]
    # Signals never reach a shell here: a client that leaves ends it.
    return 0


def _umask(shell: Shell, arguments: list[str]) -> int:
    if not arguments:
        return _write(shell, f"{shell.umask:04o}\n")
    try:
        shell.umask = int(arguments[0], 8) & 0o777
    except ValueError:
        return _complain(shell, f"umask: {arguments[0]}: invalid mask")
    return 0


def _type(shell: Shell, arguments: list[str]) -> int:
    status = 0
    for name in arguments:
        if name in shell.functions:
            _write(shell, f"{name} is a function\n")
        elif name in shell.builtins:
            _write(shell, f"{name} is a shell builtin\n")
        elif path := find(shell, name):
            _write(shell, f"{name} is {path}\n")
        else:
            status = _complain(shell, f"type: {name}: not found")
    return status


def _command(shell: Shell, arguments: list[str]) -> int:
    if arguments and arguments[0] in ("-v", "-V"):
        status = 1
        for name in arguments[1:]:
            if name in shell.functions or name in shell.builtins:
                _write(shell, name + "\n")
                status = 0
            elif path := find(shell, name):
                _write(shell, path + "\n")
                status = 0
        return status
    arguments = [a for index, a in enumerate(arguments) if index or a not in ("-p", "--")]
    if not arguments:
        return 0
    if builtin := shell.builtins.get(arguments[0]):
        return builtin.run(shell, arguments[1:])
    return shell.launch(arguments, shell.environment(), shell.stop)


BUILTINS: Mapping[str, Builtin] = {
    ":": Builtin(_true, special=True),
    "true": Builtin(_true),
    "false": Builtin(_false),
    "cd": Builtin(_cd),
    "pwd": Builtin(_pwd),
    "echo": Builtin(_echo),
    "test": Builtin(_test),
    "[": Builtin(_bracket),
    "exit": Builtin(_exit, special=True),
    "return": Builtin(_return, special=True),
    "break": Builtin(_break, special=True),
    "continue": Builtin(_continue, special=True),
    "export": Builtin(_export, special=True),
    "unset": Builtin(_unset, special=True),
    "local": Builtin(_local),
    "readonly": Builtin(_export, special=True),
    "set": Builtin(_set, special=True),
    "shift": Builtin(_shift, special=True),
    "eval": Builtin(_eval, special=True),
    ".": Builtin(_source, special=True),
    "source": Builtin(_source),
    "exec": Builtin(_exec, special=True),
    "read": Builtin(_read),
    "trap": Builtin(_trap, special=True),
    "umask": Builtin(_umask),
    "type": Builtin(_type),
    "command": Builtin(_command),
    "wait": Builtin(_true),
}
