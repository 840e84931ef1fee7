"""The one error type that reaches people, and the one that says "stopped"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The process exit codes; other programs rely on them."""

    FINE = 0
    NOT_FINE = 1
    USAGE = 2
    ANSWER_MISSING = 3
    REFUSED = 4
    INTERRUPTED = 130


class Problem(Exception):
    """A failure that a person can act on.

    The words are in the catalogue, under `<room>.problem.<name>.what|cause|remedy`, where
    `code` is `<room>.<name>`; `facts` fill their placeholders. `code` and `evidence` are never
    translated. Nothing secret may be given to either: a Problem is shown, logged and exported.

    A foreign exception becomes a Problem on the line where it enters the services, with
    `raise … from None` when its text may hold a secret (the vendor's SDK puts whole requests,
    private keys included, into exception texts).
    """

    def __init__(
        self, code: str, evidence: str = "", *, exit: Exit = Exit.NOT_FINE, **facts: object
    ) -> None:
        super().__init__(code)
        self.code = code
        self.evidence = evidence
        self.exit = exit
        self.facts: Mapping[str, str] = {name: str(value) for name, value in facts.items()}

    def words(self) -> ProblemWords:
        """The four parts, in the language that is set."""
        from services.text import say

        room, _, name = self.code.partition(".")

        def part(which: str) -> str:
            return say(f"{room}.problem.{name}.{which}", **self.facts)

        return ProblemWords(self.code, part("what"), part("cause"), part("remedy"), self.evidence)


@dataclass(frozen=True, slots=True)
class ProblemWords:
    """A Problem in words, in the order in which a person needs them."""

    code: str
    what: str
    cause: str
    remedy: str
    evidence: str


class Stopped(Exception):
    """The person asked to stop; raised by `Stop.check` and by whatever `Stop` unblocked."""
