"""What `lab`, `run` and `resume` have in common: who is there, what is answered, and the walk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from app import answers, headless
from app.console import Console
from app.interrupts import Interrupted, listening
from app.invocation import command
from app.narration import Narrator
from app.options import Options
from app.start import AskHostKey, Reveal
from app.terminal import Manner, manner
from services.events import Emit
from services.hosts.host_trust import refuse_host_key
from services.problem import Exit, Problem
from services.session.model import Session
from services.steps.step import Step
from services.text import say
from services.walk import Walk

Open: TypeAlias = Callable[[Emit, Reveal, AskHostKey], AbstractContextManager[Walk]]


def lead(
    options: Options,
    console: Console,
    steps: Sequence[Step],
    open: Open,
    *,
    resumed: bool = False,
    answered_elsewhere: bool = False,
) -> Exit:
    """Take a walk to its end, with the person there or without.

    `answered_elsewhere`: the session or the lab brings answers that the command line need not give.

    Raises Problem (`app.nobody-to-ask` before anything else happens), Interrupted.
    """
    given = answers.given(options, steps)
    for answer in given:
        if answer.name == answers.PKCS12_PASSWORD:
            console.redact.learn(answer.value)
    there = manner(plain=True, unattended=options.yes or options.json)
    if there is Manner.NOBODY and not options.yes:
        raise nobody_to_ask(() if answered_elsewhere else steps, given)

    def reveal(name: str, secret: str) -> None:
        console.redact.learn(secret)
        step, _, ask = name.partition(".")
        console.show_secret(say("app.session.secret-once", label=say(f"{step}.ask.{ask}.label")))
        console.show_secret(secret)

    with (
        listening(),
        Narrator(steps, console.say) as narrator,
        open(headless.hear(console, narrator), reveal, asking(there, console)) as walk,
    ):
        answers.give(walk, given)
        if there is Manner.NOBODY:
            return _kept(
                walk, options, console, lambda: headless.go(walk, console, resumed=resumed)
            )
        from app.plain import Plain

        plain = Plain(walk, console, narrator)
        return _kept(walk, options, console, lambda: plain.go(resumed=resumed))


def nobody_to_ask(steps: Sequence[Step], given: Sequence[answers.Answer]) -> Problem:
    """What has to be given where nobody can be asked: `--yes`, and what no default answers."""
    known = Session(answers={answer.name: answer.value for answer in given})
    missing = [
        ask.name
        for step in steps
        for ask in step.ASKS
        if ask.required
        and ask.kind != "secret"
        and ask.choices is None
        and ask.name not in known.answers
        and ask.when(known)
        and ask.default(known) is None
    ]
    key = "app.nobody-to-ask" if not missing else "app.nobody-to-answer"
    return Problem(key, names=", ".join(missing), exit=Exit.ANSWER_MISSING)


def asking(there: Manner, console: Console) -> AskHostKey:
    """Who answers for an unknown host key: the person, or nobody."""
    if there is Manner.NOBODY:
        return refuse_host_key
    from app.plain import Dialogue, HostKeyDialogue

    return HostKeyDialogue(Dialogue(console))


def _kept(walk: Walk, options: Options, console: Console, work: Callable[[], Exit]) -> Exit:
    """Do the work; however it ends early, say what is kept and how to go on."""
    session = walk.session.id
    try:
        done = work()
    except Interrupted:
        _how_to_go_on(session, options, console, "app.session.interrupted")
        if console.json:
            console.result({"verdict": "fail", "session": session, "interrupted": True})
        raise
    except Problem as problem:
        if walk.session.deeds:
            console.failure(problem, session=session)
            _how_to_go_on(session, options, console, "app.session.kept")
            return problem.exit
        raise
    if done is Exit.INTERRUPTED:
        _how_to_go_on(session, options, console, "app.session.interrupted")
    return done


def _how_to_go_on(session: str, options: Options, console: Console, key: str) -> None:
    resume = command(["resume", session], options.home)
    cleanup = command(["cleanup", session], options.home)
    console.aside(say(key, session=session, resume=resume, cleanup=cleanup).rstrip())
