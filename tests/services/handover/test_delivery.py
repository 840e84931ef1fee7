"""Files into a folder: private, whole, and never over somebody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from services.handover.content import MARK, to_json
from services.handover.delivery import NAMES, deliver
from services.handover.html.document import document
from services.handover.metrics import prometheus
from services.problem import Exit, Problem
from tests.services.handover.sample import CONTENT, HOSTILE


def files() -> dict[str, bytes]:
    return {
        "report.html": document(CONTENT, "en"),
        "report.json": to_json(CONTENT),
        "nlb-mtls.prom": prometheus(CONTENT),
    }


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_and_its_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    written = deliver(folder, files())
    assert [each.path.name for each in written] == list(files())
    for each in written:
        assert each.path.read_bytes() == files()[each.path.name]
        assert each.size == each.path.stat().st_size
        if os.name == "posix":
            assert mode(each.path) == 0o600
    if os.name == "posix":
        assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)
    assert sorted(path.name for path in folder.iterdir()) == sorted(files())


def test_an_older_report_is_replaced_with_all_its_parts(tmp_path: Path) -> None:
    deliver(tmp_path, {**files(), "live.svg": f"<!-- {MARK} -->".encode()})
    deliver(tmp_path, {**files(), "report.json": to_json(HOSTILE)})
    assert (tmp_path / "report.json").read_bytes() == to_json(HOSTILE)
    assert not (tmp_path / "live.svg").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_somebody_else_stays_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / name
    theirs.write_text("mine")
    with pytest.raises(Problem) as caught:
        deliver(tmp_path, files())
    assert caught.value.code == "handover.foreign-file"
    assert caught.value.exit is Exit.REFUSED
    assert str(theirs) in caught.value.words().what
    assert theirs.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_is_not_followed_wherever_it_leads(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(to_json(CONTENT))
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "report.json").symlink_to(elsewhere)
    with pytest.raises(Problem, match=r"handover\.foreign-file"):
        deliver(folder, files())


def test_a_folder_in_the_place_of_a_file_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(Problem, match=r"handover\.foreign-file"):
        deliver(tmp_path, files())


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(Problem, match=r"disk\.cannot-write"):
        deliver(tmp_path / "out", files())
