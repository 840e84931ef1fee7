"""Two small steps over files in the session's own folder, and a Start that opens walks on them.

The walk, the store and the session are the real ones; only what is made is a toy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

from app.start import AskHostKey, Reveal
from services.cloud.port import Cloud
from services.events import Emit
from services.hosts.port import Host, HostKeyQuestion, Hosts
from services.problem import Problem
from services.session.model import Deed, Session
from services.session.store import Sessions, Store
from services.steps.step import Action, Ask, Check, Choice, Here, Proof, Result, Step
from services.stop import Stop
from services.text import learn
from services.walk import Walk
from services.world import Place, World

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Knobs:
    """What a test can turn while the program runs."""

    def __init__(self) -> None:
        self.fail_next = False
        self.hold: threading.Event | None = None
        """Actions wait for this one before they are done."""
        self.holding = threading.Event()
        self.pass_proof = True
        self.ask_host_key = False
        self.answers_to_host_key: list[bool] = []
        self.offers: Sequence[str] | Problem = ("oak", "pine")
        self.hold_offers: threading.Event | None = None
        self.fail_opening: Problem | None = None

    def wait(self, stop: Stop) -> None:
        """Do as if the action took its time."""
        if self.hold is None:
            return
        self.holding.set()
        with stop.closing(self.hold.set):
            assert self.hold.wait(20)
        stop.check()


@dataclass(frozen=True, slots=True)
class Place_:
    """Where a toy action finds the knobs of its test."""

    knobs: ClassVar[Knobs] = Knobs()


def _box(here: Here, name: str) -> Path:
    return here.pki.parent / f"{name}.box"


@dataclass(frozen=True, slots=True)
class MakeBox(Action):
    """A file."""

    name: str
    wood: str

    KIND: ClassVar[str] = "box"
    STEP: ClassVar[str] = "shelf"

    def find(self, here: Here) -> Result | None:
        path = _box(here, self.name)
        return Result(path.name) if path.exists() else None

    def apply(self, here: Here, token: str) -> Result:
        knobs = Place_.knobs
        here.output("sawing")
        knobs.wait(here.stop)
        if knobs.fail_next:
            knobs.fail_next = False
            raise Problem("shelf.broken", evidence="E42 [/red]", name=self.name)
        if knobs.ask_host_key:
            host = Host("ECS01", "192.0.2.7")
            question = HostKeyQuestion(host, "ssh-ed25519", "SHA256:abc")
            knobs.answers_to_host_key.append(ask(question))
        _box(here, self.name).write_text(self.wood)
        return Result(f"{self.name}.box", {"shelf.box": self.name})

    def undo(self, here: Here, deed: Deed) -> None:
        _box(here, self.name).unlink(missing_ok=True)

    def equivalent(self) -> Sequence[str]:
        return [f"echo {self.wood} > {self.name}.box"]


ask: Any = None
"""Set by the Start: what the walk's hosts would ask."""


@dataclass(frozen=True, slots=True)
class MakeLabel(Action):
    """A second file, with a generated secret."""

    text: str
    box: str

    KIND: ClassVar[str] = "label"
    STEP: ClassVar[str] = "shelf"

    def find(self, here: Here) -> Result | None:
        return Result("label") if _box(here, "label").exists() else None

    def apply(self, here: Here, token: str) -> Result:
        if not here.secrets.get("shelf.code"):
            here.reveal("shelf.code", "abcd-efgh-ijkl")
        _box(here, "label").write_text(self.text)
        return Result("label")

    def undo(self, here: Here, deed: Deed) -> None:
        _box(here, "label").unlink(missing_ok=True)

    def equivalent(self) -> Sequence[str]:
        return [f"echo {self.text} > label.box"]


def _check_name(value: str, session: Session) -> str:
    if not value.isalnum():
        raise Problem("shelf.bad-name", name=value)
    return value


def _woods(here: Here) -> Sequence[Choice]:
    knobs = Place_.knobs
    if knobs.hold_offers is not None:
        with here.stop.closing(knobs.hold_offers.set):
            assert knobs.hold_offers.wait(20)
        here.stop.check()
    if isinstance(knobs.offers, Problem):
        raise knobs.offers
    return [Choice(wood, f"{wood} wood") for wood in knobs.offers]


def _plan_shelf(session: Session) -> Sequence[Action]:
    answers = session.answers
    name = answers.get("shelf.name", "")
    return [MakeBox(name, answers.get("shelf.wood", "")), MakeLabel("fragile", name)]


