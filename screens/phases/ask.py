"""The second phase: a step's questions. Answers are kept as they are typed, not on "next"."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.timer import Timer

from screens.news import Ended, Errand
from screens.widgets.field import FieldRow
from services.problem import Problem, Stopped
from services.stop import Stop
from services.text import say

if TYPE_CHECKING:
    from services.steps.step import Ask, Choice, Step
    from services.walk import Preview, Walk


PAUSE_S = 0.3
"""How long the typing rests before an answer goes to disk."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of the answers: Problems by ask, asks without an answer, or a preview."""

    problems: Mapping[str, Problem] = field(default_factory=dict)
    missing: Sequence[str] = ()
    preview: Preview | None = None


def prepare(step: Step, typed: Mapping[str, str | None], walk: Walk, stop: Stop) -> Prepared:
    """Keep what was typed, settle the rest, look at the world, and say what acting would do."""
    problems: dict[str, Problem] = {}
    for name, value in typed.items():
        try:
            walk.answer(name, value)
        except Problem as problem:
            problems[name] = problem
    if problems:
        return Prepared(problems=problems)
    if missing := walk.unsettled(step, stop):
        return Prepared(missing=missing)
    walk.look(step, stop)
    return Prepared(preview=walk.preview(step, stop))


class Offered(Message):
    """A picker's choices came in, or the Problem that kept them."""

    def __init__(self, ask: str, choices: Sequence[Choice], problem: Problem | None) -> None:
        super().__init__()
        self.ask = ask
        self.choices = choices
        self.problem = problem


class AskForm(VerticalScroll):
    """The fields that hold with the answers given so far."""

    DEFAULT_CSS = "AskForm { height: 1fr; }"
    can_focus = False

    def __init__(self, walk: Walk, step: Step, drafts: MutableMapping[str, str]) -> None:
        """`drafts` keeps what was typed but is no answer yet, for when the person comes back."""
        super().__init__()
        self._walk = walk
        self._step = step
        self._drafts = drafts
        self._resting: dict[str, Timer] = {}
        self._stop: Stop | None = None

    def compose(self) -> ComposeResult:
        for each in self._walk.fields(self._step):
            yield FieldRow(each, self._drafts.get(each.ask.name))

    def on_mount(self) -> None:
        self._load_offers()

    def on_unmount(self) -> None:
        if self._stop is not None:
            self._stop.set()

    @property
    def rows(self) -> Sequence[FieldRow]:
        return list(self.query(FieldRow))

    def row(self, name: str) -> FieldRow | None:
        """The row of the ask with this name, where it is asked."""
        return next((row for row in self.rows if row.name_of_ask == name), None)

    def typed(self) -> dict[str, str | None]:
        """What a person typed here and the walk has not kept yet; empty text takes it back."""
        for timer in self._resting.values():
            timer.stop()
        return {row.name_of_ask: row.text or None for row in self.rows if row.edited}

    def first_wrong(self) -> FieldRow | None:
        """The first field whose two secrets differ; nothing else can be told from here."""
        for row in self.rows:
            if row.secrets_differ:
                row.wrong(say("screens.ask.secrets-differ"))
                return row
        return None

    def complain(self, prepared: Prepared) -> None:
        """Show what is wrong or missing, and go there."""
        first: FieldRow | None = None
        for row in self.rows:
            name = row.name_of_ask
            if name in prepared.problems:
                row.wrong(prepared.problems[name])
            elif name in prepared.missing:
                row.wrong(say("screens.ask.missing"))
            else:
                continue
            first = first or row
        if first is not None:
            first.focus_field()
            first.scroll_visible(animate=False)

    # keeping answers

    @on(FieldRow.Changed)
    def _changed(self, message: FieldRow.Changed) -> None:
        name = message.row.name_of_ask
        self._drafts[name] = message.text
        if name in self._resting:
            self._resting[name].stop()
        self._resting[name] = self.set_timer(PAUSE_S, partial(self._keep, message.row))

    @on(FieldRow.Left)
    def _left(self, message: FieldRow.Left) -> None:
        row = message.row
        if row.secrets_differ:
            row.wrong(say("screens.ask.secrets-differ"))
        elif row.edited:
            self._keep(row)

    def _keep(self, row: FieldRow) -> None:
        if not row.is_attached or not row.edited or row.secrets_differ:
            return
        name, text = row.name_of_ask, row.text
        self.post_message(
            Errand("answer", lambda walk, stop: self._answer(walk, name, text), about=name)
        )

    @staticmethod
    def _answer(walk: Walk, name: str, text: str) -> str:
        walk.answer(name, text or None)
        return text

    async def hear(self, ended: Ended) -> None:
        """An answer was kept, or refused with a Problem."""
        row = self.row(ended.errand.about)
        if row is None:
            return
        if ended.problem is not None:
            if row.left or row.is_wrong:
                row.wrong(ended.problem)
            return
        if row.text == ended.result:
            row.edited = False
            self._drafts.pop(row.name_of_ask, None)
            row.wrong(None)
        await self._fit(row)

    async def _fit(self, changed: FieldRow) -> None:
        """Ask what has to be asked now: one answer can change the rest."""
        fields = {each.ask.name: each for each in self._walk.fields(self._step)}
        for row in self.rows:
            if row.name_of_ask in fields:
                row.stands(fields[row.name_of_ask])
            else:
                await row.remove()
        before: FieldRow | None = None
        for name, each in fields.items():
            there = self.row(name)
            if there is None:
                there = FieldRow(each, self._drafts.get(name))
                if before is None and self.rows:
                    await self.mount(there, before=0)
                else:
                    await self.mount(there, after=before)
            before = there
        # What a picker offers can depend on the questions before it, and only on those.
        rows = self.rows
        for row in rows[rows.index(changed) + 1 :] if changed in rows else rows:
            row.loaded = False
        self._load_offers()

    # pickers

    def _load_offers(self) -> None:
        """Fill the pickers that need it, in a thread; what was loading is stopped."""
        pickers = [row for row in self.rows if row.is_picker and not row.loaded]
        if not pickers:
            return
        if self._stop is not None:
            self._stop.set()
        self._stop = stop = Stop()
        for row in pickers:
            row.offers_awaited()
        asks = [row.field.ask for row in pickers]
        self.run_worker(
            partial(self._offers_in_thread, asks, stop),
            thread=True,
            group="pickers",
            exclusive=True,
        )

    def _offers_in_thread(self, asks: Sequence[Ask], stop: Stop) -> None:
        for ask in asks:
            try:
                stop.check()
                self.post_message(Offered(ask.name, self._walk.choices(ask, stop), None))
            except Problem as problem:
                self.post_message(Offered(ask.name, (), problem))
            except Stopped:
                return

    @on(Offered)
    def _offered(self, message: Offered) -> None:
        row = self.row(message.ask)
        if row is None or not row.is_mounted:
            return
        if message.problem is not None:
            row.offers_failed(message.problem)
        else:
            row.offers(message.choices)
