"""Shell tokens to a script (XCU 2.10), by recursive descent."""

from __future__ import annotations

import re

from services.lab.hosts.shell.lexer import Descriptor, Lexer, Operator, ShellSyntaxError, Token
from services.lab.hosts.shell.syntax import (
    AndOr,
    Case,
    Command,
    Definition,
    For,
    Group,
    HereDocument,
    If,
    Literal,
    Loop,
    Pipeline,
    Redirect,
    Redirected,
    Script,
    Simple,
    Word,
)

_RESERVED = frozenset(
    [
        "if",
        "then",
        "elif",
        "else",
        "fi",
        "while",
        "until",
        "for",
        "in",
        "do",
        "done",
        "case",
        "esac",
        "{",
        "}",
        "!",
    ]
)
_REDIRECTIONS = frozenset(["<", ">", ">>", ">|", "<>", "<&", ">&", "<<", "<<-", "<<<", "&>", "&>>"])
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def parse(text: str) -> Script:
    """The script that `text` is. Raises `ShellSyntaxError`."""
    parser = _Parser(Lexer(text, _nested, parse))
    script = parser.script()
    parser.demand_end()
    return script


def _nested(lexer: Lexer) -> Script:
    parser = _Parser(lexer)
    script = parser.script()
    parser.operator(")")
    return script


