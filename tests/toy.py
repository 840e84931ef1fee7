"""A step that this program does not have: it makes files in a folder, its whole world.

`python -m tests.toy …` is the program with this step instead of its own, through the list that all
parts of it read. The folder is `TOY_WORLD`; while it holds a file `hold`, actions take their time.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from services.problem import Exit, Problem
from services.session.model import Deed, Facts, Session
from services.steps.step import Action, Ask, Check, Choice, Here, Proof, Result
from services.text import learn

NAME = "toy"
LIVE = None

WORDS = {
    "title": "Toy",
    "explain": "Makes a few files.",
    "ask": {
        "size": {"label": "Size", "help": "How large it is."},
        "colour": {"label": "Colour", "help": "What it is painted with."},
        "password": {"label": "Password of the toy"},
    },
    "action": {"thing": "thing {name} of size {size}", "paint": "paint {colour} on the thing"},
    "undo": {"thing": "remove the thing", "paint": "wash it"},
    "cost": {"paint": "one pot of {colour}"},
    "check": {"painted": "The thing is {colour}"},
    "problem": {
        "broken": {
            "what": "The toy is broken.",
            "cause": "Somebody broke it.",
            "remedy": "Remove {path}.",
        }
    },
}
learn(NAME, WORDS)


def world() -> Path:
    return Path(os.environ["TOY_WORLD"])


def _colours(here: Here) -> Sequence[Choice]:
    return [Choice("red", "like a rose"), Choice("blue")]


def _size(value: str, session: Session) -> str:
    if not value.isdigit():
        raise Problem(
            "core.bad-number", name="toy.size", value=value, low=1, high=9, exit=Exit.USAGE
        )
    return value


ASKS: Sequence[Ask] = (
    Ask("toy.size", "number", check=_size),
    Ask("toy.colour", "choice", default=lambda session: "red", choices=_colours),
    Ask("toy.password", "secret", required=False),
)


@dataclass(frozen=True, slots=True)
class MakeThing(Action):
    name: str
    size: str

    KIND: ClassVar[str] = "thing"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        path = world() / self.name
        return Result(self.name, {"thing": self.name}) if path.exists() else None

    def apply(self, here: Here, token: str) -> Result:
        with (world() / "made").open("a") as made:
            made.write(f"{token}\n")
        (world() / self.name).write_text(self.size)
        while (world() / "hold").exists():
            here.stop.sleep(0.02)
        if (world() / "broken").exists():
            raise Problem("toy.broken", evidence=os.environ.get("TOY_SAYS", ""), path=world())
        if "toy.password" not in here.secrets:
            here.reveal("toy.password", "made-up-canary")
        here.output(f"a size of {self.size}")
        return Result(self.name, {"thing": self.name})

    def undo(self, here: Here, deed: Deed) -> None:
        (world() / self.name).unlink(missing_ok=True)

    def equivalent(self) -> Sequence[str]:
        return [f"echo {self.size} >{self.name}"]


@dataclass(frozen=True, slots=True)
class Paint(Action):
    colour: str

    KIND: ClassVar[str] = "paint"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        path = world() / "colour"
        return Result(self.colour) if path.exists() and path.read_text() == self.colour else None

    def apply(self, here: Here, token: str) -> Result:
        (world() / "colour").write_text(self.colour)
        return Result(self.colour)

    def undo(self, here: Here, deed: Deed) -> None:
        (world() / "colour").unlink(missing_ok=True)

    def equivalent(self) -> Sequence[str]:
        return [f"echo {self.colour} >colour"]


ACTIONS: Sequence[type[Action]] = (MakeThing, Paint)


def look(here: Here) -> Facts:
    if (world() / "crash").exists():
        raise RuntimeError(f"nobody expected this: {os.environ.get('TOY_SAYS', '')}")
    if (world() / "full").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(world() / "big"))
    return {"world": str(world())}


def plan(session: Session) -> Sequence[Action]:
    answers = session.answers
    return [MakeThing("thing", answers["toy.size"]), Paint(answers["toy.colour"])]


def prove(here: Here) -> Proof:
    colour = here.answer("toy.colour")
    seen = (world() / "colour").read_text() if (world() / "colour").exists() else "-"
    passed = seen == colour and not (world() / "doubt").exists()
    checks = (Check("toy.check.painted", passed, seen, {"colour": colour}),)
    return Proof(checks, {"verdict": "pass" if passed else "fail", "colour": seen})


if __name__ == "__main__":
    from app.cli import main
    from services.steps import all as all_steps
    from tests import toy

    all_steps.STEPS = (toy,)
    sys.exit(main())
