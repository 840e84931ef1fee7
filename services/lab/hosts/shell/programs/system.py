"""Commands about the host itself, and those that start other commands."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from getopt import gnu_getopt

from services.lab.hosts.shell.machine import Process, Program, decoded
from services.lab.hosts.shell.streams import everything
from services.problem import Stopped
from services.stop import Stop

_KERNEL = "5.10.134-17.al8.x86_64"


def uname(process: Process, arguments: list[str]) -> int:
    """`uname [-asnrmo]`."""
    options, _ = gnu_getopt(arguments, "asnrmpiov")
    letters = "".join(option[1] for option, _ in options) or "s"
    if "a" in letters:
        letters = "snrvmo"
    parts = {
        "s": "Linux",
        "n": process.machine.name,
        "r": _KERNEL,
        "v": "#1 SMP",
        "m": "x86_64",
        "p": "x86_64",
        "i": "x86_64",
        "o": "GNU/Linux",
    }
    process.out(" ".join(parts[letter] for letter in "snrvmpio" if letter in letters) + "\n")
    return 0


def hostname(process: Process, arguments: list[str]) -> int:
    """`hostname [-s | -f]`."""
    process.out(process.machine.name + "\n")
    return 0


def whoami(process: Process, arguments: list[str]) -> int:
    """`whoami`: everybody here is root."""
    process.out("root\n")
    return 0


def id_(process: Process, arguments: list[str]) -> int:
    """`id [-u | -g | -un | -gn]`."""
    options, names = gnu_getopt(arguments, "ugnGr")
    chosen = {option[1] for option, _ in options}
    if names and names[0] not in ("root", "0"):
        return process.fail(f"'{names[0]}': no such user")
    if not chosen & set("ugG"):
        process.out("uid=0(root) gid=0(root) groups=0(root)\n")
    else:
        process.out("root\n" if "n" in chosen else "0\n")
    return 0


def date(process: Process, arguments: list[str]) -> int:
    """`date [-u] [-d @SECONDS] [+FORMAT]`."""
    options, formats = gnu_getopt(arguments, "ud:R", ["utc", "date="])
    chosen = dict(options)
    wanted = chosen.get("-d", chosen.get("--date", "now"))
    now = datetime.fromtimestamp(process.machine.now(), UTC)
    if wanted.startswith("@") and wanted[1:].isdigit():
        now = datetime.fromtimestamp(int(wanted[1:]), UTC)
    elif wanted != "now":
        return process.fail(f"invalid date '{wanted}'")
    template = formats[0] if formats else "+%a %b %d %H:%M:%S UTC %Y"
    if not template.startswith("+"):
        return process.fail(f"invalid date '{template}'")
    template = template[1:].replace("%s", str(int(now.timestamp()))).replace("%N", "000000000")
    process.out(now.strftime(template) + "\n")
    return 0


def sleep(process: Process, arguments: list[str]) -> int:
    """`sleep SECONDS[smhd]…`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    total = 0.0
    for argument in arguments:
        unit = units.get(argument[-1:], 0)
        try:
            total += float(argument[:-1] if unit else argument) * (unit or 1)
        except ValueError:
            return process.fail(f"invalid time interval '{argument}'")
    if not arguments or not 0 <= total < float("inf"):
        return process.fail("missing operand")
    process.stop.sleep(min(total, threading.TIMEOUT_MAX))
    return 0


def env(process: Process, arguments: list[str]) -> int:
    """`env [-i] [NAME=VALUE…] [COMMAND…]`."""
    environment = dict(process.environment)
    while arguments:
        if arguments[0] in ("-i", "-"):
            environment.clear()
        elif arguments[0] == "-u" and len(arguments) > 1:
            arguments = arguments[1:]
            environment.pop(arguments[0], None)
        elif "=" in arguments[0]:
            name, _, value = arguments[0].partition("=")
            environment[name] = value
        else:
            return process.parent.launch(arguments, environment, process.stop)
        arguments = arguments[1:]
    process.out("".join(f"{name}={value}\n" for name, value in environment.items()))
    return 0


def sudo(process: Process, arguments: list[str]) -> int:
    """`sudo [-nEH] [--] COMMAND…`: one is root already."""
    while arguments and arguments[0].startswith("-"):
        taken, *arguments = arguments
        if taken in ("-u", "-g") and arguments:
            arguments = arguments[1:]
        if taken in ("-v", "-k", "--"):
            break
    if not arguments:
        return 0
    return process.parent.launch(arguments, process.environment, process.stop)


