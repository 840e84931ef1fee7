"""One function decides how to speak; the narrator says that it lives; commands can be pasted."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from app import invocation, narration
from app.narration import Narrator
from app.terminal import Manner, manner
from services.events import Event
from tests import toy


class Stream:
    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("stdin", "stdout", "environment", "expected"),
    [
        (True, True, {"TERM": "xterm"}, Manner.SCREENS),
        (True, False, {"TERM": "xterm"}, Manner.LINES),
        (False, True, {"TERM": "xterm"}, Manner.NOBODY),
        (False, False, {}, Manner.NOBODY),
        (None, None, {}, Manner.NOBODY),
        (True, True, {"TERM": "dumb"}, Manner.LINES),
        (True, True, {"CI": "true"}, Manner.LINES),
        (True, True, {"CI": ""}, Manner.SCREENS),
        (True, True, {"CI": "0"}, Manner.SCREENS),
        (True, True, {"CI": "False"}, Manner.SCREENS),
        (True, True, {"ACCESSIBLE": "1"}, Manner.LINES),
        (False, False, {"ACCESSIBLE": "1"}, Manner.NOBODY),
    ],
)
def test_how_to_speak(
    monkeypatch: pytest.MonkeyPatch,
    stdin: bool | None,
    stdout: bool | None,
    environment: Mapping[str, str],
    expected: Manner,
) -> None:
    monkeypatch.setattr(sys, "stdin", None if stdin is None else Stream(stdin))
    monkeypatch.setattr(sys, "stdout", None if stdout is None else Stream(stdout))
    assert manner(environment=environment) is expected
    lines = Manner.NOBODY if expected is Manner.NOBODY else Manner.LINES
    assert manner(plain=True, environment=environment) is lines
    assert manner(unattended=True, environment=environment) is Manner.NOBODY


def test_what_takes_long_says_that_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narration, "_HEARTBEAT_S", 0.01)
    beaten = threading.Event()
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if "still working" in line:
            beaten.set()

    with Narrator((toy,), tell) as narrator:
        narrator.hear(Event("started", step="toy", action="toy.thing", data={"title": "a thing"}))
        assert beaten.wait(10)
        narrator.hear(Event("done", step="toy", status="made", data={"resource": "thing-1"}))
    assert told[0].endswith("making: a thing")
    assert "making: a thing" in told[1]
    assert any("done: thing-1" in line for line in told)


def test_a_proof_that_goes_on_is_told_at_each_change_and_not_at_each_snapshot() -> None:
    told: list[str] = []

    def snapshot(requests: int, failed: int) -> Event:
        counts = {"requests": requests, "ok": requests - failed, "failed": failed}
        return Event("snapshot", step="toy", data={**counts, "backends": {"ECS01": requests}})

    with Narrator((toy,), told.append) as narrator:
        for requests, failed in ((0, 0), (10, 0), (20, 0), (30, 1), (40, 1)):
            narrator.hear(snapshot(requests, failed))
    assert [line.partition("] ")[2].partition(" ")[0] for line in told] == ["10", "30"]


@pytest.mark.parametrize("home", ["plain", "with blank and 'quote'"])
def test_the_command_to_go_on_can_be_pasted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str
) -> None:
    program = tmp_path / "nlb-mtls"
    program.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "lab"])
    folder = str(tmp_path / home)
    words = shlex.split(invocation.command(["resume", "20261124-abc"], folder))
    assert words == [str(program), "--home", folder, "resume", "20261124-abc"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert invocation.command(["resume", "x"], None) == "nlb-mtls resume x"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "app" / "cli.py")])
    assert shlex.split(invocation.command(["x"], None)) == [sys.executable, "-m", "app.cli", "x"]
