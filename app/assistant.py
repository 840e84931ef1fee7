"""The Textual application: global keys, the screen stack, and the one thread that walks.

Errands go down as messages, news come up by `post_message` and are spread by a Signal. Nothing
that costs time is imported before the first screen stands.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.message import Message
from textual.screen import Screen
from textual.signal import Signal
from textual.worker import WorkerFailed

from app.asking import Asked
from app.lane import Lane, Opened
from screens.clipboard import Copy
from screens.filters import Ascii, Bare, wants_ascii
from screens.messages import CleanUp, Finish, LeaveSession
from screens.news import Ended, Errand, Latest, News
from screens.welcome import Welcome
from screens.widgets.menu import Menu
from services.events import Event
from services.problem import Exit, Problem
from services.text import say

if TYPE_CHECKING:
    from pathlib import Path

    from app.start import Begin, Start
    from screens.commandlog import CommandLog
    from screens.opening import Opening
    from screens.step import StepScreen
    from services.cloud.equivalent import Product
    from services.hosts.port import HostKeyQuestion
    from services.redact import Redactor
    from services.session.model import Session
    from services.walk import Walk
    from services.world import Place

T = TypeVar("T")
Saved = Sequence["Session | tuple[str, Problem]"]

AGAIN_S = 2.0
"""A second ctrl+c counts for this long."""

LEAST = (60, 18)
"""Columns and rows below which the frame has no room for a field, its help and the buttons."""

QUIET = ("answer", "watch", "prove", "inspect")
"""Errands that change nothing in the world: one may quit in their midst without being asked."""

WARM = (
    "screens.step",
    "screens.live",
    "services.walk",
    "services.steps.all",
    "cryptography.x509",
    "paramiko",
)
"""What the first steps will need, imported while the person reads the first screen."""

WARM_PRODUCTS: Sequence[Product] = ("sts", "nlb", "cas", "ecs")
"""The vendor's SDKs that they will need, ECS, the costliest, last."""


class Heard(Message):
    """News from the walk's thread."""

    def __init__(self, news: News) -> None:
        super().__init__()
        self.news = news


class Delivery(Message):
    """A newest event lies ready: a snapshot, or the last line of some output."""

    def __init__(self, latest: Latest) -> None:
        super().__init__()
        self.latest = latest


class WalkOpened(Message):
    """The walk is open, or could not be opened."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self.opened = opened


class FoundOut(Message):
    """What lies in the home folder and in the environment."""

    def __init__(self, credentials: bool, saved: Saved) -> None:
        super().__init__()
        self.credentials = credentials
        self.saved = saved


class Question(Message):
    """The walk's thread waits for what the person says."""

    def __init__(self, asked: Asked[Any]) -> None:
        super().__init__()
        self.asked = asked


