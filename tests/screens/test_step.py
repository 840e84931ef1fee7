"""The one screen for every step, driven as a person drives it, over a real walk on toy steps."""

from __future__ import annotations

import threading

import pytest
from textual.app import App
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

from app.assistant import Assistant
from screens.confirm import Confirm
from screens.host_key import HostKey
from screens.phases.ask import AskForm
from screens.secret import Secret
from screens.widgets.field import FieldRow, Offers
from services.problem import Problem
from services.redact import Redactor
from tests.screens.settle import at, go, on_top, outcome, presses, settle, steps, text, words
from tests.screens.toy import Knobs, ToyStart

SIZE = (80, 24)


@pytest.fixture
def app(start: ToyStart) -> Assistant:
    return Assistant(lambda: start, "lab", start.home, Redactor())


def row(app: App[int], name: str) -> FieldRow:
    found = app.screen.query_one(AskForm).row(name)
    assert found is not None
    return found


async def to_form(pilot: Pilot[int]) -> None:
    await go(pilot, "shelf", "ask")


async def make(pilot: Pilot[int]) -> None:
    """From the preview of the first step until it is made, the secret noted."""
    await settle(pilot, at(pilot, "shelf", "preview"))
    await pilot.press("enter")
    await settle(pilot, on_top(pilot, Secret))
    await pilot.press("enter")
    await settle(pilot, at(pilot, "shelf", "act"))


async def change(pilot: Pilot[int], name: str, value: str) -> None:
    """Put another value into a field, and leave by Enter."""
    field = row(pilot.app, name)
    field.focus_field()
    await pilot.press(*value, "enter")
    await settle(pilot, at(pilot, "shelf", "preview"))


async def test_enter_alone_walks_through_all_phases(app: Assistant, start: ToyStart) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, at(pilot, "shelf", "explain"))
        assert "Makes a shelf" in text(app)
        assert "[lab]" in text(app)
        await go(pilot, "shelf", "preview")
        assert words(pilot, "#count") == ("2 to make, 0 to adopt, 0 to remove, 0 there already")
        assert "nothing done yet" in text(app)
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Secret))
        assert "abcd-efgh-ijkl" in text(app)
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "act"))
        assert "made shelf1.box" in text(app)
        await go(pilot, "lamp", "explain")
        session = steps(pilot).walk.session
        assert [deed.resource for deed in session.deeds] == ["shelf1.box", "label"]
        assert session.proofs["shelf"].passed
    assert start.closed.wait(10)


async def test_a_wrong_answer_is_told_on_leaving_and_mended_by_typing(app: Assistant) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        name = row(app, "shelf.name")
        name.focus_field()
        await pilot.press("x", "!")
        await pilot.pause()
        assert not name.is_wrong
        await pilot.press("tab")
        await settle(pilot, lambda: name.is_wrong)
        assert '"x!" is no name. Only letters and digits are. Leave out the rest.' in str(
            name.query_one(".error").render()
        ).replace("\n", " ")
        name.focus_field()
        await pilot.press("end", "backspace")
        await settle(pilot, lambda: not name.is_wrong)
        assert steps(pilot).walk.session.answers["shelf.name"] == "x"


async def test_a_wrong_answer_keeps_enter_at_the_field(app: Assistant) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        name = row(app, "shelf.name")
        name.focus_field()
        await pilot.press("x", "!", "enter")
        await settle(pilot, lambda: name.is_wrong and not steps(pilot).busy)
        assert steps(pilot).phase == "ask"
        assert name.has_focus_within


@pytest.mark.parametrize("typed", ["", "!?", "half"])
async def test_back_is_never_held_up_and_loses_nothing(app: Assistant, typed: str) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        name = row(app, "shelf.name")
        name.focus_field()
        await pilot.press("delete", *typed)
        await pilot.press("escape")
        await settle(pilot, at(pilot, "shelf", "explain"))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "ask"))
        assert row(app, "shelf.name").text == typed


