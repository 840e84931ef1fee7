"""Sessions on disk: what is written survives a cut at any byte, and nothing is lost or guessed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.problem import Problem
from services.session.model import (
    Adopted,
    Answered,
    AnyEntry,
    Begun,
    Created,
    Deed,
    Done,
    Failed,
    Looked,
    Proof,
    Session,
    Undone,
)
from services.session.store import Sessions, history

NOW = "2026-11-24T12:00:00.000Z"
names = st.sampled_from(["a", "b", "c"])
texts = st.text(max_size=8)
facts = st.dictionaries(names, texts, max_size=2)


@st.composite
def deeds(draw: st.DrawFn, made: bool) -> Deed:
    return Deed(
        id=draw(names),
        step=draw(names),
        action="Toy",
        params={"name": draw(texts)},
        token="t" if made else "",
        state="begun" if made else "done",
        made=made,
        facts={} if made else draw(facts),
    )


entries: st.SearchStrategy[AnyEntry] = st.one_of(
    st.builds(Answered, time=st.just(NOW), name=names, value=st.none() | texts),
    st.builds(Looked, time=st.just(NOW), step=names, facts=facts),
    st.builds(Begun, time=st.just(NOW), deed=deeds(made=True)),
    st.builds(Done, time=st.just(NOW), id=names, resource=texts, facts=facts),
    st.builds(Adopted, time=st.just(NOW), deed=deeds(made=False)),
    st.builds(Failed, time=st.just(NOW), id=names, code=texts),
    st.builds(Undone, time=st.just(NOW), id=names, why=st.just("removed")),
    st.builds(Proof, time=st.just(NOW), step=names, passed=st.booleans()),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(entries, max_size=12), cut=st.integers(0, 400))
def test_any_cut_of_the_journal_is_a_moment_that_was(
    tmp_path_factory: pytest.TempPathFactory, history: list[AnyEntry], cut: int
) -> None:
    sessions = Sessions(tmp_path_factory.mktemp("home"))
    with sessions.create("lab") as store:
        moments = [store.session]
        for entry in history:
            moments.append(store.record(entry))
        folder = store.folder
    data = folder.journal.read_bytes()
    folder.snapshot.unlink()
    first = data.index(b"\n") + 1
    folder.journal.write_bytes(data[: max(first, len(data) - cut)])
    with sessions.open() as store:
        assert store.session in moments
        again = store.record(Answered(time=NOW, name="a", value="after the cut"))
    assert sessions.read(again.id) == again


def test_a_journal_ahead_of_its_snapshot_wins(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    with sessions.create("lab") as store:
        before = store.folder.snapshot.read_bytes()
        after = store.record(Answered(time=NOW, name="a", value="x"))
        store.folder.snapshot.write_bytes(before)
    assert sessions.read() == after


def test_what_is_recorded_together_is_whole_or_not_at_all(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    with sessions.create("lab") as store:
        alone = sessions.read()
        with store.together():
            store.record(Answered(time=NOW, name="a", value="x"))
            store.record(Answered(time=NOW, name="b", value="y"))
            assert sessions.read() == alone
        assert sessions.read() == store.session
    assert store.session.answers == {"a": "x", "b": "y"}


def test_a_broken_snapshot_is_moved_aside_and_rebuilt_from_the_journal(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    with sessions.create("lab") as store:
        whole = store.record(Answered(time=NOW, name="a", value="x"))
        folder = store.folder
    folder.snapshot.write_bytes(b"{ not json")
    with pytest.raises(Problem) as caught:
        sessions.read()
    assert caught.value.code == "session.broken"
    aside = Path(caught.value.facts["path"])
    assert aside.read_bytes() == b"{ not json"
    assert aside.parent == folder.path
    assert sessions.read() == whole


def test_a_newer_session_is_left_alone(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    with sessions.create("lab") as store:
        folder = store.folder
    folder.snapshot.write_bytes(b'{"format": 99, "strange": true}')
    with pytest.raises(Problem) as caught:
        sessions.read()
    assert caught.value.code == "session.newer"
    assert folder.snapshot.read_bytes() == b'{"format": 99, "strange": true}'


def test_a_damaged_line_that_nothing_covers_is_a_problem(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    with sessions.create("lab") as store:
        folder = store.folder
    folder.snapshot.unlink()
    folder.journal.write_bytes(b"garbage\n" + folder.journal.read_bytes())
    with pytest.raises(Problem) as caught:
        sessions.read()
    assert caught.value.code == "session.journal-broken"
    assert [problem for _, problem in _problems(sessions)] == ["session.journal-broken"]


def test_the_history_is_told_in_order_without_what_is_damaged(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    with sessions.create("lab") as store:
        for name in ("a", "b"):
            store.record(Answered(time=NOW, name=name, value="1"))
        folder = store.folder
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(lines[0] + b"garbage\n" + lines[2] + b'{"n": 4, "entry"')
    created, answered = history(folder, sessions.read())
    assert isinstance(created, Created)
    assert answered == Answered(time=NOW, name="b", value="1")


def _problems(sessions: Sessions) -> list[tuple[str, str]]:
    return [(each[0], each[1].code) for each in sessions.all() if not isinstance(each, Session)]


def test_only_one_process_holds_a_session(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    code = (
        "import sys; from pathlib import Path; from services.session.store import Sessions;"
        "from services.problem import Problem\n"
        "try:\n with Sessions(Path(sys.argv[1])).open(): print('held')\n"
        "except Problem as problem: print(problem.code)"
    )
    with sessions.create("lab"):
        command = [sys.executable, "-c", code, str(tmp_path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "session.in-use"
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "held"


@pytest.mark.parametrize("name", ["../evil", "nothing", "/etc", ""])
def test_an_unknown_session_is_a_problem(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem) as caught:
        Sessions(tmp_path).read(name)
    assert caught.value.code in ("session.not-found", "session.none")


@pytest.mark.skipif(os.name != "posix", reason="POSIX permission bits")
def test_everything_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Sessions(home).create("lab"):
        pass
    for path in [home, *home.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_the_latest_session_is_the_one_that_changed_last(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    with sessions.create("lab", datetime(2026, 1, 1, tzinfo=UTC)) as first:
        with sessions.create("lab", datetime(2026, 1, 2, tzinfo=UTC)) as second:
            os.utime(second.folder.journal, ns=(1, 1))
        assert sessions.latest() == first.session.id
    ids = [each.id for each in sessions.all() if isinstance(each, Session)]
    assert ids == [first.session.id, second.session.id]


def test_the_snapshot_is_readable_json(tmp_path: Path) -> None:
    with Sessions(tmp_path).create("lab") as store:
        found = msgspec.json.decode(store.folder.snapshot.read_bytes())
    assert found["place"] == "lab"
    assert found["format"] == 1
