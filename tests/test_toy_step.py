"""A step is a module and its name in the list: nothing else knows it, and everything finds it."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.events import Event
from services.session.store import Sessions
from services.stop import Stop
from services.walk import Walk
from services.world import World
from tests import toy
from tests.app.person import DRAWING, at_terminal
from tests.app.running import TOY, Program, until


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "world"
    folder.mkdir()
    monkeypatch.setenv("TOY_WORLD", str(folder))
    return folder


@pytest.fixture
def program(tmp_path: Path, world: Path) -> Program:
    return Program(tmp_path / "home", TOY, (("TOY_WORLD", str(world)),))


def journal(program: Program) -> list[dict[str, object]]:
    """The entries of the only session."""
    (path,) = (program.home / "sessions").glob("*/journal.jsonl")
    return [json.loads(line)["entry"] for line in path.read_text().splitlines()]


def test_form_preview_journal_and_undo_find_it(tmp_path: Path, world: Path) -> None:
    nowhere = World("cloud", _unreachable, None, _unreachable, lambda: datetime.now(UTC))  # type: ignore[arg-type]
    heard: list[Event] = []
    with Sessions(tmp_path / "home").create("cloud") as store:
        walk = Walk(store, nowhere, (toy,), heard.append)
        form = walk.fields(toy)
        assert [field.ask.label for field in form] == ["Size", "Colour", "Password of the toy"]
        walk.answer("toy.size", "3")
        walk.settle(toy, Stop())
        walk.look(toy, Stop())
        preview = walk.preview(toy, Stop())
        assert [(line.sign, line.action.title()) for line in preview.lines] == [
            ("+", "thing thing of size 3"),
            ("+", "paint red on the thing"),
        ]
        walk.act(toy, Stop())
        assert walk.prove(toy, Stop()).passed
        assert [deed.resource for deed in walk.session.deeds] == ["thing", "red"]
        assert walk.undo(Stop()) == ()
        assert not (world / "thing").exists()
        assert walk.session.deeds == ()


def _unreachable(*_: object) -> object:
    raise AssertionError("the toy has no cloud")


def test_help_answers_lists_it(program: Program) -> None:
    ended = program.run("--help-answers")
    assert ended.code == 0
    for word in ("toy.size", "How large it is.", "toy.colour", "default: red"):
        assert word in ended.out


def test_run_takes_it_and_ends_with_its_result(program: Program, world: Path) -> None:
    ended = program.run("run", "--yes", "--json", "--answer", "toy.size=3")
    assert ended.code == 0
    assert ended.result["verdict"] == "pass"
    assert ended.result["colour"] == "red"
    assert (world / "thing").read_text() == "3"
    events = [(line["event"], line.get("action")) for line in ended.lines()]
    assert ("preview", "toy.thing") in events
    assert ("started", "toy.paint") in events
    assert ("check", None) in events


def test_a_missing_answer_is_named_before_anything_is_made(program: Program, world: Path) -> None:
    ended = program.run("run", "--yes")
    assert ended.code == 3
    assert "toy.size" in ended.err
    assert list(world.iterdir()) == []
    assert list((program.home / "sessions").iterdir()) == []


def test_kill_and_resume_makes_nothing_twice(program: Program, world: Path) -> None:
    (world / "hold").touch()
    with program.started("run", "--yes", "--json", "--answer", "toy.size=3") as process:
        until(lambda: (world / "thing").exists())
        process.kill()
        process.wait()
    assert [entry["entry"] for entry in journal(program)][-1] == "begin"
    (world / "hold").unlink()
    ended = program.run("resume", "--yes", "--json")
    assert ended.code == 0
    assert ended.result["verdict"] == "pass"
    assert len((world / "made").read_text().splitlines()) == 1
    status = program.run("status", "--json").result
    assert [resource["made"] for resource in status["resources"]] == [True, True]


def test_resume_tells_and_mends_what_is_gone(program: Program, world: Path) -> None:
    program.run("run", "--yes", "--answer", "toy.size=3")
    (world / "colour").unlink()
    status = program.run("status", "--json")
    assert status.code == 1
    assert [(each["kind"], each["drift"]) for each in status.result["drift"]] == [("paint", "gone")]
    ended = program.run("resume", "--yes")
    assert ended.code == 0
    assert "gone since: paint red" in ended.out
    assert (world / "colour").read_text() == "red"
    assert len((world / "made").read_text().splitlines()) == 1


def test_cleanup_removes_what_was_made_and_leaves_what_was_adopted(
    program: Program, world: Path
) -> None:
    (world / "colour").write_text("red")
    program.run("run", "--yes", "--answer", "toy.size=3")
    ended = program.run("cleanup", "--yes", "--json")
    assert ended.code == 0
    assert [each["kind"] for each in ended.result["removed"]] == ["thing"]
    assert not (world / "thing").exists()
    assert (world / "colour").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_tells_how_to_go_on(
    program: Program, world: Path, number: signal.Signals
) -> None:
    (world / "hold").touch()
    with program.started("run", "--yes", "--json", "--answer", "toy.size=3") as process:
        until(lambda: (world / "thing").exists())
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    session = json.loads(out.splitlines()[-1])["session"]
    assert f"resume {session}" in err
    assert f"cleanup {session}" in err
    assert "Traceback" not in err


def test_plain_mode_leads_through_it_by_enter(program: Program, world: Path) -> None:
    with at_terminal(program, "run", "--plain") as person:
        person.sees("How large it is.")
        person.sees("Size:")
        person.types("")
        person.sees("This needs an answer")
        person.types("many")
        person.sees("not a whole number")
        person.types("3")
        person.sees("[2] blue")
        person.sees("Colour (Enter is red):")
        person.types("2")
        person.sees("Enter for none")
        person.types("canary-4711")
        person.sees("once more")
        person.types("canary-4711")
        person.sees("1. + make thing thing of size 3")
        person.sees("Enter is 1:")
        person.types("3")
        person.sees("$ echo 3 >thing")
        person.types("")
        person.sees("Verdict: pass")
        assert person.leaves() == 0
        assert (world / "colour").read_text() == "blue"
        assert "canary-4711" not in person.shown
        assert not DRAWING.search(person.shown)
    for path in program.home.rglob("*"):
        assert path.is_dir() or b"canary-4711" not in path.read_bytes()


def test_plain_mode_goes_back_without_judging(program: Program, world: Path) -> None:
    with at_terminal(program, "run", "--plain", "--answer", "toy.size=3") as person:
        person.sees("Colour (Enter is red):")
        person.types("2")
        person.sees("Enter for none")
        person.types("")
        person.sees("Make these?")
        person.types("back")
        person.sees("Size (Enter is 3):")
        person.types("4")
        person.sees("Colour (Enter is blue):")
        person.types("back")
        person.sees("Size (Enter is 4):")
        person.types("")
        person.sees("Colour (Enter is")
        person.types("stop")
        assert person.leaves() == 130
        assert "resume" in person.shown
    assert list(world.iterdir()) == []


def test_plain_mode_offers_a_way_on_after_a_failure(program: Program, world: Path) -> None:
    (world / "broken").touch()
    with at_terminal(program, "run", "--plain", "--answer", "toy.size=3") as person:
        person.sees("Colour (Enter is red):")
        person.types("")
        person.sees("Enter for none")
        person.types("")
        person.sees("Make these?")
        person.types("")
        person.sees("The toy is broken.")
        person.sees("[3] undo what this step made")
        (world / "broken").unlink()
        person.types("")
        person.sees("Verdict: pass")
        assert person.leaves() == 0


def test_ctrl_c_in_plain_mode_stops_and_tells(program: Program) -> None:
    with at_terminal(program, "run", "--plain") as person:
        person.sees("Size:")
        person.presses_ctrl_c()
        assert person.leaves() == 130
        assert "resume" in person.shown