class _Parser:
    def __init__(self, lexer: Lexer) -> None:
        self._lexer = lexer

    def script(self) -> Script:
        """Commands until something that cannot begin one."""
        lists: list[AndOr] = []
        self._newlines()
        while self._can_begin():
            lists.append(self._and_or())
            match self._lexer.peek():
                case Operator(text=";" | "\n"):
                    self._lexer.next()
                    self._newlines()
                case Operator(text="&"):
                    raise ShellSyntaxError("background commands (`&') are not available here")
                case _:
                    break
        return Script(tuple(lists))

    def demand_end(self) -> None:
        if (token := self._lexer.peek()) != Operator(""):
            raise _unexpected(token)

    def operator(self, text: str) -> None:
        if (token := self._lexer.next()) != Operator(text):
            raise _unexpected(token)

    def _newlines(self) -> None:
        while self._lexer.peek() == Operator("\n"):
            self._lexer.next()

    def _reserved(self) -> str | None:
        """The reserved word that comes next, if one does."""
        token = self._lexer.peek()
        bare = token.bare() if isinstance(token, Word) else None
        return bare if bare in _RESERVED else None

    def _take(self, word: str) -> None:
        token = self._lexer.next()
        if not isinstance(token, Word) or token.bare() != word:
            raise _unexpected(token)

    def _can_begin(self) -> bool:
        match self._lexer.peek():
            case Operator(text=text):
                return text == "(" or text in _REDIRECTIONS
            case Word():
                return self._reserved() in (None, "if", "while", "until", "for", "case", "{", "!")
            case _:
                return True

    def _body(self) -> Script:
        """A script that must not be empty."""
        script = self.script()
        if not script.lists:
            raise _unexpected(self._lexer.peek())
        return script

    def _and_or(self) -> AndOr:
        first, rest = self._pipeline(), []
        while (token := self._lexer.peek()) in (Operator("&&"), Operator("||")):
            self._lexer.next()
            self._newlines()
            assert isinstance(token, Operator)
            rest.append((token.text, self._pipeline()))
        return AndOr(first, tuple(rest))

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._reserved() == "!":
            self._lexer.next()
            negated = not negated
        commands = [self._command()]
        while self._lexer.peek() == Operator("|"):
            self._lexer.next()
            self._newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    def _command(self) -> Command:
        compound = self._compound()
        if compound is None:
            return self._simple()
        redirects = self._redirects()
        return Redirected(compound, redirects) if redirects else compound

    def _compound(self) -> Command | None:
        if self._lexer.peek() == Operator("("):
            self._lexer.next()
            body = self._body()
            self.operator(")")
            return Group(body, subshell=True)
        match self._reserved():
            case "{":
                self._lexer.next()
                body = self._body()
                self._take("}")
                return Group(body, subshell=False)
            case "if":
                return self._if()
            case "while" | "until" as word:
                self._lexer.next()
                condition = self._body()
                return Loop(word == "until", condition, self._do())
            case "for":
                return self._for()
            case "case":
                return self._case()
            case None:
                return None
            case _:
                raise _unexpected(self._lexer.peek())

    def _if(self) -> If:
        branches: list[tuple[Script, Script]] = []
        self._take("if")
        while True:
            condition = self._body()
            self._take("then")
            branches.append((condition, self._body()))
            match self._reserved():
                case "elif":
                    self._lexer.next()
                case "else":
                    self._lexer.next()
                    otherwise = self._body()
                    self._take("fi")
                    return If(tuple(branches), otherwise)
                case _:
                    self._take("fi")
                    return If(tuple(branches), None)

    def _do(self) -> Script:
        self._newlines()
        self._take("do")
        body = self._body()
        self._take("done")
        return body

    def _for(self) -> For:
        self._take("for")
        name = self._name()
        self._newlines()
        words: list[Word] | None = None
        if self._reserved() == "in":
            self._lexer.next()
            words = []
            while isinstance(token := self._lexer.peek(), Word):
                self._lexer.next()
                words.append(token)
        if self._lexer.peek() == Operator(";"):
            self._lexer.next()
        return For(name, None if words is None else tuple(words), self._do())

    def _case(self) -> Case:
        self._take("case")
        subject = self._word()
        self._newlines()
        self._take("in")
        self._newlines()
        branches: list[tuple[tuple[Word, ...], Script]] = []
        while self._reserved() != "esac":
            if self._lexer.peek() == Operator("("):
                self._lexer.next()
            patterns = [self._word()]
            while self._lexer.peek() == Operator("|"):
                self._lexer.next()
                patterns.append(self._word())
            self.operator(")")
            branches.append((tuple(patterns), self.script()))
            if self._lexer.peek() == Operator(";;"):
                self._lexer.next()
                self._newlines()
            elif self._reserved() != "esac":
                raise _unexpected(self._lexer.peek())
        self._take("esac")
        return Case(subject, tuple(branches))

    def _word(self) -> Word:
        token = self._lexer.next()
        if not isinstance(token, Word):
            raise _unexpected(token)
        return token

    def _name(self) -> str:
        word = self._word()
        bare = word.bare()
        if bare is None or not _NAME.match(bare):
            raise ShellSyntaxError(f"`{bare or ''}': not a valid identifier")
        return bare

    def _simple(self) -> Command:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            redirects += self._redirects()
            token = self._lexer.peek()
            if token == Operator("(") and len(words) == 1 and not assignments and not redirects:
                return self._definition(words[0])
            if not isinstance(token, Word):
                break
            self._lexer.next()
            if not words and (assignment := _assignment(token)):
                assignments.append(assignment)
            else:
                words.append(token)
        if not (assignments or words or redirects):
            raise _unexpected(self._lexer.peek())
        return Simple(tuple(assignments), tuple(words), tuple(redirects))

    def _definition(self, word: Word) -> Definition:
        self.operator("(")
        self.operator(")")
        self._newlines()
        name = word.bare()
        if name is None:
            raise ShellSyntaxError("not a valid identifier")
        body = self._command()
        return Definition(name, body)

    def _redirects(self) -> tuple[Redirect, ...]:
        found: list[Redirect] = []
        while True:
            token = self._lexer.peek()
            descriptor: int | None = None
            if isinstance(token, Descriptor):
                descriptor = token.number
                self._lexer.next()
                token = self._lexer.peek()
            if not isinstance(token, Operator) or token.text not in _REDIRECTIONS:
                if descriptor is not None:
                    raise _unexpected(token)
                return tuple(found)
            self._lexer.next()
            operator = token.text
            if descriptor is None:
                descriptor = 0 if operator.startswith("<") else 1
            word = self._word()
            if operator in ("<<", "<<-"):
                document = _document(word, strip_tabs=operator == "<<-")
                self._lexer.expect_document(document)
                found.append(Redirect(descriptor, "<<", document))
            else:
                found.append(Redirect(descriptor, operator, word))


def _assignment(word: Word) -> tuple[str, Word] | None:
    if not word.parts or not isinstance(first := word.parts[0], Literal) or first.quoted:
        return None
    if not (match := _ASSIGNMENT.match(first.text)):
        return None
    rest = first.text[match.end() :]
    parts = word.parts[1:]
    return match[1], Word((Literal(rest, quoted=False), *parts) if rest else parts)


def _document(delimiter: Word, *, strip_tabs: bool) -> HereDocument:
    texts = [part for part in delimiter.parts if isinstance(part, Literal)]
    if len(texts) != len(delimiter.parts):
        raise ShellSyntaxError("a here-document's delimiter cannot be an expansion here")
    name = "".join(part.text for part in texts)
    return HereDocument(name, strip_tabs, literal=any(part.quoted for part in texts))


def _unexpected(token: Token) -> ShellSyntaxError:
    match token:
        case Operator(text=""):
            return ShellSyntaxError("syntax error: unexpected end of file")
        case Operator(text="\n"):
            shown = "newline"
        case Operator(text=text):
            shown = text
        case Descriptor(number=number):
            shown = str(number)
        case Word():
            shown = token.bare() or "word"
    return ShellSyntaxError(f"syntax error near unexpected token `{shown}'")