def _prove_shelf(here: Here) -> Proof:
    name = here.facts.get("shelf.box", "")
    there = _box(here, name).exists()
    return Proof(
        (
            Check("shelf.check.there", there, f"{name}.box"),
            Check("shelf.check.straight", Place_.knobs.pass_proof, "0.0 degrees"),
        )
    )


SHELF = cast(
    Step,
    SimpleNamespace(
        NAME="shelf",
        ASKS=(
            Ask("shelf.name", default=lambda session: "shelf1", check=_check_name),
            Ask("shelf.wood", "choice", default=lambda session: "oak", choices=_woods),
            Ask("shelf.note", required=False, when=lambda s: s.answers.get("shelf.wood") == "pine"),
            Ask("shelf.code", "secret", required=False),
        ),
        ACTIONS=(MakeBox, MakeLabel),
        LIVE=None,
        look=lambda here: {"shelf.looked": "yes"},
        plan=_plan_shelf,
        prove=_prove_shelf,
    ),
)

LAMP = cast(
    Step,
    SimpleNamespace(
        NAME="lamp",
        ASKS=(Ask("lamp.colour"),),
        ACTIONS=(),
        LIVE=None,
        look=lambda here: {},
        plan=lambda session: [],
        prove=lambda here: Proof((Check("lamp.check.on", True, "bright"),)),
    ),
)

learn(
    "shelf",
    {
        "title": "Shelf",
        "explain": "\nMakes a shelf out of a box and a label.\n\nNothing else is touched.",
        "ask": {
            "name": {"label": "Name", "help": "Letters and digits."},
            "wood": {"label": "Wood", "help": "What it is made of."},
            "note": {"label": "Note", "help": "Pine needs one."},
            "code": {"label": "Code", "help": "Empty: one is made.", "reveal": "The code:"},
        },
        "action": {"box": "box {name} of {wood}", "label": 'label "{text}"'},
        "undo": {"box": "burn the box", "label": "tear it off"},
        "check": {"there": "The box is there", "straight": "It hangs straight"},
        "problem": {
            "broken": {"what": "{name} broke.", "cause": "Old wood.", "remedy": "Glue it."},
            "bad-name": {
                "what": '"{name}" is no name.',
                "cause": "Only letters and digits are.",
                "remedy": "Leave out the rest.",
            },
            "no-shop": {"what": "The shop is shut.", "cause": "It is late.", "remedy": "Wait."},
        },
    },
)
learn(
    "lamp",
    {
        "title": "Lamp",
        "explain": "\nLights the shelf.",
        "ask": {"colour": {"label": "Colour", "help": "Any."}},
        "check": {"on": "The lamp is on"},
    },
)


class ToyStart:
    """Opens walks on the toy steps, below one home folder."""

    def __init__(self, home: Path, knobs: Knobs | None = None) -> None:
        self._home = home
        self.knobs = knobs or Knobs()
        self.saved = Sessions(home)
        self.credentials = False
        self.closed = threading.Event()
        """No walk is open."""
        Place_.knobs = self.knobs

    @property
    def home(self) -> Path:
        return self._home

    @contextmanager
    def new(
        self, place: Place, emit: Emit, reveal: Reveal, ask_host_key: AskHostKey
    ) -> Iterator[Walk]:
        if self.knobs.fail_opening is not None:
            raise self.knobs.fail_opening
        with (
            self.saved.create(place, NOON) as store,
            self._walk(store, emit, reveal, ask_host_key) as walk,
        ):
            yield walk

    @contextmanager
    def resume(
        self, id: str, emit: Emit, reveal: Reveal, ask_host_key: AskHostKey
    ) -> Iterator[Walk]:
        with self.saved.open(id) as store, self._walk(store, emit, reveal, ask_host_key) as walk:
            yield walk

    @contextmanager
    def _walk(
        self, store: Store, emit: Emit, reveal: Reveal, ask_host_key: AskHostKey
    ) -> Iterator[Walk]:
        global ask
        ask = ask_host_key
        place = cast(Place, store.session.place)
        world = World(
            place=place,
            connect=lambda region, site: cast(Cloud, None),
            hosts=cast(Hosts, None),
            locate=lambda name, port: [],
            now=lambda: NOON,
        )
        self.closed.clear()
        try:
            yield Walk(store, world, (SHELF, LAMP), emit, reveal)
        finally:
            self.closed.set()

    def sessions(self) -> Sequence[Session | tuple[str, Problem]]:
        return self.saved.all()

    def has_credentials(self) -> bool:
        return self.credentials
