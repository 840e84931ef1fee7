"""The same walk line by line: numbered choices, typed answers, nothing drawn, nothing redrawn.

For terminals that cannot draw, for screen readers, and for whoever likes it better. Every question
takes Enter for its default, `back`, and `stop`.
"""

from __future__ import annotations

import getpass
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from app import headless, interrupts
from app.console import Console
from app.narration import Narrator, preview_lines
from services.hosts.port import HostKeyQuestion
from services.problem import Exit, Problem, Stopped
from services.steps.step import Ask, Choice, Proof, Step
from services.stop import Stop
from services.text import say
from services.walk import Field, Preview, Walk

_LEAVE_S = 2
"""How long a proof that goes on may take to end."""


class Back(Exception):
    """The person wants the question before this one."""


class Leave(Exception):
    """The person wants to stop here; everything is kept."""


class Dialogue:
    """Questions to a person, and their answers, through one terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.say(text)

    def line(self, prompt: str) -> str:
        """What is typed, without blanks around it. Raises Back, Leave."""
        self._console.say(prompt, end=" ")
        typed = sys.stdin.readline()
        if not typed:  # ctrl+d
            self._console.say("")
            raise Leave
        typed = typed.strip()
        if typed.lower() == "back":
            raise Back
        if typed.lower() == "stop":
            raise Leave
        return typed

    def choose(self, question: str, options: Sequence[str], default: int = 0) -> str:
        """One of `options` (keys of `plain.choice`), by its number; Enter is the default."""
        shown = "  ".join(
            f"[{number}] {say(f'plain.choice.{option}')}"
            for number, option in enumerate(options, start=1)
        )
        prompt = say("plain.question", question=question, choices=shown, default=default + 1)
        while True:
            typed = self.line(prompt)
            if not typed:
                return options[default]
            if typed.isascii() and typed.isdigit() and 1 <= int(typed[:4]) <= len(options):
                return options[int(typed) - 1]
            self.say(say("plain.no-such-number", typed=typed, last=len(options)))

    def secret(self, label: str) -> str:
        """Typed twice without being shown; empty is none. Raises Leave."""
        while True:
            try:
                first = getpass.getpass(say("plain.secret", label=label))
                again = getpass.getpass(say("plain.secret-again")) if first else ""
            except EOFError:
                raise Leave from None
            if first == again:
                return first
            self.say(say("plain.secret-differs"))


@dataclass(frozen=True, slots=True)
class HostKeyDialogue:
    """Asks whether an unknown host key is the right one; Enter does not connect."""

    dialogue: Dialogue

    def __call__(self, question: HostKeyQuestion) -> bool:
        host = question.host
        self.dialogue.say(
            say(
                "plain.host-key",
                host=host.name,
                address=f"{host.address}:{host.port}",
                algorithm=question.algorithm,
                fingerprint=question.fingerprint,
            )
        )
        try:
            return self.dialogue.line(say("plain.host-key-question")).lower() == "yes"
        except (Back, Leave):
            return False


@dataclass(slots=True)
class Plain:
    """Leads one person through one walk."""

    walk: Walk
    console: Console
    narrator: Narrator
    dialogue: Dialogue = field(init=False)

    def __post_init__(self) -> None:
        self.dialogue = Dialogue(self.console)

    def go(self, *, resumed: bool = False) -> Exit:
        """From the first step that is not done to the verdict. Raises Problem, Interrupted."""
        self.dialogue.say(say("plain.how"))
        steps = self.walk.steps
        if resumed:
            interrupts.in_thread(lambda stop: headless.compare(self.walk, self.console, stop))
        at = steps.index(self.walk.stands_at())
        again = False
        try:
            while True:
                try:
                    proof = self._step(steps[at], again)
                except Back:
                    at, again = max(at - 1, 0), True
                    continue
                at, again = at + 1, False
                if at == len(steps):
                    headless.conclude(self.walk, self.console, proof.result, proof.passed)
                    self._offer_watch(steps[-1])
                    return Exit.FINE if proof.passed else Exit.NOT_FINE
        except Leave:
            return Exit.INTERRUPTED

    def _step(self, step: Step, again: bool) -> Proof:
        """One step, all its phases. Raises Back, Leave."""
        self.dialogue.say("\n" + self.narrator.heading(step.NAME, "explain"))
        self.dialogue.say(say(f"{step.NAME}.explain").strip())
        while True:
            self._ask(step, again)
            again = True
            preview = self._preview(step)
            if preview is None:
                continue
            if not self._agreed(step, preview) or not self._act(step):
                continue
            proof = self._prove(step)
            if proof is not None:
                return proof

    # ask

    def _ask(self, step: Step, again: bool) -> None:
        """Ask what is not answered yet; all of it when coming back."""
        asked: list[str] = []
        while True:
            fields = [
                each
                for each in self.walk.fields(step)
                if each.ask.name not in asked and (again or not each.given)
            ]
            if not fields:
                return
            try:
                self._ask_one(fields[0])
            except Back:
                if not asked:
                    raise
                again = True
                asked.pop()
                continue
            asked.append(fields[0].ask.name)

    def _ask_one(self, field: Field) -> None:
        ask = field.ask
        self.dialogue.say(f"\n{ask.label}. {ask.help}" if ask.help else "")
        choices = self._choices(ask)
        for number, choice in enumerate(choices, start=1):
            label = f": {choice.label}" if choice.label else ""
            self.dialogue.say(f"  [{number}] {choice.value}{label}")
        default = field.value or (choices[0].value if len(choices) == 1 else "")
        while True:
            try:
                self._keep(ask, self._typed(ask, choices, default))
                return
            except Problem as problem:
                self.console.problem(problem)

    def _typed(self, ask: Ask, choices: Sequence[Choice], default: str) -> str:
        """What the person answers; empty for no answer, where that is allowed."""
        while True:
            if ask.kind == "secret":
                typed = self.dialogue.secret(ask.label)
            else:
                shown = say("plain.default", default=default) if default else ""
                if not default and not ask.required:
                    shown = say("plain.no-default")
                typed = self.dialogue.line(say("plain.ask", label=ask.label, default=shown))
            if typed.isascii() and typed.isdigit() and 1 <= int(typed[:4]) <= len(choices):
                return choices[int(typed) - 1].value
            typed = typed or default
            if typed or not ask.required:
                return typed
            self.dialogue.say(say("plain.needed"))

    def _keep(self, ask: Ask, value: str) -> None:
        if value:
            self.walk.answer(ask.name, value)
            if ask.kind == "secret":
                self.console.redact.learn(value)

    def _choices(self, ask: Ask) -> Sequence[Choice]:
        if ask.choices is None:
            return ()
        try:
            return interrupts.in_thread(lambda stop: self.walk.choices(ask, stop))
        except Problem as problem:
            # It can still be typed.
            self.console.problem(problem)
            return ()

    # preview, act, prove

    def _preview(self, step: Step) -> Preview | None:
        """What acting would do; None when the answers are to be changed. Raises Back, Leave."""
        while True:
            try:
                interrupts.in_thread(lambda stop: self.walk.settle(step, stop))
                interrupts.in_thread(lambda stop: self.walk.look(step, stop))
                return interrupts.in_thread(lambda stop: self.walk.preview(step, stop))
            except Problem as problem:
                self.console.problem(problem)
            if self._choose("plain.what-now", "retry", "change", "back", "stop") == "change":
                return None

    def _agreed(self, step: Step, preview: Preview) -> bool:
        """Whether the person wants what the preview shows. Raises Back, Leave."""
        removals = preview.count("-")
        wishes = preview.count("+") + preview.count("=") + removals
        self.dialogue.say("\n" + self.narrator.heading(step.NAME, "preview"))
        for text in preview_lines(preview.lines):
            self.dialogue.say(text)
        if not wishes:
            self.dialogue.say(say("plain.nothing-to-do"))
            return True
        while True:
            # What removes something is never what Enter does.
            choice = self._choose(
                "plain.remove-these" if removals else "plain.make-these",
                *("make", "back", "commands", "stop"),
                default=1 if removals else 0,
            )
            if choice == "make":
                return True
            for line in preview.lines:
                for equivalent in line.action.equivalent():
                    self.dialogue.say(f"  $ {equivalent}")

    def _act(self, step: Step) -> bool:
        """Whether it is all done; False when the answers are to be changed. Raises Back, Leave."""
        while True:
            try:
                interrupts.in_thread(lambda stop: self.walk.act(step, stop))
                return True
            except Problem as problem:
                self.console.problem(problem)
            choice = self._choose("plain.what-now", "retry", "change", "undo", "stop")
            if choice == "change":
                return False
            if choice == "undo":
                for failure in interrupts.in_thread(lambda stop: self.walk.undo(stop, step)):
                    self.console.problem(failure)
                return False

    def _prove(self, step: Step) -> Proof | None:
        """The proof with which to go on; None when the answers are to be changed."""
        while True:
            try:
                proof = interrupts.in_thread(lambda stop: self.walk.prove(step, stop))
            except Problem as problem:
                self.console.problem(problem)
                choice = self._choose("plain.what-now", "look-again", "change", "stop")
            else:
                if proof.passed:
                    return proof
                choice = self._choose("plain.not-proved", "look-again", "change", "go-on", "stop")
                if choice == "go-on":
                    self.walk.accept(step)
                    return proof
            if choice == "change":
                return None

    # watch

    def _offer_watch(self, step: Step) -> None:
        """Let a proof go on, if that is wanted, and tell what changes, until Enter."""
        if step.LIVE is None:
            return
        try:
            while self._choose("plain.watch", "finish", "watch") == "watch":
                self._watch(step)
        except (Back, Leave):
            return

    def _watch(self, step: Step) -> None:
        stop = Stop()

        def watch() -> None:
            try:
                self.walk.watch(step, stop)
            except Problem as problem:
                self.console.problem(problem)
            except Stopped:
                pass

        watching = threading.Thread(target=watch, name="walk", daemon=True)
        watching.start()
        try:
            self.dialogue.line(say("plain.watching"))
        finally:
            stop.set()
            watching.join(_LEAVE_S)

    def _choose(self, question: str, *options: str, default: int = 0) -> str:
        choice = self.dialogue.choose(say(question), options, default)
        if choice == "stop":
            raise Leave
        if choice == "back":
            raise Back
        return choice