async def test_an_answer_is_on_disk_before_anyone_says_next(
    app: Assistant, start: ToyStart
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        row(app, "shelf.name").focus_field()
        await pilot.press("end", "x")
        session = steps(pilot).walk.session.id
        await settle(
            pilot, lambda: start.saved.read(session).answers.get("shelf.name") == "shelf1x"
        )


async def test_looking_at_a_form_answers_nothing(app: Assistant, start: ToyStart) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        await settle(pilot, lambda: len(row(app, "shelf.wood").offered) == 2)
        await pilot.press("tab", "tab", "tab", "escape")
        await settle(pilot, at(pilot, "shelf", "explain"))
        assert steps(pilot).walk.session.answers == {}


async def test_one_answer_brings_another_question(app: Assistant) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        wood = row(app, "shelf.wood")
        await settle(pilot, lambda: len(wood.offered) == 2)
        wood.focus_field()
        await pilot.press("down", "down", "enter")
        await settle(pilot, lambda: app.screen.query_one(AskForm).row("shelf.note") is not None)
        names = [each.name_of_ask for each in app.screen.query_one(AskForm).rows]
        assert names == ["shelf.name", "shelf.wood", "shelf.note", "shelf.code"]
        assert "pine wood" in text(app)


async def test_a_picker_loads_offers_and_can_be_left(app: Assistant, knobs: Knobs) -> None:
    knobs.hold_offers = threading.Event()
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        await settle(pilot, lambda: "loading" in text(app))
        knobs.hold_offers.set()
        wood = row(app, "shelf.wood")
        await settle(pilot, lambda: len(wood.offered) == 2)
        wood.focus_field()
        await pilot.press("down")
        await settle(pilot, lambda: wood.query_one(Offers).has_focus)
        await pilot.press("escape")
        await settle(pilot, lambda: wood.query_one(Input).has_focus)
        assert wood.text == "oak"


async def test_a_picker_without_a_list_takes_free_text(app: Assistant, knobs: Knobs) -> None:
    knobs.offers = Problem("shelf.no-shop")
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        await settle(pilot, lambda: "no list" in text(app))
        assert "The shop is shut. Type it instead." in text(app)
        row(app, "shelf.wood").focus_field()
        await pilot.press(*"teak", "enter")
        await settle(pilot, at(pilot, "shelf", "preview"))
        assert "box shelf1 of teak" in text(app)


async def test_a_secret_is_asked_twice_and_stays_off_disk(app: Assistant, start: ToyStart) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await to_form(pilot)
        code = row(app, "shelf.code")
        code.query_one("#secret").focus()
        await pilot.press(*"canary17")
        assert "canary17" not in text(app)
        assert "••••••••" in text(app)
        await pilot.press("tab", *"canary18", "enter")
        await settle(pilot, lambda: code.is_wrong)
        assert "not the same" in text(app)
        code.query_one("#again").focus()
        await pilot.press("backspace", "7", "ctrl+c", "enter")
        await settle(pilot, at(pilot, "shelf", "preview"))
        assert app.clipboard == ""
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "act"))
        folder = steps(pilot).walk.store.folder.path
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"canary17" not in path.read_bytes()


async def test_a_paste_of_several_lines_is_refused_with_words(app: Assistant) -> None:
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await to_form(pilot)
        name = row(app, "shelf.name")
        name.focus_field()
        await pilot.pause()
        name.query_one(Input).post_message(Paste("-----BEGIN\nX\n-----END\n"))
        await settle(pilot, lambda: "more than one line" in text(app))
        assert name.text == "shelf1"
        assert steps(pilot).phase == "ask"


async def test_a_failure_shows_the_problem_and_can_be_retried(app: Assistant, knobs: Knobs) -> None:
    knobs.fail_next = True
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        await pilot.press("enter")
        await settle(pilot, lambda: outcome(pilot) != "" and not steps(pilot).busy)
        assert "shelf1 broke.\n  Old wood.\n→ Glue it.\n  evidence: E42 [/red]" in outcome(pilot)
        assert presses(pilot) == ["Change answers", "Undo this step", "Leave", "Retry"]
        assert "✗ make" in text(app)
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Secret))


async def test_a_changed_answer_shows_what_goes_before_anything_goes(
    app: Assistant, start: ToyStart
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        await make(pilot)
        await go(pilot, "shelf", "prove")
        await pilot.press("escape")
        await settle(pilot, at(pilot, "shelf", "ask"))
        await change(pilot, "shelf.name", "other")
        assert "2 to make, 0 to adopt, 2 to remove" in words(pilot, "#count")
        assert "- remove  label" in text(app)
        assert presses(pilot) == ["Back", "Copy command", "Do these 4"]
        folder = steps(pilot).walk.store.folder.path
        assert (folder / "shelf1.box").exists()
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Confirm))
        assert "box shelf1 of oak shelf1.box" in text(app)
        # It rests on the way out.
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "preview"))
        assert (folder / "shelf1.box").exists()
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Confirm))
        await pilot.press("shift+tab", "enter")
        await settle(pilot, on_top(pilot, Secret))
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "act"))
        assert not (folder / "shelf1.box").exists()
        assert (folder / "other.box").exists()


