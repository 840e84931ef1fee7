"""The controller: the only writer of the Session. It knows no step by name."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from services.events import Emit, Event, Shown, rfc3339
from services.problem import Exit, Problem
from services.session.model import (
    Adopted,
    Answered,
    AnyEntry,
    Begun,
    Deed,
    Done,
    Failed,
    Looked,
    Proof,
    Session,
    Undone,
)
from services.session.store import Store
from services.steps import step as steps_
from services.steps.course import Course
from services.steps.step import Action, Ask, Choice, Here, Step
from services.stop import Stop
from services.world import World

Sign = Literal["+", "=", "-", "✓"]
"""Make, adopt (or finish what was begun), remove, done already."""

State = Literal["pending", "begun", "done", "attention", "failed", "outdated"]


SETTLED: tuple[State, ...] = ("done", "attention")
"""The states of a step behind which the next one may begin."""


@dataclass(frozen=True, slots=True)
class Field:
    """An ask and how it stands: the value that holds, and whether a person gave it."""

    ask: Ask
    value: str
    given: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a preview. `deed` is what is there already, where something is."""

    sign: Sign
    action: Action
    resource: str = ""
    deed: Deed | None = None

    def to_map(self) -> dict[str, Any]:
        return {
            "sign": self.sign,
            "title": self.action.title(),
            "resource": self.resource,
            "cost": self.action.cost(),
            "undo": self.action.undo_words(),
            "equivalent": list(self.action.equivalent()),
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """What acting on a step would do, in order. Nothing has happened yet."""

    step: str
    lines: tuple[Line, ...]

    def count(self, sign: Sign) -> int:
        return sum(line.sign == sign for line in self.lines)


@dataclass(frozen=True, slots=True)
class Drift:
    """A deed that the world no longer shows as it was done."""

    deed: Deed
    how: Literal["gone", "changed", "unknown"]
    evidence: str = ""

    def to_map(self) -> dict[str, str]:
        return {
            "kind": self.deed.kind,
            "id": self.deed.resource,
            "drift": self.how,
            "evidence": self.evidence,
        }


class Walk:
    """Leads one session through `steps` in `world`.

    Methods that reach the world block: call them in a thread of their own, one at a time (a lock
    holds a second one back). `emit` is called in that thread. All may raise Problem or Stopped;
    what is done by then stays done and recorded.
    """

    def __init__(
        self,
        store: Store,
        world: World,
        steps: Sequence[Step],
        emit: Emit = lambda event: None,
        reveal: Callable[[str, str], None] = lambda name, secret: None,
    ) -> None:
        self._store = store
        self._world = world
        self.steps = tuple(steps)
        self.emit = emit
        self._reveal = reveal
        self._secrets: dict[str, str] = {}
        self._one = threading.RLock()

    @property
    def session(self) -> Session:
        return self._store.session

    @property
    def store(self) -> Store:
        return self._store

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if name == step.NAME)

    # ask

    def fields(self, step: Step) -> tuple[Field, ...]:
        """The asks that hold, and how each stands, as if every default were an answer."""
        return self._suppose(step)[0]

    def _suppose(self, step: Step) -> tuple[tuple[Field, ...], Session]:
        """The fields of a step, and the session in which its defaults are answers."""
        session = self.session
        found = []
        for ask in step.ASKS:
            if not ask.when(session):
                continue
            given = ask.name in session.answers or ask.name in self._secrets
            value = session.answers.get(ask.name) if ask.kind != "secret" else ""
            value = value or (ask.default(session) or "")
            found.append(Field(ask, value, given))
            if value and not given:
                answers = {**session.answers, ask.name: value}
                session = msgspec.structs.replace(session, answers=answers)
        return tuple(found), session

    def choices(self, ask: Ask, stop: Stop) -> Sequence[Choice]:
        """What a picker for `ask` offers; may read the world."""
        if ask.choices is None:
            return ()
        step = next(step for step in self.steps if ask in step.ASKS)
        return ask.choices(replace(self._here(stop), session=self._suppose(step)[1]))

    def answer(self, name: str, value: str | None) -> None:
        """Keep an answer (None takes it back). A secret is kept in memory only.

        Raises Problem `core.unknown-answer`, or what the ask's check says.
        """
        ask = self.ask(name)
        if ask is not None and ask.kind == "secret":
            if value is None:
                self._secrets.pop(name, None)
            else:
                self._secrets[name] = ask.check(value, self.session)
            return
        if value is not None and ask is not None:
            value = ask.check(value, self.session)
        if self.session.answers.get(name) != value:
            self._record(Answered(time=self._time(), name=name, value=value))

    def together(self) -> AbstractContextManager[None]:
        """Keep the answers that are given during the block all at once, or none of them."""
        return self._store.together()

    def ask(self, name: str) -> Ask | None:
        """The ask with this name; None for the free ones (`hosts.<name>.…`).

        Raises Problem `core.unknown-answer`.
        """
        known = {ask.name: ask for step in self.steps for ask in step.ASKS}
        if name in known:
            return known[name]
        if name.startswith("hosts.") and name.count(".") >= 2:
            return None
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1, cutoff=0) or ["-"]
        raise Problem("core.unknown-answer", name=name, near=near[0], exit=Exit.USAGE)

    def settle(self, step: Step, stop: Stop) -> None:
        """Turn defaults into answers, so that the plan is a function of the session alone.

        Raises Problem `core.answer-missing` (exit 3) naming what only a person can say.
        """
        missing = self.unsettled(step, stop)
        if missing:
            raise Problem(
                "core.answer-missing",
                names=", ".join(missing),
                first=missing[0],
                exit=Exit.ANSWER_MISSING,
            )

    def unsettled(self, step: Step, stop: Stop) -> list[str]:
        """Settle what can be; the names of the asks that have no answer and no default."""
        missing = []
        with self._store.together():
            for ask in step.ASKS:
                session = self.session
                if ask.kind == "secret" or not ask.when(session):
                    continue
                value = session.answers.get(ask.name)
                if value is None:
                    value = ask.default(session)
                if value is None and ask.choices is not None:
                    offered = self.choices(ask, stop)
                    if len(offered) == 1:
                        value = offered[0].value
                if value is None:
                    if ask.required:
                        missing.append(ask.name)
                    continue
                self.answer(ask.name, value)
        return missing

    # preview

    def look(self, step: Step, stop: Stop) -> None:
        """Let the step read the world about its answers."""
        with self._phase(step, "look", stop) as here:
            facts = dict(step.look(here))
            if self.session.seen.get(step.NAME) != facts:
                self._record(Looked(time=self._time(), step=step.NAME, facts=facts))

    def preview(self, step: Step, stop: Stop) -> Preview:
        """What `act` would do now. Reads the world, changes nothing."""
        with self._phase(step, "preview", stop) as here:
            return Preview(step.NAME, tuple(self._lines(step, here)))

    def _lines(self, step: Step, here: Here) -> Iterator[Line]:
        removals = self.superseded(step)
        for deed in removals:
            if deed.made:
                yield Line("-", self._revive(deed), deed.resource, deed)
        going = {deed.id for deed in removals}
        for action in step.plan(self.session):
            here.stop.check()
            if action.id in going:
                yield Line("+", action)
                continue
            known = self.session.deed(action.id)
            if known is not None and known.state == "done":
                yield Line("✓", action, known.resource, known)
            elif found := action.find(here):
                yield Line("=", action, found.resource, known)
            else:
                yield Line("+", action, deed=known)

    def superseded(self, step: Step) -> tuple[Deed, ...]:
        """What acting on `step` takes away first, newest first.

        That is its deeds that no longer fit the answers, and every later deed, of whatever step,
        that was made with one of those: whose parameters name the resource.
        """
        session = self.session
        if step.NAME not in session.seen:
            return ()
        wished = {action.id: _params(action) for action in step.plan(session)}
        going: list[Deed] = []
        for deed in session.deeds:
            unwished = deed.step == step.NAME and wished.get(deed.id) != deed.params
            named = set(_texts(deed.params))
            if unwished or any(gone.resource in named for gone in going if gone.resource):
                going.append(deed)
        return tuple(reversed(going))

    # act

    def act(self, step: Step, stop: Stop) -> None:
        """Do what the preview shows, in order, each action at most once.

        What is to be done is worked out anew, and each action looks again right before it acts:
        the world may have moved on since the preview.
        """
        with self._phase(step, "act", stop) as here:
            for deed in self.superseded(step):
                stop.check()
                self._undo(deed, here)
            for action in step.plan(self.session):
                stop.check()
                known = self.session.deed(action.id)
                if known is None or known.state != "done":
                    self._do(step, action, stop)

    def _do(self, step: Step, action: Action, stop: Stop) -> None:
        here = self._here(stop, step.NAME, action.id)
        started = {"title": action.title(), "equivalent": list(action.equivalent())}
        self._tell("started", step, action, data=started)
        try:
            status, result = self._find_or_apply(action, here)
        except Problem as problem:
            self._record(Failed(time=self._time(), id=action.id, code=problem.code))
            self._tell("problem", step, action, status="failed", problem=problem)
            raise
        self._tell(
            "done",
            step,
            action,
            status=status,
            data={"kind": action.KIND, "resource": result.resource},
        )

    def _find_or_apply(self, action: Action, here: Here) -> tuple[str, steps_.Result]:
        begun = self.session.deed(action.id)
        deed = begun or Deed(
            id=action.id,
            step=action.STEP,
            action=type(action).__name__,
            params=_params(action),
            kind=action.KIND,
            token=str(uuid.uuid4()),
        )
        found = action.find(here)
        if found is not None and not _made_by_us(found, begun):
            adopted = msgspec.structs.replace(
                deed,
                state="done",
                made=False,
                token="",
                resource=found.resource,
                facts=dict(found.facts),
            )
            self._record(Adopted(time=self._time(), deed=adopted))
            return "adopted", found
        if found is not None and begun is None:
            self._record(Begun(time=self._time(), deed=deed))
        if found is None:
            if begun is None:
                before = dict(action.before(here))
                deed = msgspec.structs.replace(deed, before=before)
                self._record(Begun(time=self._time(), deed=deed))
            found = action.apply(replace(here, session=self.session), deed.token)
        self._record(
            Done(time=self._time(), id=action.id, resource=found.resource, facts=dict(found.facts))
        )
        return "made", found

    # prove

    def prove(self, step: Step, stop: Stop, course: Course | None = None) -> steps_.Proof:
        """Check the live world, and record how it ended. `course` bounds a proof by requests."""
        with self._phase(step, "prove", stop) as here:
            proof = step.prove(replace(here, course=course or Course()))
            for check in proof.checks:
                self._tell(
                    "check",
                    step,
                    status="pass" if check.passed else "fail",
                    data={"title": check.title(), "evidence": check.evidence},
                )
            self._record(
                Proof(
                    time=self._time(),
                    step=step.NAME,
                    passed=proof.passed,
                    result=dict(proof.result),
                )
            )
            return proof

    def watch(self, step: Step, stop: Stop, course: Course | None = None) -> steps_.Proof:
        """Let a proof go on, by snapshots, until `stop` is set or `course` is over.

        Returns how all of it went. That is not recorded: what was proved stands as it was proved.
        """
        if step.LIVE is None:
            return steps_.Proof(())
        with self._phase(step, "watch", stop) as here:
            return step.LIVE(replace(here, course=course or Course()))

    def accept(self, step: Step) -> None:
        """Go on although the proof did not pass; recorded, because the person chose it."""
        self._record(Proof(time=self._time(), step=step.NAME, passed=False, accepted=True))

    # where it stands

    def state(self, step: Step) -> State:
        """How the step stands, from the session alone."""
        return self.states()[step.NAME]

    def states(self) -> Mapping[str, State]:
        """How every step stands, by its name.

        A proof holds only as long as what came before it stands as it stood then.
        """
        session = self.session
        found: dict[str, State] = {}
        last_change = 0
        settled = True
        for step in self.steps:
            ours = [deed.revision for deed in session.deeds if deed.step == step.NAME]
            last_change = max([last_change, *ours])
            proved = session.proofs.get(step.NAME)
            state: State = "begun" if ours else "pending"
            if self.superseded(step):
                state = "outdated"
            elif proved is not None and settled and proved.revision > last_change:
                unpassed: State = "attention" if proved.accepted else "failed"
                state = "done" if proved.passed else unpassed
            settled = settled and state in SETTLED
            found[step.NAME] = state
        return found

    def stands_at(self) -> Step:
        """The first step that is not done, else the last one."""
        states = self.states()
        for step in self.steps:
            if states[step.NAME] not in SETTLED:
                return step
        return self.steps[-1]

    def drift(self, stop: Stop) -> tuple[Drift, ...]:
        """Compare what was done with what is there now. Changes nothing."""
        found: list[Drift] = []
        for deed in self.session.deeds:
            if deed.state != "done":
                continue
            here = self._here(stop, deed.step, deed.id)
            try:
                now = self._revive(deed).find(here)
            except Problem as problem:
                kind: Literal["changed", "unknown"] = (
                    "changed" if problem.code == "core.foreign" else "unknown"
                )
                found.append(Drift(deed, kind, problem.words().what))
                continue
            if now is None:
                found.append(Drift(deed, "gone"))
            elif now.resource != deed.resource:
                found.append(Drift(deed, "changed", now.resource))
        return tuple(found)

    def inspect(self, stop: Stop) -> tuple[Drift, ...]:
        """Look at the world again before going on: what is gone must be done again."""
        with self._one:
            found = self.drift(stop)
            for drift in found:
                if drift.how != "unknown":
                    self._record(Undone(time=self._time(), id=drift.deed.id, why="gone"))
            return found

    # undo

    def deeds(self) -> tuple[tuple[Deed, Action], ...]:
        """What was done, oldest first, each with the action that did it."""
        return tuple((deed, self._revive(deed)) for deed in self.session.deeds)

    def removals(self, step: Step | None = None) -> tuple[Line, ...]:
        """What `undo` would remove, newest first: of one step, or of the whole session."""
        return tuple(
            Line("-", self._revive(deed), deed.resource, deed)
            for deed in reversed(self.session.deeds)
            if deed.made and (step is None or deed.step == step.NAME)
        )

    def undo(self, stop: Stop, step: Step | None = None) -> tuple[Problem, ...]:
        """Remove what this session made, newest first, and nothing else.

        One failure does not keep the rest from being removed; the failures are returned.
        """
        problems = []
        with self._one:
            for deed in reversed(self.session.deeds):
                if step is not None and deed.step != step.NAME:
                    continue
                stop.check()
                try:
                    self._undo(deed, self._here(stop, deed.step, deed.id))
                except Problem as problem:
                    problems.append(problem)
        return tuple(problems)

    def _undo(self, deed: Deed, here: Here) -> None:
        action = self._revive(deed)
        step = self.step(deed.step)
        if not deed.made:
            self._record(Undone(time=self._time(), id=deed.id, why="released"))
            return
        self._tell("started", step, action, status="removing", data={"title": action.title()})
        try:
            if deed.state == "begun":
                # It may or may not have happened: the world knows.
                found = _quietly_found(action, here)
                if found is not None and found.ours is False:
                    self._record(Undone(time=self._time(), id=deed.id, why="released"))
                    return
                if found is not None:
                    deed = msgspec.structs.replace(
                        deed, resource=found.resource, facts=dict(found.facts)
                    )
            action.undo(here, deed)
        except Problem as problem:
            self._tell("problem", step, action, status="failed", problem=problem)
            raise
        self._record(Undone(time=self._time(), id=deed.id, why="removed"))
        self._tell(
            "done",
            step,
            action,
            status="removed",
            data={"kind": deed.kind, "resource": deed.resource},
        )

    # inside

    def _revive(self, deed: Deed) -> Action:
        for action in self.step(deed.step).ACTIONS:
            if action.__name__ == deed.action:
                return msgspec.convert(deed.params, action)
        raise Problem("session.newer", path=self._store.folder.snapshot)

    def _here(self, stop: Stop, step: str = "", action: str = "") -> Here:
        def output(line: str) -> None:
            self.emit(Event("output", step=step, action=action, data={"line": line}))

        def snapshot(shown: Shown) -> None:
            self.emit(Event("snapshot", step=step, snapshot=shown))

        def change(shown: Shown) -> None:
            self.emit(Event("change", step=step, snapshot=shown))

        folder = self._store.folder
        return Here(
            self._world,
            self.session,
            stop,
            folder.pki,
            folder.reports,
            output,
            snapshot,
            change,
            reveal=self._reveal,
            secrets=dict(self._secrets),
        )

    @contextmanager
    def _phase(self, step: Step, phase: str, stop: Stop) -> Iterator[Here]:
        with self._one:
            stop.check()
            self.emit(Event("phase", step=step.NAME, phase=phase))
            yield self._here(stop, step.NAME)

    def _tell(
        self,
        event: Literal["started", "done", "check", "problem"],
        step: Step,
        action: Action | None = None,
        *,
        status: str = "",
        problem: Problem | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.emit(
            Event(
                event,
                step=step.NAME,
                action=action.id if action else "",
                status=status,
                problem=problem,
                data=data or {},
            )
        )

    def _record(self, entry: AnyEntry) -> None:
        self._store.record(entry)

    def _time(self) -> str:
        return rfc3339(self._world.now())


def _made_by_us(found: steps_.Result, begun: Deed | None) -> bool:
    """Its mark decides; without one, that this session had begun to make it.

    What was begun and refused may since have been made by somebody else.
    """
    return begun is not None if found.ours is None else found.ours


def _params(action: Action) -> dict[str, Any]:
    """The action's fields as the journal gives them back: JSON knows no tuples."""
    params: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(action))
    return params


def _quietly_found(action: Action, here: Here) -> steps_.Result | None:
    try:
        return action.find(here)
    except Problem:
        return None


def _texts(value: object) -> Iterator[str]:
    """Every text in an action's parameters, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
