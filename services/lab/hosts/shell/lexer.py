"""Shell text to tokens (XCU 2.3). Words come apart into their parts here: quoting decides where."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from services.lab.hosts.shell.syntax import (
    Arithmetic,
    HereDocument,
    Literal,
    Parameter,
    Part,
    Script,
    Substitution,
    Word,
)


class ShellSyntaxError(Exception):
    """The script cannot be parsed; the text is what a shell would print after its name."""


@dataclass(frozen=True, slots=True)
class Operator:
    text: str


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The digits that stand right before a redirection."""

    number: int


Token = Operator | Descriptor | Word
"""An operator (a newline is one, the end of the text is an empty one), a number, or a word."""

END = Operator("")

# Longest first: `<<-` is not `<<` and a minus.
_OPERATORS = (
    "<<-", "<<<", "&>>",
    "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|", "&>",
    ";", "&", "|", "(", ")", "<", ">", "\n",
)  # fmt: skip
_META = frozenset(" \t\n;&|()<>")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = frozenset("@*#?-$!")
_EXPANSION_OPERATORS = (":-", ":=", ":?", ":+", "%%", "##", "-", "=", "?", "+", "%", "#")

ParseNested = Callable[["Lexer"], Script]
"""Parses what follows `$(` with the same lexer, up to and including the closing parenthesis."""

ParseText = Callable[[str], Script]
"""Parses a whole text, such as what stood between backquotes."""


