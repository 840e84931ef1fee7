"""What a step is made of. Form, preview, journal, resume, clean-up and CLI know no more than this.

A step is a module that satisfies `Step`: look (read only), asks, a pure plan of actions, a proof.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from services.cloud.port import Cloud
from services.events import Shown
from services.session.model import Deed, Facts, Session
from services.steps.course import Course
from services.stop import Stop
from services.text import knows, say
from services.world import World


@dataclass(frozen=True, slots=True)
class Here:
    """What a step's code is given: the world, the session as it stands, and the way to stop."""

    world: World
    session: Session
    stop: Stop
    pki: Path
    """The session's folder for keys and certificates (0700)."""
    reports: Path
    output: Callable[[str], None] = lambda line: None
    """Show one line of what is going on. Called in any thread."""
    snapshot: Callable[[Shown], None] = lambda shown: None
    """Show how a proof that goes on stands. Called in any thread, many times a second."""
    change: Callable[[Shown], None] = lambda shown: None
    """Tell what became otherwise while it goes on. Called in any thread."""
    course: Course = field(default_factory=Course)
    """How fast, how often and for how long a proof is to ask."""
    reveal: Callable[[str, str], None] = lambda name, secret: None
    """Show a generated secret, by the name of its ask, once, and only to the person."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Answers to secret asks; they live in memory only."""

    @property
    def facts(self) -> Facts:
        return self.session.facts

    def answer(self, name: str, default: str = "") -> str:
        """The answer as given, else `default`. `walk.settled` has filled the asks' own defaults."""
        return self.session.answers.get(name, default)

    @property
    def cloud(self) -> Cloud:
        return self.world.connect(self.answer("prepare.region"), self.answer("prepare.cas_site"))


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that a picker offers, and what to show beside it."""

    value: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of a step. Its words are `<step>.ask.<name>.label` and `.help`.

    `default` and `choices` may look at the answers given so far; `choices` may read the world. An
    ask with neither a default nor exactly one choice must be answered by a person. `check`
    returns the value as it is to be kept, or raises Problem. `when` tells whether it is asked.
    A `secret` is never stored: it is handed to the actions in memory.
    """

    name: str
    kind: Literal["text", "choice", "number", "path", "secret"] = "text"
    default: Callable[[Session], str | None] = lambda session: None
    choices: Callable[[Here], Sequence[Choice]] | None = None
    check: Callable[[str, Session], str] = lambda value, session: value
    when: Callable[[Session], bool] = lambda session: True
    required: bool = True

    @property
    def label(self) -> str:
        return say(f"{self._key}.label")

    @property
    def help(self) -> str:
        key = f"{self._key}.help"
        return say(key) if knows(key) else ""

    @property
    def _key(self) -> str:
        step, _, name = self.name.partition(".")
        return f"{step}.ask.{name}"


@dataclass(frozen=True, slots=True)
class Result:
    """What an action left behind: the resource's id, and facts for later steps (no secrets)."""

    resource: str
    facts: Facts = field(default_factory=dict)
    ours: bool | None = None
    """Of something found: whether it bears this session's mark, so that this session made it or
    did not. None where it can bear none; then the journal decides."""


class Action(ABC):
    """One thing to make, as a frozen dataclass of plain values.

    Its fields go into the journal, so an action can be made again from there; two actions are
    the same wish when they are equal. A field that names another action's resource says that
    this one was made with it, and must go before it. Its words are `<step>.action.<kind>` (what,
    on what), `<step>.undo.<kind>`, and, where it costs something, `<step>.cost.<kind>`, filled
    with the fields.
    """

    KIND: ClassVar[str]
    """What it makes, in kebab-case: `listener`, `server-certificate`."""
    STEP: ClassVar[str]

    @property
    def id(self) -> str:
        """Unique in a session, and the same on every run."""
        return f"{self.STEP}.{self.KIND}"

    @abstractmethod
    def find(self, here: Here) -> Result | None:
        """Is it already so? Read only. None if not; Problem if it is something else."""

    def before(self, here: Here) -> Facts:
        """What the undo must know of the world as it was. Called right before `apply`."""
        return {}

    @abstractmethod
    def apply(self, here: Here, token: str) -> Result:
        """Make it so. `token` is the ClientToken, the same on every try."""

    @abstractmethod
    def undo(self, here: Here, deed: Deed) -> None:
        """Put it back as it was. Nothing there to undo is fine."""

    @abstractmethod
    def equivalent(self) -> Sequence[str]:
        """Commands that a person could type instead, for a POSIX shell, without any secret."""

    # The words, for whoever shows a preview.

    def title(self) -> str:
        return say(f"{self.STEP}.action.{self.KIND}", **self._words())

    def undo_words(self) -> str:
        return say(f"{self.STEP}.undo.{self.KIND}", **self._words())

    def cost(self) -> str:
        key = f"{self.STEP}.cost.{self.KIND}"
        return say(key, **self._words()) if knows(key) else say("core.no-cost")

    def _words(self) -> dict[str, object]:
        fields: Mapping[str, Any] = getattr(self, "__dataclass_fields__", {})
        return {name: _listed(getattr(self, name)) for name in fields}


def _listed(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a proof: its words are at `key` (a catalogue key), filled with `facts`."""

    key: str
    passed: bool
    evidence: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def title(self) -> str:
        return say(self.key, **self.facts)


@dataclass(frozen=True, slots=True)
class Proof:
    """The checks of a step on the live world. `result`, where there is one, ends `--json`."""

    checks: tuple[Check, ...]
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


class Step(Protocol):
    """A module of this package. Its words are `<NAME>.title` and `<NAME>.explain`."""

    @property
    def NAME(self) -> str: ...
    @property
    def ASKS(self) -> Sequence[Ask]: ...
    @property
    def ACTIONS(self) -> Sequence[type[Action]]:
        """Every kind of action that `plan` may return: what the journal can be read back into."""
        ...

    @property
    def LIVE(self) -> Callable[[Here], Proof] | None:
        """Watches the proof go on, by snapshots, until it is stopped or `Here.course` is over, and
        returns how all of it went; None where it does not go on.
        """
        ...

    def look(self, here: Here) -> Facts:
        """Read the world about the answers, before the plan. Raises Problem if they cannot hold."""
        ...

    def plan(self, session: Session) -> Sequence[Action]:
        """What to make, in order. Pure: no I/O, nothing but the session."""
        ...

    def prove(self, here: Here) -> Proof:
        """Check the live world."""
        ...
