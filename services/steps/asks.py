"""What asks have in common: checks and choices that more than one step uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.problem import Exit, Problem
from services.session.model import Session
from services.steps.step import Ask, Choice, Here

Check = Callable[[str, Session], str]
Default = Callable[[Session], str | None]
When = Callable[[Session], bool]


def always(value: str | None) -> Default:
    """The same default whatever was answered."""
    return lambda session: value


def answered(name: str, *values: str) -> When:
    """Whether the ask `name` stands at one of `values`."""
    return lambda session: session.answers.get(name) in values


def one_of(
    name: str, values: Sequence[str], default: Default, when: When = lambda session: True
) -> Ask:
    """An ask with a fixed set of values."""

    def check(value: str, session: Session) -> str:
        if value not in values:
            raise Problem(
                "core.bad-choice",
                name=name,
                value=value,
                choices=", ".join(values),
                exit=Exit.USAGE,
            )
        return value

    def choices(here: Here) -> Sequence[Choice]:
        return [Choice(value) for value in values]

    return Ask(name, "choice", default=default, choices=choices, check=check, when=when)


def whole(
    name: str, low: int, high: int, default: Default, when: When = lambda session: True
) -> Ask:
    """An ask for a whole number from `low` to `high`."""

    def check(value: str, session: Session) -> str:
        text = value.strip()
        if not (text.isascii() and text.isdigit() and low <= int(text[:9]) <= high):
            raise Problem(
                "core.bad-number", name=name, value=value, low=low, high=high, exit=Exit.USAGE
            )
        return str(int(text))

    return Ask(name, "number", default=default, check=check, when=when)


def key_kind(name: str, when: When) -> Ask:
    """Which kind of private key to make (`services.pki.keys.KeyKind`)."""
    return one_of(name, ("ec-p256", "rsa-2048", "rsa-4096"), always("ec-p256"), when)