def timeout(process: Process, arguments: list[str]) -> int:
    """`timeout SECONDS COMMAND…`; 124 when the time was up."""
    arguments = [a for at, a in enumerate(arguments) if at or not a.startswith("-")]
    if len(arguments) < 2:
        return process.fail("missing operand", 125)
    try:
        seconds = float(arguments[0].removesuffix("s"))
    except ValueError:
        return process.fail(f"invalid time interval '{arguments[0]}'", 125)
    # A stop of its own, which ends the command alone; the session's own reaches through to it.
    stop = Stop()
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        with process.stop.closing(stop.set):
            return process.parent.launch(arguments[1:], process.environment, stop)
    except Stopped:
        process.stop.check()
        return 124
    finally:
        timer.cancel()


def which(process: Process, arguments: list[str]) -> int:
    """`which NAME…`."""
    status = 0
    path = process.environment.get("PATH", "")
    for name in (argument for argument in arguments if not argument.startswith("-")):
        folders = [folder for folder in path.split(":") if folder]
        found = next((f"{f}/{name}" for f in folders if process.files.exists(f"{f}/{name}")), None)
        if found is None:
            status = process.fail(f"no {name} in ({path})")
        else:
            process.out(found + "\n")
    return status


def df(process: Process, arguments: list[str]) -> int:
    """`df [-Pkh] [PATH…]`: the disk is this computer's, and so is the room that it has."""
    names = gnu_getopt(arguments, "PkhTm")[1]
    lines = ["Filesystem     1024-blocks      Used Available Capacity Mounted on\n"]
    for name in names or ["/"]:
        process.files.stat(name, process.cwd)
        usage = shutil.disk_usage(process.files.real(name, process.cwd))
        total, free = usage.total // 1024, usage.free // 1024
        share = 100 - free * 100 // max(total, 1)
        numbers = f"{total:11} {total - free:9} {free:9} {share:7}%"
        lines.append(f"/dev/vda1      {numbers} /\n")
    process.out("".join(lines))
    return 0


def nproc(process: Process, arguments: list[str]) -> int:
    """`nproc`."""
    process.out("2\n")
    return 0


_SHELL_OPTIONS = {"e": "errexit", "u": "nounset", "f": "noglob", "x": "xtrace"}


def sh(process: Process, arguments: list[str]) -> int:
    """`sh [-eufx] [-o OPTION] [-c TEXT [NAME ARG…] | -s [ARG…] | FILE [ARG…]]`."""
    options: set[str] = set()
    text: str | None = None
    from_input = False
    while arguments and arguments[0][:1] in ("-", "+") and len(arguments[0]) > 1:
        argument, *arguments = arguments
        if argument == "--":
            break
        if argument.startswith("--"):
            continue  # --login, --norc and their like have nothing to do here
        for letter in argument[1:]:
            if letter == "c":
                text = ""
            elif letter == "s":
                from_input = True
            elif letter == "o" and arguments:
                name, *arguments = arguments
                options.add(name)
            elif letter in _SHELL_OPTIONS:
                options.add(_SHELL_OPTIONS[letter])
            elif letter not in "li":
                return process.fail(f"-{letter}: invalid option", 2)
    name = process.name
    if text is not None:
        if not arguments:
            return process.fail("-c: option requires an argument", 2)
        text, *arguments = arguments
        if arguments:
            name, *arguments = arguments
    elif from_input or not arguments:
        text = decoded(everything(process.stdin))
    else:
        name, *arguments = arguments
        try:
            text = decoded(process.files.read(name, process.cwd))
        except OSError as error:
            return process.fail_on(error, 127)
    return process.parent.run_script(
        text, name, arguments, process.environment, process.stop, sorted(options)
    )


PROGRAMS: dict[str, Program] = {
    "bash": sh,
    "date": date,
    "df": df,
    "env": env,
    "hostname": hostname,
    "id": id_,
    "nproc": nproc,
    "sh": sh,
    "sleep": sleep,
    "sudo": sudo,
    "timeout": timeout,
    "uname": uname,
    "which": which,
    "whoami": whoami,
}
