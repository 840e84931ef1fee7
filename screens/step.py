"""The one screen for every step: explain, ask, preview, act, prove. It knows no step by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.signal import Signal
from textual.widgets import Static

from screens.about import about
from screens.clipboard import Copy
from screens.frame import Frame
from screens.guard import Guard
from screens.messages import Finish, LeaveSession
from screens.news import Ended, Errand, News
from screens.phases.ask import AskForm, Prepared, prepare
from screens.spell import ago, moment, span
from screens.widgets.checks import Checks
from screens.widgets.field import FieldRow
from screens.widgets.keys import Key
from screens.widgets.outcome import Outcome
from screens.widgets.press import Offer, Press, Presses
from screens.widgets.rail import Rail, Station, folded, signs
from screens.widgets.worklist import WorkList
from services.events import Event
from services.problem import Problem
from services.steps.course import GENTLE, Course, Pace
from services.text import knows, say

if TYPE_CHECKING:
    from services.steps.step import Proof, Step
    from services.walk import Line, Preview, Walk

Phase = Literal["explain", "ask", "preview", "act", "undo", "prove"]

SHOW_AFTER_S = 0.3
"""A wait shorter than this needs no word."""
SINCE_AFTER_S = 2
"""A wait longer than this says since when."""
STOP_AFTER_S = 10
"""A wait longer than this offers to stop."""


class StepScreen(Frame[None]):
    """One step at a time, one phase at a time; what is done and proved is in the Session."""

    DEFAULT_CSS = """
    StepScreen {
        & #columns { height: 1fr; }
        &.-narrow Rail { display: none; }
        & #main { height: 1fr; padding: 0 1; }
        & #title-row { height: 1; margin-bottom: 1; }
        & #title { width: auto; text-style: bold; }
        & #signs { width: auto; margin-left: 2; display: none; }
        & #standing { width: 1fr; text-align: right; color: $text-muted; }
        & #count { height: auto; margin-bottom: 1; }
        & #count.-empty { display: none; }
        & #stage { height: 1fr; }
        & Presses { margin-top: 1; }
        & .text { height: auto; width: 1fr; }
        &.-narrow #signs { display: block; }
    }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "primary", show=False, id="primary"),
        Binding("c", "copy", show=False, id="copy"),
        Binding("g", "go_to", show=False, id="go-to"),
    ]
    HELP_KEY = "step"

    def __init__(
        self,
        walk: Walk,
        news: Signal[News],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.walk = walk
        self._signal = news
        self._now = now
        self._clock = clock
        self._guard = Guard(clock)
        self._step: Step = walk.stands_at()
        self._phase: Phase = "explain"
        self._errand: Errand | None = None
        self._since = 0.0
        self._preview: Preview | None = None
        self._problem: Problem | None = None
        self._stopped = False
        self._proof: Proof | None = None
        self._pace = Pace(GENTLE)
        self._undoing: Step | None = None
        self._drafts: dict[str, str] = {}

    # the frame

    def body(self) -> ComposeResult:
        with Horizontal(id="columns"):
            yield Rail()
            with Vertical(id="main"):
                with Horizontal(id="title-row"):
                    yield Static(id="title", markup=False)
                    yield Static(id="signs", markup=False)
                    yield Static(id="standing", markup=False)
                yield Static(id="count", markup=False, classes="-empty")
                yield Vertical(id="stage")
                yield Outcome()
                yield Presses()

    async def on_mount(self) -> None:
        self._signal.subscribe(self, self.hear)
        self.set_interval(1, self._tick)
        await self._go(self._step, self._opening_phase())

    async def on_screen_resume(self) -> None:
        if self.is_mounted and self.query(Presses):
            self._show_standing()

    def on_resize(self) -> None:
        if self.query(Rail):
            self.call_after_refresh(self._show_rail)

    def _opening_phase(self) -> Phase:
        """A session that comes back opens where it stopped, as far as the session tells."""
        session = self.walk.session
        if self._step.NAME in session.proofs or self.walk.state(self._step) == "begun":
            return "ask"
        asked = {ask.name for ask in self._step.ASKS}
        return "ask" if asked & set(session.answers) and session.deeds else "explain"

    @property
    def step(self) -> Step:
        """The step on the screen."""
        return self._step

    @property
    def phase(self) -> Phase:
        """The phase on the screen."""
        return self._phase

    @property
    def busy(self) -> bool:
        """Whether the walk's thread works for this screen."""
        return self._errand is not None

    @property
    def ready(self) -> bool:
        """Whether a key pressed now counts; see `Guard`."""
        return self._guard.quiet

    # moving between phases

    async def _go(self, step: Step, phase: Phase) -> None:
        """Show a phase of a step. Nothing is done by going anywhere."""
        if step is not self._step or phase in ("explain", "ask"):
            self._preview = None
            self._proof = None
        self._step, self._phase = step, phase
        self._problem, self._stopped = None, False
        self._guard.open()
        stage = self.query_one("#stage", Vertical)
        with self.app.batch_update():
            await stage.remove_children()
            await stage.mount(*self._stage())
            await self._show_all()
        self._focus_primary()
        self.show_keys()

    def _stage(self) -> Sequence[Static | AskForm | WorkList | Checks]:
        match self._phase:
            case "explain":
                text = say(f"{self._step.NAME}.explain").strip()
                return [Static(text, classes="text", markup=False)]
            case "ask":
                return [AskForm(self.walk, self._step, self._drafts)]
            case "preview" | "act" if self._preview is not None:
                return [WorkList(self._preview.lines, self._clock)]
            case "undo":
                return [WorkList(self.walk.removals(self._undoing), self._clock)]
            case "prove" if self._proof is not None:
                return [Checks(self._proof)]
            case _:
                return [Static(say("screens.prove.looking"), classes="text", markup=False)]

    async def _show_all(self) -> None:
        """Bring everything around the stage up to date with the state."""
        self._show_head()
        self._show_rail()
        self._show_count()
        self._show_standing()
        self.query_one(Outcome).show(self._problem or self._words())
        await self.query_one(Presses).offer(self._offers())
        self.show_keys()

    async def _rest(self) -> None:
        """Nothing is under way any more: what leads on has the focus."""
        await self._show_all()
        self._focus_primary()

    def _focus_primary(self) -> None:
        if (primary := self.query_one(Presses).primary) is not None:
            self.set_focus(primary)

    def _show_head(self) -> None:
        session = self.walk.session
        self.show_head(f"nlb-mtls · {about(session)}", lab=session.place == "lab")

    def _stations(self) -> Sequence[Station]:
        states = self.walk.states()
        return [
            Station(number, say(f"{s.NAME}.title"), states[s.NAME], here=s is self._step)
            for number, s in enumerate(self.walk.steps)
        ]

    def _show_rail(self) -> None:
        stations = self._stations()
        self.query_one(Rail).show(stations)
        here = next(station for station in stations if station.here)
        title = folded(stations) if self.has_class("-narrow") else f"{here.number} {here.title}"
        phase = say(f"screens.phase.{self._phase}")
        self.query_one("#title", Static).update(f"{title} · {phase}")
        self.query_one("#signs", Static).update(signs(stations))

    def _show_count(self) -> None:
        line = self.query_one("#count", Static)
        shown = self._phase in ("preview", "act") and self._preview is not None
        line.set_class(not shown, "-empty")
        if shown and self._preview is not None:
            count = self._preview.count
            line.update(
                say(
                    "screens.preview.count",
                    make=count("+"),
                    adopt=count("="),
                    remove=count("-"),
                    there=count("✓"),
                )
            )

    def _show_standing(self) -> None:
        """On the right of the title: what is going on, or that nothing was done yet."""
        self.query_one("#standing", Static).update(self._standing(), layout=False)

    def _standing(self) -> str:
        if self._errand is not None:
            waited = self._clock() - self._since
            if waited < SHOW_AFTER_S:
                return ""
            doing = say(f"screens.doing.{self._errand.kind}")
            return f"{doing} {span(waited)}" if waited > SINCE_AFTER_S else doing
        match self._phase:
            case "explain" | "ask" | "preview":
                acted = any(deed.step == self._step.NAME for deed in self.walk.session.deeds)
                return "" if acted else say("screens.nothing-done")
            case "prove":
                proved = self.walk.session.proofs.get(self._step.NAME)
                if proved is None or self._proof is None:
                    return ""
                return ago(moment(proved.time), self._now())
            case _:
                return ""

    def _words(self) -> str | None:
        """The one line for the outcome, where there is one."""
        match self._phase:
            case "act" | "undo" if self._stopped:
                return say("screens.act.stopped")
            case "act" if not self.busy:
                return say("screens.act.done")
            case "undo" if not self.busy:
                return say("screens.undo.done")
            case "preview" if self._preview is not None and not _to_do(self._preview):
                return say("screens.preview.nothing")
            case "prove" if self._stopped:
                return say("screens.prove.stopped")
            case "prove" if self._proof is not None:
                return _judged(self._proof)
            case _:
                return None

    # what can be done here

    def _offers(self) -> Sequence[Offer]:
        back = Offer("back", say("screens.press.back"))
        stop = Offer("stop", say("screens.press.stop"))
        if self.busy:
            long = self._clock() - self._since > STOP_AFTER_S
            working = Offer("working", say("screens.press.working"), primary=True, disabled=True)
            return [stop, working] if long else [working]
        match self._phase:
            case "explain":
                more = [Offer("more", say("screens.press.more"))] if self._has_more() else []
                return [back, *more, Offer("go", say("screens.press.continue"), primary=True)]
            case "ask":
                return [back, Offer("go", say("screens.press.preview"), primary=True)]
            case "preview" if self._preview is not None:
                copy = Offer("copy", say("screens.press.copy"))
                return [back, copy, Offer("go", _verb(self._preview), primary=True)]
            case "act" | "undo":
                return self._offers_after_work()
            case "prove":
                return self._offers_after_proof(back)
            case _:
                return [back]

    def _offers_after_work(self) -> Sequence[Offer]:
        change = Offer("change", say("screens.press.change"))
        if self._problem is None and not self._stopped:
            primary = "screens.press.prove" if self._phase == "act" else "screens.press.continue"
            return [change, Offer("go", say(primary), primary=True)]
        undo = Offer("undo", say("screens.press.undo"), danger=True)
        return [
            change,
            *([undo] if self._phase == "act" and self.walk.removals(self._step) else []),
            Offer("leave", say("screens.press.leave")),
            Offer("go", say("screens.press.retry"), primary=True),
        ]

    def _offers_after_proof(self, back: Offer) -> Sequence[Offer]:
        again = Offer("again", say("screens.press.look-again"))
        if self._proof is not None and self._proof.passed:
            return [back, again, Offer("go", self._onward(), primary=True)]
        change = Offer("change", say("screens.press.change"))
        anyway = Offer("anyway", say("screens.press.anyway"))
        primary = Offer("go", say("screens.press.look-again"), primary=True)
        judged = self._proof is not None
        return [back, change, *([anyway] if judged else []), primary]

    def _onward(self) -> str:
        after = self._next_step()
        if after is None:
            return say("screens.press.finish")
        number = self.walk.steps.index(after)
        return say("screens.press.next", number=number, title=say(f"{after.NAME}.title"))

    def _has_more(self) -> bool:
        return knows(f"{self._step.NAME}.more")

    def _next_step(self) -> Step | None:
        at = self.walk.steps.index(self._step)
        return self.walk.steps[at + 1] if at + 1 < len(self.walk.steps) else None

    def keys(self) -> Sequence[Key]:
        primary = self.query_one(Presses).primary if self.is_mounted else None
        keys = []
        if primary is not None:
            keys.append(Key("Enter", primary.offer.words, "primary", not primary.disabled))
        if self._phase == "ask":
            keys.append(Key("Tab", say("screens.key.next-field"), "app.focus_next"))
        elif self._phase in ("preview", "act") and self._preview is not None:
            keys.append(Key("c", say("screens.key.copy"), "copy"))
        keys.append(Key("Esc", say("screens.key.back"), "back"))
        if self._phase != "ask":
            keys.append(Key("l", say("screens.key.log"), "app.log"))
        return (*keys, *self.common_keys())

    @on(Press.Pressed)
    async def _pressed(self, message: Press.Pressed) -> None:
        match message.key:
            case "go":
                await self.action_primary()
            case "back":
                await self.action_back()
            case "copy":
                self.action_copy()
            case "stop" if self._errand is not None:
                self._errand.interrupt.set()
            case "change":
                await self._go(self._step, "ask" if self._has_fields() else "explain")
            case "again":
                await self._prove()
            case "anyway":
                self._accept()
            case "undo":
                self._ask_to_undo(self._step)
            case "leave":
                self.post_message(LeaveSession())
            case "more":
                from screens.reading import Reading

                title = say(f"{self._step.NAME}.title")
                self.app.push_screen(Reading(title, say(f"{self._step.NAME}.more").strip()))

    @on(FieldRow.Submitted)
    async def _submitted(self) -> None:
        await self.action_primary()

    async def action_primary(self) -> None:
        """Enter: the one thing that leads on from here."""
        if self.busy:
            return
        match self._phase:
            case "explain" if self._has_fields():
                await self._go(self._step, "ask")
            case "explain":
                await self._prepare({})
            case "ask":
                form = self.query_one(AskForm)
                if (wrong := form.first_wrong()) is not None:
                    wrong.focus_field()
                else:
                    await self._prepare(form.typed())
            case "preview" if self._preview is not None and self._guard.passed():
                await self._act_or_confirm(self._preview)
            case "act" if self._problem is not None or self._stopped:
                await self._act()
            case "act":
                await self._prove()
            case "undo" if self._problem is not None or self._stopped:
                await self._undo(self._undoing)
            case "undo":
                await self._go(self._undoing or self.walk.stands_at(), "explain")
            case "prove" if self._proof is not None and self._proof.passed:
                await self._lead_on()
            case "prove":
                await self._prove()

    async def action_back(self) -> None:
        """Esc: the phase before, the step before, the welcome screen. Never held up by anything."""
        if self.busy:
            if self._phase in ("act", "undo"):
                self.notify(say("screens.act.stop-first"), markup=False)
                return
            self._abandon()
        at = self.walk.steps.index(self._step)
        match self._phase:
            case "explain" if at == 0:
                self.post_message(LeaveSession())
            case "explain":
                before = self.walk.steps[at - 1]
                await self._go(before, "ask" if before.ASKS else "explain")
            case "ask":
                await self._go(self._step, "explain")
            case _:
                await self._go(self._step, "ask" if self._has_fields() else "explain")

    def _has_fields(self) -> bool:
        return bool(self.walk.fields(self._step))

    async def _lead_on(self) -> None:
        after = self._next_step()
        if after is None:
            self.post_message(Finish())
        else:
            await self._go(after, "explain")

    # work for the walk's thread

    async def _send(self, kind: str, work: Callable[..., object]) -> None:
        self._errand = Errand(kind, work)
        self._since = self._clock()
        self._problem, self._stopped = None, False
        self.post_message(self._errand)
        self.set_timer(SHOW_AFTER_S, self._show_standing)
        await self._show_all()

    def _abandon(self) -> None:
        """Stop what is under way and wait for it no longer."""
        if self._errand is not None:
            self._errand.interrupt.set()
        self._errand = None

    async def _prepare(self, typed: dict[str, str | None]) -> None:
        await self._send("prepare", partial(prepare, self._step, typed))

    async def _act_or_confirm(self, preview: Preview) -> None:
        if not _to_do(preview):
            await self._prove()
            return
        removals = [line for line in preview.lines if line.sign == "-"]
        if not removals:
            await self._act()
            return
        from screens.confirm import Confirm

        self.app.push_screen(
            Confirm(
                say("screens.confirm.replace", count=len(removals)),
                _named(removals),
                say("screens.confirm.replace-verb", count=len(removals)),
                say("screens.confirm.keep"),
                clock=self._clock,
            ),
            self._confirmed_act,
        )

    async def _confirmed_act(self, agreed: bool | None) -> None:
        if agreed:
            await self._act()

    async def _act(self) -> None:
        if self._phase == "preview":
            self._phase = "act"
        self.query_one(WorkList).begin()
        step = self._step
        await self._send("act", lambda walk, stop: walk.act(step, stop))

    async def _prove(self) -> None:
        self._proof = None
        if self._phase != "prove":
            await self._go(self._step, "prove")
        step = self._step
        await self._send("prove", lambda walk, stop: walk.prove(step, stop))
        if step.LIVE is not None:
            from screens.live import LiveScreen

            live = LiveScreen(
                say(f"{step.NAME}.title"),
                self._signal,
                lab=self.walk.session.place == "lab",
                again=self._prove_again,
                pace=self._pace,
            )
            self.app.push_screen(live, self._live_closed)

    def _prove_again(self) -> None:
        """The live screen starts anew: what runs is stopped, the proof is made once more."""
        self._abandon()
        step = self._step
        self._errand = Errand("prove", lambda walk, stop: walk.prove(step, stop))
        self._since = self._clock()
        self.post_message(self._errand)

    async def _live_closed(self, _: object) -> None:
        self._abandon()
        await self._rest()

    def _accept(self) -> None:
        from screens.confirm import Confirm

        failing = [c.title() for c in self._proof.checks if not c.passed] if self._proof else []
        self.app.push_screen(
            Confirm(
                say("screens.confirm.anyway"),
                failing,
                say("screens.confirm.anyway-verb"),
                say("screens.confirm.stay"),
                clock=self._clock,
            ),
            self._confirmed_accept,
        )

    async def _confirmed_accept(self, agreed: bool | None) -> None:
        if agreed:
            step = self._step
            await self._send("accept", lambda walk, stop: walk.accept(step))

    def ask_to_clean_up(self) -> None:
        """Remove everything that this session made, once its name was typed."""
        self._ask_to_undo(None)

    def _ask_to_undo(self, step: Step | None) -> None:
        from screens.confirm import Confirm

        removals = self.walk.removals(step)
        if not removals:
            self.notify(say("screens.undo.nothing"), markup=False)
            return
        self.app.push_screen(
            Confirm(
                say("screens.confirm.remove", count=len(removals)),
                _named(removals),
                say("screens.confirm.remove-verb", count=len(removals)),
                say("screens.confirm.keep"),
                word=self.walk.session.id if step is None else "",
                clock=self._clock,
            ),
            partial(self._confirmed_undo, step),
        )

    async def _confirmed_undo(self, step: Step | None, agreed: bool | None) -> None:
        if agreed:
            await self._undo(step)

    async def _undo(self, step: Step | None) -> None:
        self._undoing = step
        await self._go(self._step, "undo")
        self.query_one(WorkList).begin()
        await self._send("undo", lambda walk, stop: walk.undo(stop, step))

    # news from the walk's thread

    async def hear(self, news: News) -> None:
        """Draw what happened. The Session is the truth; this only says that it is worth a look."""
        if isinstance(news, Event):
            if self._phase in ("act", "undo") and news.action:
                for work in self.query(WorkList):
                    work.hear(news)
            return
        if news.errand.kind == "answer":
            for form in self.query(AskForm):
                await form.hear(news)
            self._show_head()
            self._show_rail()
            return
        if news.errand is self._errand:
            self._errand = None
            await self._ended(news)

    async def _ended(self, ended: Ended) -> None:
        self._problem, self._stopped = ended.problem, ended.stopped
        match ended.errand.kind:
            case "prepare":
                await self._prepared(ended)
                return
            case "act" | "undo":
                for work in self.query(WorkList):
                    work.stopped()
                if ended.result and ended.errand.kind == "undo":
                    self._problem = ended.result[0]
            case "prove" if ended.result is not None:
                self._proof = ended.result
                await self._go(self._step, "prove")
                await self._watch()
                return
            case "accept" if ended.problem is None:
                await self._lead_on()
                return
        await self._rest()

    async def _prepared(self, ended: Ended) -> None:
        prepared: Prepared | None = ended.result
        if prepared is not None and prepared.preview is not None:
            self._preview = prepared.preview
            self._drafts.clear()
            await self._go(self._step, "preview")
            return
        await self._rest()
        for form in self.query(AskForm):
            if prepared is not None:
                form.complain(prepared)

    async def _watch(self) -> None:
        """A proof that goes on does so for as long as the live screen is open."""
        from screens.live import LiveScreen

        if self._step.LIVE is None or not isinstance(self.app.screen, LiveScreen):
            return
        step = self._step
        course = Course(pace=self._pace)
        await self._send("watch", lambda walk, stop: walk.watch(step, stop, course))

    async def _tick(self) -> None:
        if not self.busy or not self.query(Presses):
            return
        self._show_standing()
        for work in self.query(WorkList):
            work.tick()
        await self.query_one(Presses).offer(self._offers())

    # what else the keys do

    def action_copy(self) -> None:
        """Copy the commands that do what the selected line does."""
        for work in self.query(WorkList):
            if (line := work.selected) is not None and line.action.equivalent():
                self.post_message(Copy("\n".join(line.action.equivalent())))

    def action_go_to(self) -> None:
        """Choose a step to go to; those ahead of the first one that is not done are dim."""
        from screens.goto import GoTo

        reach = self.walk.steps.index(self.walk.stands_at())
        self.app.push_screen(GoTo(self._stations(), reach), self._gone_to)

    async def _gone_to(self, number: int | None) -> None:
        if number is None:
            return
        if self.busy:
            self.notify(say("screens.act.stop-first"), markup=False)
            return
        await self._go(self.walk.steps[number], "explain")


def _judged(proof: Proof) -> str:
    """How a proof ended; where it knows why it failed, the most probable cause first."""
    verdict = proof.result.get("verdict")
    if proof.passed:
        passed = say("screens.prove.passed")
        return f"{say('screens.prove.verdict', verdict=verdict)}. {passed}" if verdict else passed
    causes = [each for each in proof.result.get("diagnosis", ()) if each["severity"] == "error"]
    if not causes:
        return say("screens.prove.failed")
    said = say("screens.prove.verdict", verdict=verdict)
    return f"✗ {said}. {causes[0]['cause']}\n→ {causes[0]['remedy']}"


def _to_do(preview: Preview) -> int:
    return sum(line.sign != "✓" for line in preview.lines)


def _verb(preview: Preview) -> str:
    """The primary button of a preview, in verbs."""
    make, adopt, remove = (preview.count(sign) for sign in ("+", "=", "-"))
    if remove:
        return say("screens.press.replace", count=remove + make + adopt)
    if make:
        return say("screens.press.make", count=make)
    if adopt:
        return say("screens.press.adopt", count=adopt)
    return say("screens.press.prove")


def _named(lines: Sequence[Line]) -> Sequence[str]:
    """Each thing by its name and id."""
    return [
        f"{line.action.title()} {line.resource}" if line.resource else line.action.title()
        for line in lines
    ]
