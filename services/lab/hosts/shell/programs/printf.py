"""`printf`, and the escapes that it shares with `echo -e`."""

from __future__ import annotations

import re

from services.lab.hosts.shell.machine import Process

_ESCAPES = {
    "a": "\a", "b": "\b", "e": "\033", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|0?([0-7]{1,3})|(.))", re.DOTALL)
_DIRECTIVE = re.compile(r"%(?:(%)|([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?([a-zA-Z]))")


def unescaped(text: str) -> tuple[str, bool]:
    """`text` with its backslash escapes carried out, and whether a `\\c` cut it off."""
    out: list[str] = []
    at = 0
    for match in _ESCAPE.finditer(text):
        out.append(text[at : match.start()])
        at = match.end()
        hexadecimal, octal, sign = match.groups()
        if hexadecimal or octal:
            code = int(hexadecimal, 16) if hexadecimal else int(octal, 8) & 0xFF
            # A byte, not a character: half a UTF-8 sequence is fine.
            out.append(bytes([code]).decode("utf-8", "surrogateescape"))
        elif sign == "c":
            return "".join(out), True
        else:
            out.append(_ESCAPES.get(sign, "\\" + sign))
    out.append(text[at:])
    return "".join(out), False


def printf(process: Process, arguments: list[str]) -> int:
    """`printf FORMAT [ARGUMENT…]`; the format is used again while arguments are left."""
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if not arguments:
        return process.fail("usage: printf format [arguments]", 2)
    template, waiting = arguments[0], arguments[1:][::-1]
    status = 0
    while True:
        before = len(waiting)
        out: list[str] = []
        at = 0
        for match in _DIRECTIVE.finditer(template):
            out.append(unescaped(template[at : match.start()])[0])
            at = match.end()
            try:
                out.append(_converted(match, waiting))
            except ValueError as error:
                status = process.fail(f"{error}: invalid number")
                out.append("0")
        tail, ended = unescaped(template[at:])
        process.out("".join(out) + tail)
        if ended or not waiting or len(waiting) == before:
            return status


def _converted(match: re.Match[str], waiting: list[str]) -> str:
    percent, flags, width, precision, letter = match.groups()
    if percent:
        return "%"
    if width == "*":
        width = waiting.pop() if waiting else "0"
    if precision == "*":
        precision = waiting.pop() if waiting else "0"
    argument = waiting.pop() if waiting else ""
    shape = f"%{flags}{width or ''}{'.' + precision if precision is not None else ''}"
    match letter:
        case "s":
            return str((shape + "s") % argument)
        case "b":
            return str((shape + "s") % unescaped(argument)[0])
        case "c":
            return str((shape + "s") % argument[:1])
        case "q":
            import shlex

            return shlex.quote(argument)
        case "d" | "i" | "u" | "x" | "X" | "o":
            return str((shape + letter.replace("i", "d").replace("u", "d")) % _whole(argument))
        case "e" | "f" | "g" | "E" | "F" | "G":
            return str((shape + letter) % float(argument or 0))
    return match[0]


def _whole(argument: str) -> int:
    if argument[:1] in ("'", '"'):
        return ord(argument[1:2] or "\0")
    try:
        octal = re.fullmatch(r"[-+]?0[0-7]+", argument)
        return int(argument or "0", 8 if octal else 0)
    except ValueError:
        raise ValueError(argument) from None
