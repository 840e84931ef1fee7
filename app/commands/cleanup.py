"""`cleanup`: remove what a session made, newest first, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app import headless, interrupts
from app.commands.walking import asking
from app.console import Console
from app.narration import Narrator
from app.options import Options
from app.terminal import Manner, manner
from app.wiring import Wiring
from services.events import problem_map
from services.problem import Exit, Problem
from services.text import say
from services.walk import Line, Walk


def run(options: Options, console: Console, home: Path) -> Exit:
    """Ask, remove, and tell what could not be removed. Raises Problem, Interrupted."""
    wiring = Wiring(home, redact=console.redact)
    there = manner(plain=True, unattended=options.yes or options.json)
    if there is Manner.NOBODY and not options.yes:
        raise Problem("app.nobody-to-ask", exit=Exit.ANSWER_MISSING)
    session = wiring.read(options.session).id
    with (
        interrupts.listening(),
        Narrator(wiring.steps, console.say) as narrator,
        wiring.resume(
            session, headless.hear(console, narrator), _reveal_nothing, asking(there, console)
        ) as walk,
    ):
        lines = walk.removals()
        if not console.json:
            console.say(_list(walk, lines))
        if lines and not options.yes and not _agreed(walk, console):
            console.say(say("app.cleanup.kept"))
            return Exit.FINE
        problems = interrupts.in_thread(walk.undo)
        return _told(walk, lines, problems, console)


def _list(walk: Walk, lines: Sequence[Line]) -> str:
    if not lines:
        return say("app.cleanup.nothing", session=walk.session.id)
    return "\n".join(
        [
            say("app.cleanup.title"),
            *(
                say(
                    "app.cleanup.line",
                    title=line.action.title(),
                    resource=line.resource or "-",
                    undo=line.action.undo_words(),
                )
                for line in lines
            ),
        ]
    )


def _agreed(walk: Walk, console: Console) -> bool:
    """The id has to be typed: what this removes cannot be brought back."""
    from app.plain import Back, Dialogue, Leave

    try:
        return Dialogue(console).line(say("app.cleanup.question")) == walk.session.id
    except (Back, Leave):
        return False


def _told(walk: Walk, lines: Sequence[Line], problems: Sequence[Problem], console: Console) -> Exit:
    for problem in problems:
        console.problem(problem)
    if console.json:
        left = {deed.id for deed in walk.session.deeds}
        removed = [line for line in lines if line.action.id not in left]
        console.result(
            {
                "verdict": "fail" if problems else "pass",
                "session": walk.session.id,
                "removed": [_map(line) for line in removed],
                "left": [_map(line) for line in lines if line.action.id in left],
                "problems": [problem_map(problem) for problem in problems],
            }
        )
    elif lines and not problems:
        console.say(say("app.cleanup.done"))
    return Exit.NOT_FINE if problems else Exit.FINE


def _map(line: Line) -> dict[str, str]:
    return {"kind": line.action.KIND, "id": line.resource, "title": line.action.title()}


def _reveal_nothing(name: str, secret: str) -> None:
    return None
