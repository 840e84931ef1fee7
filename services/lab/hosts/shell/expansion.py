"""Words to text (XCU 2.6): parameters, substitutions, arithmetic, splitting, patterns, quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.lab.hosts.shell import pattern as patterns
from services.lab.hosts.shell.arithmetic import NoValue, evaluate
from services.lab.hosts.shell.syntax import (
    Arithmetic,
    Literal,
    Parameter,
    Part,
    Script,
    Substitution,
    Word,
)


class ExpansionError(Exception):
    """A word has no value, which ends a script; the text is what follows the shell's name."""


class Scope(Protocol):
    """The shell that a word is expanded in."""

    @property
    def arguments(self) -> Sequence[str]: ...
    def value(self, name: str) -> str | None:
        """A variable's or special parameter's value; None when it is not set."""
        ...

    def assign(self, name: str, value: str) -> None: ...
    def option(self, name: str) -> bool: ...
    def substitute(self, script: Script) -> str: ...
    def matching(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""
        ...


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    quoted: bool
    splits: bool = False


class _Break:
    """Between two of `"$@"`'s fields."""


_BREAK = _Break()


def fields(words: Sequence[Word], scope: Scope) -> list[str]:
    """A command's words: each gives any number of fields. Raises `ExpansionError`."""
    found: list[str] = []
    for word in words:
        for field in _split(_pieces(word.parts, scope), scope):
            text = "".join(piece.text for piece in field)
            pattern = _pattern(field)
            if not scope.option("noglob") and patterns.is_pattern(pattern):
                found += scope.matching(pattern) or [text]
            else:
                found.append(text)
    return found


def text(word: Word, scope: Scope) -> str:
    """A word that stays one: an assignment's value, a redirection's target."""
    return "".join(
        " " if isinstance(piece, _Break) else piece.text for piece in _pieces(word.parts, scope)
    )


def pattern(word: Word, scope: Scope) -> str:
    """A word as a shell pattern, what is quoted in it escaped."""
    return _pattern([p for p in _pieces(word.parts, scope) if isinstance(p, _Piece)])


def _pattern(pieces: Sequence[_Piece]) -> str:
    return "".join(patterns.escaped(p.text) if p.quoted else p.text for p in pieces)


def _split(pieces: Iterator[_Piece | _Break], scope: Scope) -> Iterator[list[_Piece]]:
    separators = scope.value("IFS")
    if separators is None:
        separators = " \t\n"
    blanks = "".join(char for char in separators if char in " \t\n")
    others = "".join(char for char in separators if char not in " \t\n")
    current: list[_Piece] | None = None
    for piece in pieces:
        if isinstance(piece, _Break):
            yield current or []
            current = []
        elif not piece.splits:
            current = [*(current or []), piece]
        elif piece.text:
            stripped = piece.text.strip(blanks) if blanks else piece.text
            if current is not None and blanks and piece.text[0] in blanks:
                yield current
                current = None
            if not stripped:
                continue
            parts = _separate(stripped, blanks, others)
            ends = (blanks != "" and piece.text[-1] in blanks) or (len(parts) > 1 and not parts[-1])
            if len(parts) > 1 and not parts[-1]:
                parts.pop()
            for part in parts[:-1]:
                yield [*(current or []), _Piece(part, quoted=False)]
                current = None
            current = [*(current or []), _Piece(parts[-1], quoted=False)]
            if ends:
                yield current
                current = None
    if current is not None:
        yield current


def _separate(value: str, blanks: str, others: str) -> list[str]:
    if not blanks and not others:
        return [value]
    blank = f"[{re.escape(blanks)}]" if blanks else "(?!)"
    other = f"[{re.escape(others)}]" if others else "(?!)"
    return re.split(f"{blank}*{other}{blank}*|{blank}+", value)


def _pieces(parts: Sequence[Part], scope: Scope) -> Iterator[_Piece | _Break]:
    for index, part in enumerate(parts):
        match part:
            case Literal(text=value, quoted=quoted):
                if index == 0 and not quoted and re.match(r"~(/|\Z)", value):
                    if len(parts) == 1 or value != "~":
                        yield _Piece(scope.value("HOME") or "/root", quoted=True)
                        value = value[1:]
                    if not value:
                        continue
                yield _Piece(value, quoted)
            case Parameter():
                yield from _parameter(part, scope)
            case Substitution(body=body, quoted=quoted):
                yield _Piece(scope.substitute(body), quoted, splits=not quoted)
            case Arithmetic(expression=expression, quoted=quoted):
                yield _Piece(_arithmetic(text(expression, scope), scope), quoted, not quoted)


def _arithmetic(expression: str, scope: Scope) -> str:
    def variable(name: str) -> str:
        found = scope.value(name)
        if found is None and scope.option("nounset"):
            raise ExpansionError(f"{name}: unbound variable")
        return found or ""

    try:
        return str(evaluate(expression, variable))
    except NoValue as error:
        raise ExpansionError(str(error)) from None


def _parameter(part: Parameter, scope: Scope) -> Iterator[_Piece | _Break]:
    name, operator, quoted = part.name, part.operator, part.quoted
    listed = name in ("@", "*")
    value = None if listed and not scope.arguments else scope.value(name)
    absent = value is None or (operator.startswith(":") and value == "")
    match operator.lstrip(":"):
        case "-" if absent:
            yield from _argument(part, scope)
            return
        case "=" if absent:
            value = text(part.argument, scope)
            scope.assign(name, value)
        case "?" if absent:
            why = text(part.argument, scope) or "parameter null or not set"
            raise ExpansionError(f"{name}: {why}")
        case "+":
            if not absent:
                yield from _argument(part, scope)
            return
        case _:
            if value is None and scope.option("nounset") and not listed:
                raise ExpansionError(f"{name}: unbound variable")
    if operator == "#len":
        length = len(scope.arguments) if listed else len(value or "")
        yield _Piece(str(length), quoted, splits=not quoted)
    elif operator and operator[0] in "%#":
        trimmed = _trimmed(value or "", operator, pattern(part.argument, scope))
        yield _Piece(trimmed, quoted, splits=not quoted)
    elif listed and (name == "@" or not quoted):
        for index, argument in enumerate(scope.arguments):
            if index:
                yield _BREAK
            yield _Piece(argument, quoted, splits=not quoted)
    else:
        yield _Piece(value or "", quoted, splits=not quoted)


def _argument(part: Parameter, scope: Scope) -> Iterator[_Piece | _Break]:
    """The word of `${name-word}`: what is not quoted in it is split like a value."""
    for piece in _pieces(part.argument.parts, scope):
        if isinstance(piece, _Piece) and not piece.quoted:
            yield _Piece(piece.text, quoted=False, splits=True)
        else:
            yield piece


def _trimmed(value: str, operator: str, trim: str) -> str:
    if operator[0] == "#":
        greedy = operator == "##"
        match = re.match(patterns.shell_pattern(trim, greedy=greedy), value, re.DOTALL)
        return value[match.end() :] if match else value
    # The shortest suffix starts last, the longest first.
    wanted = re.compile(patterns.shell_pattern(trim), re.DOTALL)
    starts = range(len(value) + 1) if operator == "%%" else range(len(value), -1, -1)
    for start in starts:
        if wanted.fullmatch(value, start):
            return value[:start]
    return value
