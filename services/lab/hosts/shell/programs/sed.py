"""A small `sed`: s, p, d, q, with line, last-line and pattern addresses, -n, -i, -E, -e."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from getopt import gnu_getopt

from services.lab.hosts.shell.machine import Process, Program, decoded, encoded
from services.lab.hosts.shell.pattern import regular_expression
from services.lab.hosts.shell.programs.inputs import Inputs
from services.lab.hosts.shell.streams import lines


@dataclass(slots=True)
class _Command:
    letter: str
    start: int | re.Pattern[str] | None = None
    end: int | re.Pattern[str] | None = None
    negated: bool = False
    expression: re.Pattern[str] | None = None
    replacement: str = ""
    flags: str = ""
    open: bool = field(default=False)
    """Whether a range has begun and not yet ended."""


_LAST = -1


def sed(process: Process, arguments: list[str]) -> int:
    """`sed [-n] [-E] [-i] [-e] SCRIPT [FILE…]`."""
    # -i may have a suffix stuck to it, which getopt cannot say.
    in_place = [a for a in arguments if re.match(r"-i|--in-place", a)]
    arguments = [a for a in arguments if a not in in_place]
    options, names = gnu_getopt(arguments, "nErse:", ["quiet", "expression="])
    chosen = {option for option, _ in options}
    scripts = [value for option, value in options if option in ("-e", "--expression")]
    if not scripts:
        if not names:
            return process.fail("no script given")
        scripts.append(names.pop(0))
    extended = bool({"-E", "-r"} & chosen)
    try:
        commands = [c for script in scripts for c in _parse(script, extended=extended)]
    except (ValueError, re.error) as error:
        return process.fail(f"-e expression #1: {error}")
    quiet = bool({"-n", "--quiet"} & chosen)
    if not in_place:
        inputs = Inputs(process, names)
        every = [decoded(line) for _, source in inputs for line in lines(source)]
        for text in _run(commands, every, quiet=quiet):
            process.out(text)
        return inputs.status
    for name in names:
        content = process.files.read(name, process.cwd)
        every = decoded(content).splitlines(keepends=True)
        edited = "".join(_run(commands, every, quiet=quiet))
        process.files.write(name, encoded(edited), cwd=process.cwd)
    return 0


def _run(commands: list[_Command], every: list[str], *, quiet: bool) -> Iterable[str]:
    for command in commands:
        command.open = False
    for number, whole in enumerate(every, 1):
        line = whole.removesuffix("\n")
        newline = whole[len(line) :]
        last, deleted, quits = number == len(every), False, False
        for command in commands:
            if _applies(command, line, number, last=last) == command.negated:
                continue
            match command.letter:
                case "s":
                    line, changed = _substituted(command, line)
                    if changed and "p" in command.flags:
                        yield line + newline
                case "p":
                    yield line + newline
                case "d":
                    deleted = True
                    break
                case "q":
                    quits = True
                    break
        if not deleted and not quiet:
            yield line + newline
        if quits:
            return


def _applies(command: _Command, line: str, number: int, *, last: bool) -> bool:
    def hit(address: int | re.Pattern[str]) -> bool:
        if isinstance(address, int):
            return last if address == _LAST else number == address
        return address.search(line) is not None

    if command.start is None:
        return True
    if command.end is None:
        return hit(command.start)
    if command.open:
        past = isinstance(command.end, int) and command.end != _LAST and number >= command.end
        command.open = not (past or hit(command.end))
        return True
    if hit(command.start):
        one_line = isinstance(command.end, int) and command.end != _LAST and number >= command.end
        command.open = not one_line
        return True
    return False


def _substituted(command: _Command, line: str) -> tuple[str, bool]:
    assert command.expression is not None
    digits = "".join(flag for flag in command.flags if flag.isdigit())
    wanted, count = int(digits or 1), 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        if count < wanted or (count > wanted and "g" not in command.flags):
            return match[0]

        def part(escape: re.Match[str]) -> str:
            sign = escape[1]
            if sign is None:
                return match[0]
            if sign.isdigit():
                return match[int(sign)] or "" if int(sign) <= (match.re.groups) else ""
            return {"n": "\n", "t": "\t"}.get(sign, sign)

        return re.sub(r"\\(.)|&", part, command.replacement, flags=re.DOTALL)

    edited = command.expression.sub(replaced, line)
    return edited, count >= wanted


def _parse(script: str, *, extended: bool) -> list[_Command]:
    reader = _Reader(script, extended=extended)
    commands: list[_Command] = []
    while reader.skip(" \t\n;"):
        commands.append(reader.command())
    return commands


class _Reader:
    def __init__(self, text: str, *, extended: bool) -> None:
        self._text = text
        self._at = 0
        self._extended = extended

    def skip(self, signs: str) -> bool:
        """Go on past these; false at the end."""
        while self._at < len(self._text) and self._text[self._at] in signs:
            self._at += 1
        return self._at < len(self._text)

    def _sign(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def command(self) -> _Command:
        start, end = self._address(), None
        if start is not None and self._sign() == ",":
            self._at += 1
            end = self._address()
            if end is None:
                raise ValueError("unexpected `,'")
        self.skip(" ")
        negated = self._sign() == "!"
        self._at += negated
        letter = self._sign()
        self._at += 1
        if letter in ("p", "d", "q"):
            return _Command(letter, start, end, negated)
        if letter != "s":
            raise ValueError(f"unknown command: `{letter}'" if letter else "missing command")
        sign = self._sign()
        self._at += 1
        if not sign or sign in "\\\n":
            raise ValueError("unterminated `s' command")
        expression, replacement = self._until(sign), self._until(sign)
        begin = self._at
        while self._sign() and self._sign() in "gpiI0123456789":
            self._at += 1
        flags = self._text[begin : self._at]
        compiled = self._compiled(expression, ignore_case="i" in flags.lower())
        return _Command("s", start, end, negated, compiled, replacement, flags)

    def _address(self) -> int | re.Pattern[str] | None:
        if digits := re.compile(r"\d+").match(self._text, self._at):
            self._at = digits.end()
            return int(digits[0])
        if self._sign() == "$":
            self._at += 1
            return _LAST
        if self._sign() == "/":
            self._at += 1
            return self._compiled(self._until("/"), ignore_case=False)
        return None

    def _until(self, sign: str) -> str:
        found: list[str] = []
        while (char := self._sign()) != sign:
            if not char:
                raise ValueError("unterminated `s' command")
            self._at += 1
            if char == "\\" and self._sign():
                # The separator itself, escaped, is meant as it is.
                found.append(self._sign() if self._sign() == sign else "\\" + self._sign())
                self._at += 1
            else:
                found.append(char)
        self._at += 1
        return "".join(found)

    def _compiled(self, expression: str, *, ignore_case: bool) -> re.Pattern[str]:
        flags = re.IGNORECASE if ignore_case else 0
        return re.compile(regular_expression(expression, extended=self._extended), flags)


PROGRAMS: dict[str, Program] = {"sed": sed}