async def test_enter_held_down_removes_nothing(app: Assistant) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        await make(pilot)
        await pilot.press("tab", "tab")  # to "Change answers"
        await settle(pilot, lambda: app.focused is not None)
        await steps(pilot).action_back()
        await settle(pilot, at(pilot, "shelf", "ask"))
        await change(pilot, "shelf.name", "other")
        folder = steps(pilot).walk.store.folder.path
        for _ in range(2):
            # Sixty repeats are two seconds of a key held down.
            for _ in range(60):
                await pilot.press("enter")
            assert (folder / "shelf1.box").exists()


async def test_undo_of_a_failed_step_removes_what_it_made(app: Assistant, knobs: Knobs) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        knobs.hold = threading.Event()
        await pilot.press("enter")
        await settle(pilot, knobs.holding.is_set)
        app._halt()
        await settle(pilot, at(pilot, "shelf", "act"))
        knobs.hold = None
        await pilot.press("tab", "tab", "tab")
        assert app.focused is not None
        assert app.focused.id == "press-undo"
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Confirm))
        assert "Remove this? Only what this session made goes" in text(app)
        await pilot.press("shift+tab", "enter")
        await settle(pilot, at(pilot, "shelf", "undo"))
        assert outcome(pilot) == "Removed. Nothing else was touched."
        assert steps(pilot).walk.session.deeds == ()
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "explain"))


async def test_go_on_anyway_is_chosen_on_purpose_and_recorded(app: Assistant, knobs: Knobs) -> None:
    knobs.pass_proof = False
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        await make(pilot)
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "prove"))
        assert presses(pilot) == ["Back", "Change answers", "Go on anyway", "Look again"]
        assert "✗ It hangs straight" in text(app)
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "prove"))
        await pilot.press("left", "enter")
        await settle(pilot, on_top(pilot, Confirm))
        await pilot.press("enter")
        await settle(pilot, lambda: not isinstance(app.screen, Confirm))
        assert steps(pilot).step.NAME == "shelf"
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Confirm))
        await pilot.press("shift+tab", "enter")
        await settle(pilot, at(pilot, "lamp", "explain"))
        assert steps(pilot).walk.session.proofs["shelf"].accepted


async def test_stop_comes_after_ten_seconds_and_says_what_may_be(
    app: Assistant, knobs: Knobs
) -> None:
    knobs.hold = threading.Event()
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        screen = steps(pilot)
        await pilot.press("enter")
        await settle(pilot, lambda: "▸ make" in text(app))
        assert presses(pilot) == ["Working…"]
        await pilot.press("escape")
        assert screen.busy
        screen._since -= 11
        await screen._tick()
        assert presses(pilot) == ["Stop", "Working…"]
        screen.query_one("#press-stop").focus()
        await pilot.press("enter")
        await settle(pilot, at(pilot, "shelf", "act"))
        assert "may have happened" in outcome(pilot)
        assert presses(pilot) == ["Change answers", "Undo this step", "Leave", "Retry"]
        knobs.hold = None
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Secret))


async def test_an_unknown_host_key_rests_on_do_not_connect(app: Assistant, knobs: Knobs) -> None:
    knobs.ask_host_key = True
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, HostKey))
        assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in text(app)
        assert "SHA256:abc" in text(app)
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Secret))
        assert knobs.answers_to_host_key == [False]


async def test_a_secret_not_noted_is_released_by_stopping(app: Assistant) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await go(pilot, "shelf", "preview")
        await pilot.press("enter")
        await settle(pilot, on_top(pilot, Secret))
        app._halt()
        await settle(pilot, at(pilot, "shelf", "act"))
        assert "Stopped" in outcome(pilot)


async def test_go_to_offers_only_what_can_be_reached(app: Assistant) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, at(pilot, "shelf", "explain"))
        await pilot.press("g")
        await settle(pilot, lambda: "Go to a step" in text(app))
        assert "comes after Shelf" in text(app)
        await pilot.press("down", "enter")
        await settle(pilot, at(pilot, "shelf", "explain"))


async def test_the_rail_shows_on_wide_screens(app: Assistant) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, at(pilot, "shelf", "explain"))
        assert "▸ 0 Shelf" in text(app)
        assert "0 Shelf · explain" in words(pilot, "#title")
        await pilot.resize_terminal(80, 24)
        await settle(pilot, lambda: words(pilot, "#title") == "0/2 Shelf · explain")
        assert "1 Lamp" not in text(app)
