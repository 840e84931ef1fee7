"""The assistant on a real pseudo-terminal: whatever ends it, the terminal is as it was before."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.app.person import Person, at_terminal
from tests.app.running import TOY, Program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to send")

TERMINAL = (("TERM", "xterm-256color"), ("COLUMNS", "80"), ("LINES", "24"), ("CI", ""))

UNDONE = {
    "alternate screen": ("\x1b[?1049h", "\x1b[?1049l"),
    "mouse": ("\x1b[?1000h", "\x1b[?1000l"),
    "mouse movements": ("\x1b[?1003h", "\x1b[?1003l"),
    "bracketed paste": ("\x1b[?2004h", "\x1b[?2004l"),
    "hidden cursor": ("\x1b[?25l", "\x1b[?25h"),
}
"""What Textual switches on, and what switches it off."""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    world = tmp_path / "world"
    world.mkdir()
    return Program(tmp_path / "home", TOY, (*TERMINAL, ("TOY_WORLD", str(world))))


def is_as_before(person: Person) -> None:
    for what, (on, off) in UNDONE.items():
        assert person.shown.count(on), f"{what} was never switched on"
        assert person.shown.rfind(off) > person.shown.rfind(on), f"{what} is still on"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_restores_the_terminal_and_names_the_session(
    program: Program, number: signal.Signals
) -> None:
    with at_terminal(program) as person:
        person.sees("Set up a load balancer")
        person.presses(b"\x1b[B\r")
        person.sees("Makes a few files.")
        person.sends(number)
        assert person.leaves() == 128 + number
        is_as_before(person)
    (session,) = (program.home / "sessions").iterdir()
    after = person.shown[person.shown.rfind("\x1b[?1049l") :]
    assert f"resume {session.name}" in after.replace("\n", "")


def test_ctrl_q_ends_it_with_0(program: Program) -> None:
    with at_terminal(program) as person:
        person.sees("Try it in the lab")
        person.presses(b"\x11")
        assert person.leaves() == 0
        is_as_before(person)
