"""Answers given beforehand: from a TOML file, and from the command line, which wins."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.options import Options
from services import disk
from services.problem import Exit, Problem
from services.steps.step import Step

if TYPE_CHECKING:
    from services.walk import Walk

HOST_PARTS = ("address", "port", "user", "private_key_file", "fingerprint")
"""What may be answered of a host, as `hosts.NAME.address` (`services.steps.reach`)."""

PKCS12_PASSWORD = "client.pkcs12_password"
"""The answer that `--pkcs12-password-file` gives."""

_LARGEST = 1_000_000
"""Bytes of an answers file; a real one has a few hundred."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and where it was given, for the person who has to mend it."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that there are, in the order in which they are asked."""

    names: Sequence[str]
    secrets: Collection[str]

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Vocabulary:
        asks = [ask for step in steps for ask in step.ASKS]
        return cls([ask.name for ask in asks], {ask.name for ask in asks if ask.kind == "secret"})

    def knows(self, name: str) -> bool:
        room, _, rest = name.partition(".")
        host, _, part = rest.rpartition(".")
        return name in self.names or (room == "hosts" and bool(host) and part in HOST_PARTS)

    def near(self, name: str) -> str:
        """The known name that is most like `name`."""
        from difflib import get_close_matches

        if name.startswith("hosts."):
            part = get_close_matches(name.rpartition(".")[2], HOST_PARTS, n=1, cutoff=0)
            return f"hosts.NAME.{part[0]}"
        return (get_close_matches(name, self.names, n=1, cutoff=0) or ["-"])[0]

    def in_order(self, answers: Mapping[str, Answer]) -> list[Answer]:
        """Hosts first, then as asked: a check may rest on an answer that is asked before."""
        known = {name: position for position, name in enumerate(self.names)}
        return sorted(answers.values(), key=lambda answer: known.get(answer.name, -1))


def given(options: Options, steps: Sequence[Step]) -> list[Answer]:
    """Everything that the command line answers, itself or by a file.

    Raises
    ------
    Problem
        `app.answers-broken`, `app.answer-unknown`, `app.answer-not-a-value`,
        `app.answer-spelling`, `app.answer-secret`, `app.host-key-spelling`, all with exit 2; what
        reading a file raises.
    """
    vocabulary = Vocabulary.of(steps)
    found: dict[str, Answer] = {}
    if options.answers is not None:
        found |= {each.name: each for each in read(Path(options.answers), vocabulary)}
    for answer in _from_words(options, vocabulary):
        found[answer.name] = answer
    if options.pkcs12_password_file is not None:
        found[PKCS12_PASSWORD] = _password(options.pkcs12_password_file)
    return vocabulary.in_order(found)


def read(path: Path, vocabulary: Vocabulary) -> list[Answer]:
    """The answers in a TOML file: `[prepare]` and `domain = "…"`, `[hosts.ECS01]`, or dotted."""
    data = disk.read(path, _LARGEST)
    try:
        text = data.decode()
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(
            "app.answers-broken", evidence=f"{path}: {error}", path=path, exit=Exit.USAGE
        ) from None
    found = []
    for name, value in _flat("", tables):
        source = f"{path}, line {_line(text, name)}"
        if not vocabulary.knows(name):
            raise _unknown(name, vocabulary, source)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if not isinstance(value, str | int):
            raise Problem(
                "app.answer-not-a-value",
                evidence=source,
                name=name,
                kind=type(value).__name__,
                exit=Exit.USAGE,
            )
        found.append(Answer(name, str(value), source))
    return found


def give(walk: Walk, answers: Sequence[Answer]) -> None:
    """Hand the answers to the walk. Raises Problem, with the place of the answer as evidence."""
    with walk.together():
        for answer in answers:
            try:
                walk.answer(answer.name, answer.value)
            except Problem as problem:
                problem.evidence = "; ".join(filter(None, (problem.evidence, answer.source)))
                raise


def _from_words(options: Options, vocabulary: Vocabulary) -> Iterator[Answer]:
    for word in options.host_key:
        host, equals, fingerprint = word.partition("=")
        if not host or not equals or not fingerprint.startswith("SHA256:"):
            raise Problem("app.host-key-spelling", word=word, exit=Exit.USAGE)
        yield Answer(f"hosts.{host}.fingerprint", fingerprint, "--host-key")
    for word in options.answer:
        name, equals, value = word.partition("=")
        if name in vocabulary.secrets:
            # An argument is in the process list for everybody on this computer to read.
            raise Problem("app.answer-secret", name=name, exit=Exit.USAGE)
        if not equals:
            raise Problem("app.answer-spelling", word=word, exit=Exit.USAGE)
        if not vocabulary.knows(name):
            raise _unknown(name, vocabulary, "--answer")
        yield Answer(name, value, "--answer")


def _password(path: str) -> Answer:
    """The first line, without its end, as `openssl -passin file:` reads it."""
    if path == "-":
        return Answer(PKCS12_PASSWORD, sys.stdin.readline().rstrip("\r\n"), "stdin")
    text = disk.read(Path(path), _LARGEST).decode(errors="replace")
    return Answer(PKCS12_PASSWORD, text.split("\n", 1)[0].rstrip("\r"), path)


def _unknown(name: str, vocabulary: Vocabulary, source: str) -> Problem:
    near = vocabulary.near(name)
    return Problem("app.answer-unknown", evidence=source, name=name, near=near, exit=Exit.USAGE)


def _flat(prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(f"{name}.", value)
        else:
            yield name, value


def _line(text: str, name: str) -> int:
    """The line on which `name` is set, or as near to it as can be told; from 1.

    The parser does not keep places, so the file is read once more, line by line: whatever is not
    found by that (a table within a line) is said to be where the longest part of its name is.
    """
    wanted = name.split(".")
    header: list[str] = []
    best, line = 0, 1
    for number, content in enumerate(text.splitlines(), start=1):
        stripped = content.strip()
        if stripped.startswith("["):
            header = _parts(stripped.strip("[]").partition("]")[0])
            here = header
        elif "=" in stripped and not stripped.startswith("#"):
            here = header + _parts(stripped.partition("=")[0])
        else:
            continue
        if wanted[: len(here)] == here and len(here) > best:
            best, line = len(here), number
    return line


def _parts(key: str) -> list[str]:
    return [part.strip().strip("\"'") for part in key.split(".")]
