"""What a shell script is made of, once it is parsed (POSIX.1-2017, XCU 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """Text as it stands; quoted text is neither split nor a pattern."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$name`, `${name}`, `${#name}` (operator `#len`), or `${name<operator>argument}`."""

    name: str
    operator: str
    argument: Word
    quoted: bool


@dataclass(frozen=True, slots=True)
class Substitution:
    """`$(body)` or a pair of backquotes."""

    body: Script
    quoted: bool


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`$((expression))`."""

    expression: Word
    quoted: bool


Part: TypeAlias = Literal | Parameter | Substitution | Arithmetic


@dataclass(frozen=True, slots=True)
class Word:
    parts: tuple[Part, ...] = ()

    def bare(self) -> str | None:
        """The text of a word that is nothing but unquoted text, as reserved words are."""
        if len(self.parts) == 1 and isinstance(part := self.parts[0], Literal) and not part.quoted:
            return part.text
        return None


@dataclass(slots=True)
class HereDocument:
    """A here-document; the lines that make its body follow after the command's own line."""

    delimiter: str
    strip_tabs: bool
    literal: bool
    body: Word = field(default_factory=Word)


@dataclass(frozen=True, slots=True)
class Redirect:
    """`operator` is one of < > >> >| <> <& >& <<< &> &>> and << for a here-document."""

    descriptor: int
    operator: str
    target: Word | HereDocument


@dataclass(frozen=True, slots=True)
class Simple:
    """A command with its arguments; assignments alone change the shell's own variables."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[tuple[Script, Script], ...]
    otherwise: Script | None


@dataclass(frozen=True, slots=True)
class Loop:
    """`while`, or `until` when `until` is set."""

    until: bool
    condition: Script
    body: Script


@dataclass(frozen=True, slots=True)
class For:
    """`words` is None for the positional parameters."""

    name: str
    words: tuple[Word, ...] | None
    body: Script


@dataclass(frozen=True, slots=True)
class Case:
    subject: Word
    branches: tuple[tuple[tuple[Word, ...], Script], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """`{ body }`, or `( body )` in a subshell."""

    body: Script
    subshell: bool


@dataclass(frozen=True, slots=True)
class Definition:
    """`name() body`."""

    name: str
    body: Command


@dataclass(frozen=True, slots=True)
class Redirected:
    """A compound command with redirections of its own."""

    command: Command
    redirects: tuple[Redirect, ...]


Command: TypeAlias = Simple | If | Loop | For | Case | Group | Definition | Redirected


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class AndOr:
    """Pipelines joined by `&&` and `||`, from left to right."""

    first: Pipeline
    rest: tuple[tuple[str, Pipeline], ...]


@dataclass(frozen=True, slots=True)
class Script:
    lists: tuple[AndOr, ...] = ()