class Lexer:
    """The tokens of one text, one at a time."""

    def __init__(self, text: str, parse_nested: ParseNested, parse_text: ParseText) -> None:
        self._text = text
        self._at = 0
        self._parse_nested = parse_nested
        self._parse_text = parse_text
        self._peeked: Token | None = None
        self._pending: list[HereDocument] = []

    def peek(self) -> Token:
        if self._peeked is None:
            self._peeked = self._read()
        return self._peeked

    def next(self) -> Token:
        token = self.peek()
        self._peeked = None
        return token

    def expect_document(self, document: HereDocument) -> None:
        """Fill `document` from the lines after the current one."""
        self._pending.append(document)

    def _read(self) -> Token:
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            if char in " \t":
                self._at += 1
            elif text.startswith("\\\n", self._at):
                self._at += 2
            elif char == "#":
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            else:
                break
        if self._at >= len(text):
            self._read_documents()
            return END
        for operator in _OPERATORS:
            if text.startswith(operator, self._at):
                self._at += len(operator)
                if operator == "\n":
                    self._read_documents()
                return Operator(operator)
        if digits := re.compile(r"[0-9]+(?=[<>])").match(text, self._at):
            self._at = digits.end()
            return Descriptor(int(digits[0]))
        return self._word()

    def _word(self) -> Word:
        parts: list[Part] = []
        run: list[str] = []

        def flush() -> None:
            if run:
                parts.append(Literal("".join(run), quoted=False))
                run.clear()

        text = self._text
        while self._at < len(text) and (char := text[self._at]) not in _META:
            if char == "\\":
                if self._at + 1 >= len(text):
                    run.append("\\")
                    self._at += 1
                elif text[self._at + 1] == "\n":
                    self._at += 2
                else:
                    flush()
                    parts.append(Literal(text[self._at + 1], quoted=True))
                    self._at += 2
            elif char == "'":
                flush()
                parts.append(Literal(self._single(), quoted=True))
            elif char == '"':
                flush()
                parts.extend(self._double())
            elif char in "$`":
                flush()
                parts.append(self._dollar(quoted=False))
            else:
                run.append(char)
                self._at += 1
        flush()
        return Word(tuple(parts))

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise ShellSyntaxError("unexpected EOF while looking for matching `''")
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        return inner

    def _double(self) -> list[Part]:
        self._at += 1
        parts = self._quoted('"')
        if self._at >= len(self._text):
            raise ShellSyntaxError("unexpected EOF while looking for matching `\"'")
        self._at += 1
        # "" is an empty word, not no word.
        return parts or [Literal("", quoted=True)]

    def _quoted(self, until: str) -> list[Part]:
        """Parts as between double quotes, up to the sign `until` or the end of the text."""
        parts: list[Part] = []
        run: list[str] = []

        def flush() -> None:
            if run:
                parts.append(Literal("".join(run), quoted=True))
                run.clear()

        text = self._text
        while self._at < len(text) and (char := text[self._at]) != until:
            if char == "\\" and self._at + 1 < len(text):
                follower = text[self._at + 1]
                if follower == "\n":
                    pass
                elif follower in "$`\\" or follower == until:
                    run.append(follower)
                else:
                    run.append("\\" + follower)
                self._at += 2
            elif char in "$`":
                flush()
                parts.append(self._dollar(quoted=True))
            else:
                run.append(char)
                self._at += 1
        flush()
        return parts

    def _dollar(self, *, quoted: bool) -> Part:
        text = self._text
        if text[self._at] == "`":
            return Substitution(self._parse_text(self._backquoted(quoted=quoted)), quoted)
        if text.startswith("$((", self._at) and (end := self._arithmetic_end()) is not None:
            inner = Lexer(text[self._at + 3 : end], self._parse_nested, self._parse_text)
            self._at = end + 2
            return Arithmetic(Word(tuple(inner._quoted(""))), quoted)
        if text.startswith("$(", self._at):
            self._at += 2
            return Substitution(self._parse_nested(self), quoted)
        if text.startswith("${", self._at):
            return self._braced(quoted=quoted)
        if name := _NAME.match(text, self._at + 1):
            self._at = name.end()
            return Parameter(name[0], "", Word(), quoted)
        follower = text[self._at + 1 : self._at + 2]
        if follower and (follower in _SPECIAL or follower.isdigit()):
            self._at += 2
            return Parameter(follower, "", Word(), quoted)
        self._at += 1
        return Literal("$", quoted)

    def _backquoted(self, *, quoted: bool) -> str:
        text, self._at = self._text, self._at + 1
        inner: list[str] = []
        escapable = '$`\\"' if quoted else "$`\\"
        while self._at < len(text) and (char := text[self._at]) != "`":
            if char == "\\" and text[self._at + 1 : self._at + 2] in tuple(escapable):
                self._at += 1
                char = text[self._at]
            inner.append(char)
            self._at += 1
        if self._at >= len(text):
            raise ShellSyntaxError("unexpected EOF while looking for matching ``'")
        self._at += 1
        return "".join(inner)

    def _arithmetic_end(self) -> int | None:
        """Where the `))` is that closes the `$((` here; None when it is `$( (` after all."""
        depth, text = 0, self._text
        for at in range(self._at + 3, len(text)):
            if text[at] == "(":
                depth += 1
            elif text[at] == ")":
                if depth == 0:
                    return at if text.startswith("))", at) else None
                depth -= 1
        return None

    def _braced(self, *, quoted: bool) -> Part:
        text, start = self._text, self._at
        self._at += 2
        length = False
        if text.startswith("#", self._at) and text[self._at + 1 : self._at + 2] not in ("}", ""):
            length = True
            self._at += 1
        if name := _NAME.match(text, self._at):
            found = name[0]
        elif digits := re.compile(r"[0-9]+").match(text, self._at):
            found = digits[0]
        elif text[self._at : self._at + 1] in _SPECIAL and self._at < len(text):
            found = text[self._at]
        else:
            raise ShellSyntaxError(f"{text[start : start + 20].splitlines()[0]}: bad substitution")
        self._at += len(found)
        operator = "#len" if length else ""
        argument = Word()
        if not length:
            operator = next((o for o in _EXPANSION_OPERATORS if text.startswith(o, self._at)), "")
            self._at += len(operator)
            if operator:
                argument = self._argument(quoted=quoted and operator[0] not in "%#")
        if not text.startswith("}", self._at):
            if self._at >= len(text):
                raise ShellSyntaxError("unexpected EOF while looking for matching `}'")
            raise ShellSyntaxError(f"{text[start : self._at + 1]}: bad substitution")
        self._at += 1
        return Parameter(found, operator, argument, quoted)

    def _argument(self, *, quoted: bool) -> Word:
        """The word up to the closing brace, blanks included."""
        if quoted:
            return Word(tuple(self._quoted("}")))
        parts: list[Part] = []
        text = self._text
        while self._at < len(text) and (char := text[self._at]) != "}":
            if char in _META:
                parts.append(Literal(char, quoted=False))
                self._at += 1
            elif char == "'":
                parts.append(Literal(self._single(), quoted=True))
            elif char == '"':
                parts.extend(self._double())
            elif char in "$`":
                parts.append(self._dollar(quoted=False))
            elif char == "\\" and self._at + 1 < len(text):
                parts.append(Literal(text[self._at + 1], quoted=True))
                self._at += 2
            else:
                parts.append(Literal(char, quoted=False))
                self._at += 1
        return Word(tuple(parts))

    def _read_documents(self) -> None:
        pending, self._pending = self._pending, []
        for document in pending:
            lines: list[str] = []
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                end = len(self._text) if end < 0 else end
                line = self._text[self._at : end]
                self._at = min(end + 1, len(self._text))
                if document.strip_tabs:
                    line = line.lstrip("\t")
                if line == document.delimiter:
                    break
                lines.append(line + "\n")
            body = "".join(lines)
            if document.literal:
                document.body = Word((Literal(body, quoted=True),))
            else:
                inner = Lexer(body, self._parse_nested, self._parse_text)
                document.body = Word(tuple(inner._quoted("")))
