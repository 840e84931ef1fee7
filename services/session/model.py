"""The immutable Session, and the journal entries that are the only way to a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

Facts = Mapping[str, str]


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """An action as it was begun or done, with what its undo needs to know.

    `params` are the action's own fields, so that it can be made again from the journal alone.
    """

    id: str
    step: str
    action: str
    params: dict[str, Any]
    token: str = ""
    state: Literal["begun", "done"] = "begun"
    made: bool = True
    kind: str = ""
    resource: str = ""
    facts: dict[str, str] = {}
    before: dict[str, str] = {}
    revision: int = 0
    """The session's when this last changed."""


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """How a step's proof ended, and when (RFC 3339)."""

    passed: bool
    time: str
    accepted: bool = False
    """The person chose to go on without a pass."""
    result: dict[str, Any] = {}
    revision: int = 0
    """The session's when it was proven: what was done later, it says nothing of."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="entry"):
    """One line of the journal. `time` is RFC 3339."""

    time: str


class Created(Entry, frozen=True, kw_only=True, tag="created"):
    session: str
    place: str


class Answered(Entry, frozen=True, kw_only=True, tag="answered"):
    """`value` None takes the answer back."""

    name: str
    value: str | None


class Looked(Entry, frozen=True, kw_only=True, tag="looked"):
    step: str
    facts: dict[str, str]


class Begun(Entry, frozen=True, kw_only=True, tag="begin"):
    """Written before anything happens: afterwards it may have happened, or not."""

    deed: Deed


class Done(Entry, frozen=True, kw_only=True, tag="done"):
    id: str
    resource: str
    facts: dict[str, str]


class Adopted(Entry, frozen=True, kw_only=True, tag="adopted"):
    """It was there already, and not by this session's doing."""

    deed: Deed


class Failed(Entry, frozen=True, kw_only=True, tag="failed"):
    """An action ended with a Problem; what it may have done is still looked for on resume."""

    id: str
    code: str


class Undone(Entry, frozen=True, kw_only=True, tag="undone"):
    """Removed by us, let go of (adopted), or found gone."""

    id: str
    why: Literal["removed", "released", "gone"]


class Proof(Entry, frozen=True, kw_only=True, tag="proved"):
    step: str
    passed: bool
    accepted: bool = False
    result: dict[str, Any] = {}


AnyEntry = Created | Answered | Looked | Begun | Done | Adopted | Failed | Undone | Proof


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one set-up. Only `after` makes another one of it."""

    format: int = 1
    id: str = ""
    place: str = "cloud"
    created: str = ""
    changed: str = ""
    revision: int = 0
    """How many journal entries are in it."""
    answers: dict[str, str] = {}
    seen: dict[str, dict[str, str]] = {}
    """What each step's look at the world found."""
    deeds: tuple[Deed, ...] = ()
    """Oldest first."""
    proofs: dict[str, Proved] = {}

    @property
    def facts(self) -> dict[str, str]:
        """Everything learnt: by looking, and from what is done."""
        found: dict[str, str] = {}
        for facts in self.seen.values():
            found |= facts
        for deed in self.deeds:
            found |= deed.facts
        return found

    def deed(self, id: str) -> Deed | None:
        """The deed of the action with this id, if it is begun or done."""
        return next((deed for deed in self.deeds if deed.id == id), None)

    def after(self, entry: AnyEntry) -> Session:
        """The Session once `entry` has happened. Pure; an unknown deed is no news."""
        new = replace(self, revision=self.revision + 1, changed=entry.time)
        match entry:
            case Created():
                return replace(new, id=entry.session, place=entry.place, created=entry.time)
            case Answered(value=None):
                return replace(
                    new, answers={k: v for k, v in new.answers.items() if k != entry.name}
                )
            case Answered():
                return replace(new, answers={**new.answers, entry.name: str(entry.value)})
            case Looked():
                return replace(new, seen={**new.seen, entry.step: entry.facts})
            case Begun() | Adopted():
                deed = replace(entry.deed, revision=new.revision)
                deeds = (*_without(new.deeds, deed.id), deed)
                return replace(new, deeds=deeds)
            case Done():
                return replace(
                    new,
                    deeds=tuple(
                        replace(
                            deed,
                            state="done",
                            resource=entry.resource,
                            facts=entry.facts,
                            revision=new.revision,
                        )
                        if deed.id == entry.id
                        else deed
                        for deed in new.deeds
                    ),
                )
            case Undone():
                gone = new.deed(entry.id)
                kept = _without(new.deeds, entry.id)
                if gone is None:
                    return new
                # A proof says something of the world with that deed in it.
                return replace(new, deeds=kept, proofs=_without_key(new.proofs, gone.step))
            case Failed():
                return new
            case Proof():
                before = new.proofs.get(entry.step)
                # What is accepted is what the proof before it found.
                found = before.result if entry.accepted and before is not None else {}
                proved = Proved(
                    passed=entry.passed,
                    time=entry.time,
                    accepted=entry.accepted,
                    result=entry.result or found,
                    revision=new.revision,
                )
                return replace(new, proofs={**new.proofs, entry.step: proved})


def _without(deeds: tuple[Deed, ...], id: str) -> tuple[Deed, ...]:
    return tuple(deed for deed in deeds if deed.id != id)


def _without_key(proofs: dict[str, Proved], step: str) -> dict[str, Proved]:
    return {name: proved for name, proved in proofs.items() if name != step}
