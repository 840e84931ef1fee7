"""The application around the screens: begin, come back, quit, crash, sizes, terminals, palette."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from app.assistant import Assistant
from app.lane import Lane
from app.start import Begin
from screens.confirm import Confirm
from screens.filters import in_ascii, wants_ascii
from screens.log import LogScreen
from screens.phases.ask import AskForm
from screens.returned import Returned
from screens.secret import Secret
from screens.sessions import SessionsScreen
from screens.small import TooSmall
from screens.step import StepScreen
from screens.welcome import Welcome
from screens.widgets.press import Press
from services.problem import Problem
from services.redact import Redactor
from tests.screens.settle import at, go, on_top, outcome, settle, steps, text
from tests.screens.toy import Knobs, ToyStart

SIZE = (80, 24)


@pytest.fixture
def knobs() -> Knobs:
    return Knobs()


@pytest.fixture
def start(tmp_path: Path, knobs: Knobs) -> ToyStart:
    return ToyStart(tmp_path / "home", knobs)


def assistant(start: ToyStart, begin: Begin = "lab", ascii: bool | None = None) -> Assistant:
    return Assistant(lambda: start, begin, start.home, Redactor(), ascii=ascii)


async def made(pilot: Pilot[int]) -> None:
    """The first step is made, and its proof is next."""
    await go(pilot, "shelf", "preview")
    await pilot.press("enter")
    await settle(pilot, on_top(pilot, Secret))
    await pilot.press("enter")
    await settle(pilot, at(pilot, "shelf", "act"))


async def test_the_lab_comes_first_without_credentials(start: ToyStart) -> None:
    app = assistant(start, "welcome")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, lambda: "> Try it in the lab" in text(app))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "explain"))
        assert "[lab]" in text(app)


async def test_the_account_comes_first_with_credentials(start: ToyStart) -> None:
    start.credentials = True
    app = assistant(start, "welcome")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, lambda: "> Set up a load balancer" in text(app))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "explain"))
        assert "[lab]" not in text(app)


async def test_what_keeps_a_walk_from_opening_is_told_and_leads_back(
    start: ToyStart, knobs: Knobs
) -> None:
    knobs.fail_opening = Problem("shelf.broken", name="The door")
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, lambda: bool(app.screen.query(Press)))
        assert "It did not open" in text(app)
        assert "The door broke." in outcome(pilot)
        await pilot.press("enter")
        await settle(pilot, lambda: isinstance(app.screen, Welcome))


async def test_a_session_comes_back_with_then_and_now(start: ToyStart) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await made(pilot)
        await go(pilot, "lamp", "explain")
        folder = steps(pilot).walk.store.folder.path
    assert start.closed.wait(10)
    (folder / "label.box").unlink()
    app = assistant(start, ("resume", folder.name))
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, Returned))
        assert "✓ box shelf1.box  unchanged" in text(app)
        assert "✗ label label  gone: it has to be made again" in text(app)
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "ask"))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "preview"))
        assert "1 to make, 0 to adopt, 0 to remove, 1 there already" in text(app)


async def test_resuming_opens_where_one_stopped_with_what_was_typed(start: ToyStart) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await made(pilot)
        await go(pilot, "lamp", "ask")
        app.screen.query_one(AskForm).rows[0].focus_field()
        await pilot.press(*"red")
        name = steps(pilot).walk.session.id
        await settle(pilot, lambda: start.saved.read(name).answers.get("lamp.colour") == "red")
    assert start.closed.wait(10)
    app = assistant(start, ("resume", ""))
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, Returned))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "lamp", "ask"))
        assert app.screen.query_one(AskForm).rows[0].text == "red"


async def test_saved_sessions_are_listed_and_lead_back_in(start: ToyStart) -> None:
    with start.saved.create("lab") as store:
        name = store.session.id
    broken = start.home / "sessions" / "20260101-aaaaaa"
    broken.mkdir()
    (broken / "journal.jsonl").write_text("nonsense\n")
    app = assistant(start, "welcome")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, lambda: "> Go on with the latest session" in text(app))
        await pilot.press("s")
        await settle(pilot, lambda: isinstance(app.screen, SessionsScreen))
        options = app.screen.query_one(OptionList)
        await settle(pilot, lambda: options.option_count == 2)
        assert name in text(app)
        assert "cannot be read" in text(app)
        options.highlighted = 0 if name in str(options.get_option_at_index(0).prompt) else 1
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "explain"))
        assert steps(pilot).walk.session.id == name


async def test_leaving_keeps_the_session_and_lets_it_be_opened_again(start: ToyStart) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, at(pilot, "shelf", "explain"))
        name = steps(pilot).walk.session.id
        await pilot.press("escape")
        await settle(pilot, lambda: isinstance(app.screen, Welcome))
        await settle(pilot, lambda: "> Go on with the latest session" in text(app))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "explain"))
        assert steps(pilot).walk.session.id == name


async def test_quitting_at_rest_is_at_once_and_tells_how_to_go_on(start: ToyStart) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await made(pilot)
        name = steps(pilot).walk.session.id
        await pilot.press("ctrl+q")
        await settle(pilot, lambda: not app.is_running)
    assert app.return_code == 0
    assert app.last_words == [
        f"Your session is saved. Go on with: nlb-mtls resume {name}",
        f"Remove what it made with: nlb-mtls cleanup {name}",
    ]


async def test_quitting_while_something_is_made_asks_and_rests_on_stay(
    start: ToyStart, knobs: Knobs
) -> None:
    knobs.hold = threading.Event()
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        await pilot.press("enter")
        await settle(pilot, knobs.holding.is_set)
        await pilot.press("ctrl+q")
        await settle(pilot, on_top(pilot, Confirm))
        await pilot.press("enter")
        await settle(pilot, lambda: isinstance(app.screen, StepScreen))
        await pilot.press("ctrl+q")
        await settle(pilot, on_top(pilot, Confirm))
        await pilot.press("shift+tab", "enter")
        await settle(pilot, lambda: not app.is_running)
    assert app.return_code == 130
    assert start.closed.wait(10)


async def test_ctrl_c_says_how_to_quit_and_a_second_one_stops(
    start: ToyStart, knobs: Knobs
) -> None:
    knobs.hold = threading.Event()
    app = assistant(start)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go(pilot, "shelf", "preview")
        await pilot.press("enter")
        await settle(pilot, knobs.holding.is_set)
        await pilot.press("ctrl+c")
        await settle(pilot, lambda: "ctrl+q quits." in text(app))
        assert steps(pilot).busy
        await pilot.press("ctrl+c")
        await settle(pilot, on_top(pilot, Confirm))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "act"))
        assert "Stopped." in outcome(pilot)


async def test_too_small_says_what_is_needed_and_gives_everything_back(start: ToyStart) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "ask")
        row = app.screen.query_one(AskForm).rows[0]
        row.focus_field()
        await pilot.press("x", "y")
        await pilot.resize_terminal(50, 15)
        await settle(pilot, lambda: isinstance(app.screen, TooSmall))
        assert "Needed: 60 × 18" in text(app)
        assert "Now: 50 × 15" in text(app)
        await pilot.press("enter", "z")
        await pilot.resize_terminal(60, 18)
        await settle(pilot, lambda: isinstance(app.screen, StepScreen))
        assert row.text == "xy"
        assert row.has_focus_within


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 40), (200, 60)])
async def test_every_field_can_be_reached_at_every_size(
    start: ToyStart, size: tuple[int, int]
) -> None:
    app = assistant(start)
    async with app.run_test(size=size) as pilot:
        await go(pilot, "shelf", "ask")
        for row in app.screen.query_one(AskForm).rows:
            row.focus_field()
            await settle(pilot, lambda: row.has_focus_within)  # noqa: B023
            focused = app.focused
            assert focused is not None
            await settle(
                pilot,
                lambda focused=focused: (
                    app.screen.region.contains_region(  # type: ignore[misc]
                        focused.region.intersection(focused.region)
                    )
                    and focused.region.height > 0
                ),
            )
        assert "[ Preview ]" in text(app)


async def test_the_palette_lists_everything_and_says_what_cannot_be_done(
    start: ToyStart,
) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, at(pilot, "shelf", "explain"))
        commands = {each.title: each.help for each in app.get_system_commands(app.screen)}
        assert len(commands) == 10
        assert commands["Stop what is running"] == "Not now: nothing is running"
        assert commands["Go to a step"] == "List the steps and choose one"
        await pilot.press("ctrl+p", *"command log")
        await settle(pilot, lambda: "What was run, to copy or save" in text(app))
        await pilot.press("enter")
        await settle(pilot, lambda: isinstance(app.screen, LogScreen))


async def test_the_log_has_what_was_run_and_every_copy_leaves_a_file(start: ToyStart) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await made(pilot)
        await pilot.press("l")
        await settle(pilot, lambda: isinstance(app.screen, LogScreen))
        assert "$ echo oak > shelf1.box" in text(app)
        await pilot.press("end", "c")
        await settle(pilot, lambda: "Sent to the terminal" in text(app))
        assert app.clipboard == "echo fragile > label.box"
        reports = app._walk.store.folder.reports  # type: ignore[union-attr]
        assert (reports / "command.txt").read_text() == app.clipboard
        await pilot.press("w")
        await settle(pilot, (reports / "commands.sh").exists)
        script = (reports / "commands.sh").read_text()
        assert "\necho oak > shelf1.box\n" in script
        assert "abcd-efgh" not in script
        await pilot.press("slash", *"oak")
        await settle(pilot, lambda: "fragile" not in text(app).replace("label", ""))
        await pilot.press("escape", "escape")
        await settle(pilot, lambda: isinstance(app.screen, StepScreen))


async def test_help_names_the_keys_that_work_here(start: ToyStart) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, at(pilot, "shelf", "explain"))
        await pilot.press("question_mark")
        await settle(pilot, lambda: "command log" in text(app))
        assert "go to a step" in text(app)
        await pilot.press("enter")
        await settle(pilot, lambda: isinstance(app.screen, StepScreen))
        await go(pilot, "shelf", "ask")
        app.screen.query_one(AskForm).rows[0].focus_field()
        await pilot.press("f1")
        await settle(pilot, lambda: "quit; the session is saved" in text(app))
        # A letter is text there, not a command.
        assert "command log" not in text(app)


async def test_everything_is_removed_once_the_name_was_typed(start: ToyStart) -> None:
    app = assistant(start)
    async with app.run_test(size=SIZE) as pilot:
        await made(pilot)
        folder = steps(pilot).walk.store.folder.path
        app.action_clean_up()
        await settle(pilot, on_top(pilot, Confirm))
        yes = app.screen.query_one("#press-yes", Press)
        assert yes.disabled
        await pilot.press("shift+tab", *folder.name)
        await settle(pilot, lambda: not yes.disabled)
        await pilot.press("tab", "enter")
        await settle(pilot, at(pilot, "shelf", "undo"))
        assert list(folder.glob("*.box")) == []
        assert steps(pilot).walk.session.deeds == ()


async def test_ascii_terminals_get_nothing_else(start: ToyStart) -> None:
    app = assistant(start, ascii=True)
    async with app.run_test(size=SIZE) as pilot:
        await made(pilot)
        await go(pilot, "shelf", "prove")
        svg = app.export_screenshot(title="")
        shown = svg[svg.index("<g class=") :].replace("&#160;", " ")
        assert shown.isascii()
        assert "The box is there" in shown


def test_ascii_signs_are_as_wide_as_what_they_stand_for() -> None:
    assert in_ascii("✓ done · 3 → 4 …") == "v done . 3 > 4 ~"
    assert in_ascii("日本 ▸") == "???? >"


@pytest.mark.parametrize(("term", "wanted"), [("linux", True), ("xterm-256color", None)])
def test_the_linux_console_is_taken_for_ascii(term: str, wanted: bool | None) -> None:
    if wanted is not None:
        assert wants_ascii({"TERM": term}) is wanted
    else:
        assert isinstance(wants_ascii({"TERM": term}), bool)


async def test_without_colour_every_state_still_has_sign_and_word(
    start: ToyStart, knobs: Knobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    knobs.pass_proof = False
    app = assistant(start)
    async with app.run_test(size=(120, 40)) as pilot:
        await made(pilot)
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "prove"))
        assert "✓ The box is there" in text(app)
        assert "✗ It hangs straight" in text(app)
        assert "Not all checks passed" in outcome(pilot)
        strips = app.screen._compositor.render_strips()
        styles = {segment.style for strip in strips for segment in strip if segment.style}
        filters = app.get_line_filters()
        for strip in strips:
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, app.screen.background_colors[1])
            assert all(
                segment.style is None or not (segment.style.color or segment.style.bgcolor)
                for segment in strip
            )
        assert styles


async def test_a_crash_leaves_a_report_without_secrets_and_without_locals(
    start: ToyStart,
) -> None:
    app = assistant(start)
    app._redact.learn("canary-secret-17")

    def broken() -> None:
        hidden = "-".join(("canary", "local", "18"))
        raise ZeroDivisionError(f"canary-secret-17 {len(hidden)}")

    async def crash() -> None:
        async with app.run_test(size=SIZE) as pilot:
            await settle(pilot, at(pilot, "shelf", "explain"))
            app.call_later(broken)
            await settle(pilot, lambda: not app.is_running)

    with pytest.raises(ZeroDivisionError):
        await crash()
    (report,) = (start.home / "reports").iterdir()
    said = report.read_text()
    assert "ZeroDivisionError" in said
    assert "broken" in said
    assert "canary-secret-17" not in said
    assert "canary-local-18" not in said
    assert report.stat().st_mode & 0o077 == 0
    assert (
        "Something happened that this program does not know: ZeroDivisionError."
        in (app.last_words[0])
    )
    assert any(str(report) in line for line in app.last_words)
    assert any("resume" in line for line in app.last_words)


def test_a_lane_waits_for_the_one_before(start: ToyStart) -> None:
    posted: list[object] = []
    with start.saved.create("lab") as store:
        name = store.session.id

    def opened() -> Lane:
        return Lane(
            lambda: start.resume(
                name, lambda event: None, lambda ask, secret: None, lambda question: False
            ),
            posted.append,
        )

    first = opened()
    running = threading.Thread(target=first.run)
    running.start()
    while not posted:
        assert running.is_alive()
    second = Lane(first._open, posted.append, after=first)
    waiting = threading.Thread(target=second.run)
    waiting.start()
    first.close()
    running.join(10)
    second.close()
    waiting.join(10)
    assert not waiting.is_alive()
    assert all(getattr(each, "problem", None) is None for each in posted)


HEAVY = ("paramiko", "cryptography", "Tea", "aiohttp", "msgspec", "services.walk", "screens.step")


def test_the_first_screen_imports_nothing_heavy() -> None:
    code = f"""
import sys, app.assistant, screens.welcome
print([module for module in {HEAVY!r} if module in sys.modules])
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd()
    )
    assert ran.stdout.strip() == "[]"