class Assistant(App[int]):
    """Welcome, the steps, the live screen, and what lies on top of them."""

    CSS = """
    * { scrollbar-size-vertical: 1; }
    ToastRack { dock: top; align: right top; margin: 2 0 0 0; }
    Toast { padding: 0 1; }
    SearchIcon { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", show=False, priority=True, id="quit"),
        Binding("f1", "help", show=False, id="help"),
        Binding("ctrl+z", "suspend_process", show=False, priority=True, id="suspend"),
    ]
    ENABLE_COMMAND_PALETTE = True
    CLOSE_TIMEOUT = 2.0

    def __init__(
        self,
        start: Callable[[], Start],
        begin: Begin,
        home: Path,
        redact: Redactor,
        *,
        program: str = "nlb-mtls",
        ascii: bool | None = None,
    ) -> None:
        """`start` composes what opens walks: called once, in a thread, after the first screen.
        `ascii`: only ASCII signs; by default where the locale or the terminal wants it."""
        super().__init__()
        self._start = cache(start)
        self._home = home
        self._begin: Begin = begin
        self._redact = redact
        self._program = program
        self._extra: list[LineFilter] = [Bare()] if self.no_color else []
        if wants_ascii() if ascii is None else ascii:
            self._extra.append(Ascii())
        if _is_light(os.environ.get("COLORFGBG", "")):
            self.theme = "textual-light"
        self.news: Signal[News] = Signal(self, "news")
        self._history: CommandLog | None = None
        self._lane: Lane | None = None
        self._walk: Walk | None = None
        self._resuming = False
        self._errand: Errand | None = None
        self._steps: StepScreen | None = None
        self._snapshots = Latest()
        self._output = Latest()
        self._asking = threading.Lock()
        self._interrupted = float("-inf")
        self._saved: Saved = ()
        self._closing_down = threading.Event()
        self._last: tuple[str, bool] | None = None
        self._crash: list[str] = []

    # start and end

    def get_default_screen(self) -> Screen[Any]:
        """The screen at the bottom of the stack: it is there from the first frame, and stays."""
        match self._begin:
            case "welcome":
                return Welcome()
            case "lab" | "cloud" as place:
                return self._new_opening(place)
            case _:
                return self._new_opening("resume")

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._extra]

    def on_mount(self) -> None:
        self.title = "nlb-mtls"
        self._listen_to_signals()
        self.call_after_refresh(self.call_after_refresh, self._first_screen_stands)

    def _first_screen_stands(self) -> None:
        """Time for what it could do without: a thread at work would hold up its drawing."""
        if not gc.isenabled():
            # What was imported stays: no later collection need look at it.
            gc.freeze()
            gc.enable()
        match self._begin:
            case "lab" | "cloud" as place:
                self._open_new(place)
            case ("resume", id):
                self._open_saved(id)
            case _:
                self._find_out()
        if not self.is_headless:
            threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def _warm_up(self) -> None:
        for module in WARM:
            if self._closing_down.is_set():
                return
            import_module(module)
        from services.cloud.sdk import load

        for product in WARM_PRODUCTS:
            if not self._closing_down.is_set():
                load(product)

    def _listen_to_signals(self) -> None:
        """End in order on every signal: Textual itself restores the terminal on SIGINT only."""
        if self.is_headless or sys.platform == "win32":
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._leave_program, 128 + number)

    def _leave_program(self, code: int) -> None:
        self._close_walk()
        self.exit(code, return_code=code)

    def _close_walk(self) -> None:
        self._closing_down.set()
        if self._walk is not None:
            session = self._walk.session
            self._last = session.id, any(deed.made for deed in session.deeds)
        if self._lane is not None:
            self._lane.close()

    def on_unmount(self) -> None:
        self._close_walk()

    @property
    def last_words(self) -> Sequence[str]:
        """What to print once the terminal is the shell's again."""
        if self._last is None:
            return self._crash
        session, made = self._last
        return [*self._crash, *_last_words(self._program, session, made=made)]

    def _fatal_error(self) -> None:
        """Textual's own page prints every local variable, keys included: ours is a file."""
        from app import crash_report

        error = self._exception
        if isinstance(error, WorkerFailed):
            error = error.error  # type: ignore[assignment]
        if error is not None:
            problem = crash_report.write(error, self._home / "reports", self._redact)
            words = problem.words()
            self._crash = [words.what, words.cause, words.remedy]
        self._close_walk()
        self._close_messages_no_wait()

    # the welcome screen

    def _find_out(self) -> None:
        self.run_worker(self._look_around, thread=True, exclusive=True, group="looking")

    def _look_around(self) -> None:
        start = self._start()
        self.post_message(FoundOut(start.has_credentials(), start.sessions()))

    @on(FoundOut)
    def _found_out(self, message: FoundOut) -> None:
        from screens.sessions import SessionsScreen

        self._saved = message.saved
        whole = [each for each in message.saved if not isinstance(each, tuple)]
        for screen in self.screen_stack:
            if isinstance(screen, Welcome) and screen.is_mounted:
                screen.offer(credentials=message.credentials, saved=len(whole))
            elif isinstance(screen, SessionsScreen):
                screen.show(message.saved)

    @on(Menu.Chosen)
    async def _chosen(self, message: Menu.Chosen) -> None:
        match message.key:
            case "lab" | "cloud" as place:
                await self._only(self._new_opening(place))
                self._open_new(place)
            case "resume":
                await self._only(self._new_opening("resume"))
                self._open_saved("")
            case "sessions":
                self.action_sessions()

    async def _only(self, screen: Screen[Any]) -> None:
        """Show `screen`, and nothing below it but the very first one."""
        while len(self.screen_stack) > 2:
            await self.pop_screen()
        if len(self.screen_stack) > 1:
            await self.switch_screen(screen)
        else:
            await self.push_screen(screen)
        self._check_size(self.size.width, self.size.height)

    # opening and closing a walk

    def _new_opening(self, what: str) -> Opening:
        from screens.opening import Opening

        words = say(f"screens.opening.{what}")
        return Opening(words, lab=what == "lab", give_up=self._give_up)

    def _opening(self) -> Opening | None:
        """The screen that waits for a walk, while there is one."""
        from screens.opening import Opening

        return next((each for each in self.screen_stack if isinstance(each, Opening)), None)

    def _give_up(self) -> None:
        self.post_message(LeaveSession())

    def _open_new(self, place: Place) -> None:
        self._resuming = False
        self._open(lambda: self._start().new(place, self._emit, self._reveal, self._ask_host_key))

    def _open_saved(self, id: str) -> None:
        self._resuming = True
        self._open(lambda: self._start().resume(id, self._emit, self._reveal, self._ask_host_key))

    def _open(self, how: Callable[[], AbstractContextManager[Walk]]) -> None:
        before = self._lane
        if before is not None:
            before.close()
        self._walk, self._errand, self._steps, self._history = None, None, None, None
        self._closing_down.clear()
        self._lane = lane = Lane(how, self._from_lane, before)
        # Exclusive only in name for a thread that goes on; the new lane waits for the old one.
        self.run_worker(lane.run, thread=True, exclusive=True, group="walk")

    def _from_lane(self, news: Opened | Ended) -> None:
        self.post_message(WalkOpened(news) if isinstance(news, Opened) else Heard(news))

    @on(WalkOpened)
    async def _opened(self, message: WalkOpened) -> None:
        opened = message.opened
        if opened.lane is not self._lane or opened.lane.closed:
            opened.lane.close()
            return
        if opened.problem is not None or opened.walk is None:
            if opened.problem is not None:
                await self._not_opened(opened.problem)
            return
        from screens.commandlog import CommandLog

        self._walk = opened.walk
        self._history = CommandLog()
        if self._resuming and opened.walk.session.deeds:
            if (opening := self._opening()) is not None:
                opening.now_doing(say("screens.opening.inspect"))
            before = opened.walk.session
            self._give(Errand("inspect", lambda walk, stop: (before, walk.inspect(stop))))
        else:
            await self._show_steps()

    async def _not_opened(self, problem: Problem) -> None:
        if (opening := self._opening()) is not None:
            await opening.failed(problem)
        else:
            self.notify(problem.words().what, severity="error", markup=False)

    async def _show_steps(self) -> None:
        from screens.step import StepScreen

        if self._walk is not None:
            self._steps = StepScreen(self._walk, self.news)
            await self._only(self._steps)

    @on(LeaveSession)
    async def _left(self) -> None:
        if self._walk is not None:
            self.notify(
                say("screens.saved", command=f"{self._program} resume {self._walk.session.id}"),
                markup=False,
            )
        self._close_walk()
        self._walk = None
        await self._only(Welcome())
        self._find_out()

    @on(Finish)
    def _finished(self) -> None:
        from screens.done import Done

        if self._walk is not None:
            self.push_screen(Done(self._walk, self._program))

    @on(CleanUp)
    def action_clean_up(self) -> None:
        """Ask, and then remove everything that this session made."""
        if self._steps is not None:
            self._steps.ask_to_clean_up()

    # the walk's thread

    @on(Errand)
    def _give(self, errand: Errand) -> None:
        if self._lane is None:
            return
        if errand.kind not in QUIET:
            self._errand = errand
        self._lane.give(errand)

    def _halt(self) -> None:
        """Stop what the walk's thread is doing."""
        if self._lane is not None:
            self._lane.stop.set()

    def _emit(self, event: Event) -> None:
        """Called in the walk's thread, and in threads that it waits for."""
        if event.event in ("snapshot", "output"):
            latest = self._snapshots if event.event == "snapshot" else self._output
            if latest.put(event):
                self.post_message(Delivery(latest))
            return
        self.post_message(Heard(event))

    @on(Delivery)
    def _deliver(self, message: Delivery) -> None:
        latest = message.latest
        if (wait := latest.due_s()) > 0:
            self.set_timer(wait, partial(self._publish, latest))
        else:
            self._publish(latest)

    def _publish(self, latest: Latest) -> None:
        if (event := latest.take()) is not None:
            self.news.publish(event)

    @on(Heard)
    async def _heard(self, message: Heard) -> None:
        news = message.news
        if isinstance(news, Event):
            if self._history is not None:
                self._history.hear(news)
        elif news.errand is self._errand:
            self._errand = None
        elif news.errand.kind == "inspect" and not news.stopped:
            await self._inspected(news)
        self.news.publish(news)

    async def _inspected(self, ended: Ended) -> None:
        if ended.problem is not None:
            await self._not_opened(ended.problem)
            return
        from screens.returned import Returned

        before, drifts = ended.result
        await self._only(
            Returned(before, drifts, partial(self.call_later, self._show_steps), self._give_up)
        )

    # questions of the walk's thread

    def _reveal(self, ask: str, secret: str) -> None:
        from screens.secret import Secret

        self._redact.learn(secret)
        self._ask(Asked(lambda: Secret(ask, secret), None))

    def _ask_host_key(self, question: HostKeyQuestion) -> bool:
        from screens.host_key import HostKey

        return self._ask(Asked(lambda: HostKey(question), False))

    def _ask(self, asked: Asked[T]) -> T:
        """Ask and wait, in whichever thread; several questions come one after another."""
        lane = self._lane
        if lane is None:
            return asked.unless
        with self._asking:
            self.post_message(Question(asked))
            try:
                return asked.wait(lane.stop)
            finally:
                self.post_message(Question(asked))

    @on(Question)
    def _show_question(self, message: Question) -> None:
        asked = message.asked
        if not asked.over:
            asked.shown = asked.dialog()
            self.push_screen(asked.shown, asked.answer)
        elif asked.shown is not None and asked.shown.is_current:
            # Stopped while it was being asked: nobody waits for the answer.
            self.pop_screen()

    # keys

    def action_help(self) -> None:
        """F1: help for what has the focus."""
        from screens.help import help_for
        from screens.reading import Reading
        from screens.small import TooSmall

        if not isinstance(self.screen, Reading | TooSmall):
            self.push_screen(help_for(self.screen))

    def action_log(self) -> None:
        """The command log."""
        from screens.commandlog import CommandLog
        from screens.log import LogScreen

        if not isinstance(self.screen, LogScreen):
            about = self._about()
            log = self._history or CommandLog()
            self.push_screen(LogScreen(log, self.news, about, lab=self._in_lab()))

    def _about(self) -> str:
        from screens.about import about

        return f"nlb-mtls · {about(self._walk.session)}" if self._walk is not None else "nlb-mtls"

    def _in_lab(self) -> bool:
        return self._walk is not None and self._walk.session.place == "lab"

    def action_sessions(self) -> None:
        """What is saved."""
        from screens.sessions import SessionsScreen

        if isinstance(self.screen, SessionsScreen):
            return
        current = self._walk.session.id if self._walk is not None else ""
        self.push_screen(SessionsScreen(current, lab=self._in_lab()), self._session_chosen)
        self._find_out()

    async def _session_chosen(self, id: str | None) -> None:
        if not id:
            return
        if self._errand is not None:
            self.notify(say("screens.act.stop-first"), markup=False)
            return
        self._close_walk()
        await self._only(self._new_opening("resume"))
        self._open_saved(id)

    def action_help_quit(self) -> None:
        """ctrl+c without a selection: says how to quit; a second one stops and offers to."""
        now = time.monotonic()
        if now - self._interrupted > AGAIN_S:
            self._interrupted = now
            key = "screens.quit.how-running" if self._errand is not None else "screens.quit.how"
            self.notify(say(key), timeout=AGAIN_S + 1, markup=False)
            return
        self._interrupted = float("-inf")
        self._halt()
        self._ask_to_quit(say("screens.quit.stopped"), int(Exit.INTERRUPTED))

    async def action_quit(self) -> None:
        """ctrl+q: at once, or after a question while something is being changed."""
        if self._errand is None:
            self._leave_program(int(Exit.FINE))
        else:
            self._ask_to_quit(say("screens.quit.running"), int(Exit.INTERRUPTED))

    def _ask_to_quit(self, question: str, code: int) -> None:
        from screens.confirm import Confirm

        if isinstance(self.screen, Confirm):
            return

        def decided(quit: bool | None) -> None:
            if quit:
                self._leave_program(code)

        verb, stay = say("screens.quit.verb"), say("screens.quit.stay")
        self.push_screen(Confirm(question, (), verb, stay), decided)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything that can be done; what cannot be done now says why, and is not hidden."""
        for name, why_not, action in self._commands(screen):
            words = say(f"screens.command.{name}.title")
            if why_not is None:
                yield SystemCommand(words, say(f"screens.command.{name}.about"), action)
            else:
                reason = say("screens.command.not-now", reason=why_not)
                yield SystemCommand(words, reason, partial(self.notify, reason, markup=False))

    def _commands(
        self, screen: Screen[Any]
    ) -> Iterable[tuple[str, str | None, Callable[[], object]]]:
        steps = self._steps if self._walk is not None else None
        no_walk = None if steps is not None else say("screens.command.no-session")
        on_steps = no_walk if screen is steps else no_walk or say("screens.command.other-screen")
        act = self.run_action
        yield "go-to", on_steps, partial(act, "go_to", steps)
        yield "log", None, self.action_log
        yield "sessions", None, self.action_sessions
        yield "copy", on_steps, partial(act, "copy", steps)
        running = say("screens.command.running") if self._errand is not None else None
        yield "clean-up", on_steps or running, self.action_clean_up
        nothing = None if self._errand is not None else say("screens.command.nothing-runs")
        yield "stop", nothing, self._halt
        yield "leave", no_walk or running, self._give_up
        yield "theme", None, self.action_change_theme
        yield "help", None, self.action_help
        yield "quit", None, self.action_quit

    # copying

    @on(Copy)
    def _copy(self, message: Copy) -> None:
        if message.clipboard:
            self.copy_to_clipboard(message.text)
        keep = partial(self._keep, message)
        self.run_worker(keep, thread=True, group="files")

    def _keep(self, message: Copy) -> None:
        from services import disk

        walk = self._walk
        folder = walk.store.folder.reports if walk is not None else self._home / "reports"
        path = folder / message.file
        try:
            disk.make_folder(folder)
            disk.write(path, message.text.encode())
        except Problem as problem:
            self.call_from_thread(self.notify, problem.words().what, severity="error", markup=False)
            return
        key = "screens.copied" if message.clipboard else "screens.kept"
        self.call_from_thread(self.notify, say(key, path=path), markup=False)

    # size

    def on_resize(self, event: events.Resize) -> None:
        self._check_size(event.size.width, event.size.height)

    def _check_size(self, width: int, height: int) -> None:
        if width >= LEAST[0] and height >= LEAST[1]:
            return
        from screens.small import TooSmall

        if not any(isinstance(screen, TooSmall) for screen in self.screen_stack):
            self.push_screen(TooSmall(LEAST))


def _is_light(colours: str) -> bool:
    """Whether COLORFGBG (`foreground;background`) tells of a light background."""
    background = colours.rpartition(";")[2]
    return background in ("7", "15")


def _last_words(program: str, session: str, *, made: bool) -> list[str]:
    """How to go on with a session, and how to be rid of what it made."""
    lines = [say("screens.farewell.resume", command=f"{program} resume {session}")]
    if made:
        lines.append(say("screens.farewell.cleanup", command=f"{program} cleanup {session}"))
    return lines
