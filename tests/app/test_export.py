"""`export report` by the real command, on a session that the lab really made."""

from __future__ import annotations

import base64
import json
import re
import stat
from pathlib import Path
from xml.etree import ElementTree

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.app.running import TOY, Program

FILES = {"report.html", "report.json", "live.svg", "nlb-mtls.prom"}


class Exported:
    """A session of the lab, all steps taken, and the report of it."""

    def __init__(self, folder: Path) -> None:
        self.program = Program(folder / "home")
        ran = self.program.run("lab", "--yes", "--json")
        assert ran.code == 0, ran.err
        self.session = str(ran.result["session"])
        self.shown_once = ran.err.strip().splitlines()[-1]
        self.folder = folder / "out"
        self.ended = self.program.run("export", "report", "-o", str(self.folder), "--json")

    @property
    def home(self) -> Path:
        return self.program.home

    def written(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("exported"))


def test_it_says_what_was_written(exported: Exported) -> None:
    assert exported.ended.code == 0, exported.ended.err
    result = exported.ended.result
    assert result["session"] == exported.session
    assert result["folder"] == str(exported.folder)
    told = {each["name"]: each["bytes"] for each in result["files"]}
    assert told == {name: len(data) for name, data in exported.written().items()}
    assert set(told) == FILES
    assert stat.S_IMODE(exported.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in exported.folder.iterdir()} == {0o600}


def test_the_parts_tell_the_same(exported: Exported) -> None:
    files = exported.written()
    report = json.loads(files["report.json"])
    assert report["session"] == exported.session
    proof = report["verification"]
    assert (proof["verdict"], proof["requests"]) == ("pass", 200)
    counts = {each["backend"]: each["count"] for each in proof["backends"]}
    assert sum(counts.values()) == 200
    assert [each["expected"] for each in proof["backends"]] == [0.5, 0.5]
    saved = exported.program.run("status", "--json").result
    assert [(each["kind"], each["id"]) for each in report["resources"]] == [
        (each["kind"], each["id"]) for each in saved["resources"]
    ]
    times = [each["time"] for each in report["resources"]]
    assert report["created"] < times[0] <= times[-1] < proof["time"]
    assert times == sorted(times)
    assert [each["role"] for each in report["certificates"]] == ["ca", "client", "server"]
    assert report["undo"]["command"] == f"nlb-mtls cleanup {exported.session}"
    removed = [each["kind"] for each in report["undo"]["removes"]]
    assert removed == [each["kind"] for each in reversed(saved["resources"])]
    codes = {each["code"] for each in report["remaining"]}
    assert {"browsers", "renewal"} <= codes
    assert "dns" not in codes, "the lab's DNS has the record"
    assert report["verification"]["dns"]["leads_to_balancer"] is True

    page = files["report.html"].decode()
    for words in (exported.session, "Verdict: pass", *removed, *counts):
        assert words in page

    metrics = list(text_string_to_metric_families(files["nlb-mtls.prom"].decode()))
    [answers] = [each for each in metrics if each.name == "nlb_mtls_backend_responses"]
    assert {each.labels["backend"]: each.value for each in answers.samples} == counts


def test_the_live_screen_is_drawn_as_the_program_shows_it(exported: Exported) -> None:
    picture = exported.written()["live.svg"]
    root = ElementTree.fromstring(picture)
    shown = "".join(root.itertext()).replace("\xa0", " ")
    assert "PASS since" in shown
    assert "https://www.example.com" in shown
    assert "responses 200 of 200" in shown
    assert "within chance" in shown
    assert not re.findall(rb"url\(['\"]?http|@font-face|@import|<script|<image", picture)
    inlined = f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
    assert inlined in exported.written()["report.html"].decode()


def test_no_secret_is_in_any_part(exported: Exported) -> None:
    keys = [path for path in exported.home.rglob("*") if path.is_file()]
    keys = [path for path in keys if path.suffix == ".key" or path.name.startswith("id_")]
    assert {path.name for path in keys} >= {"ca.key", "server.key", "client.key", "id_ed25519"}
    secrets = {exported.shown_once}
    for path in keys:
        # Each line of a key on its own, so that no way of wrapping hides it.
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        secrets |= {line for line in lines if len(line) >= 40 and "KEY-----" not in line}
    lab = json.loads((exported.home / "lab" / exported.session / "cloud.json").read_bytes())
    secrets |= {
        text
        for name, text in walk(lab)
        if re.search("secret|password|private_key|key_pem", name) and len(text) >= 8
    }
    assert len(secrets) > 6
    for name, data in exported.written().items():
        text = data.decode()
        if name == "report.html":
            for part in re.findall(r"base64,([A-Za-z0-9+/=]+)", text):
                text += base64.b64decode(part).decode()
        assert "PRIVATE KEY" not in text
        for secret in secrets:
            assert secret not in text, (name, secret[:4])


def walk(found: object, name: str = "") -> list[tuple[str, str]]:
    """Every text in JSON data, with the name under which it stands."""
    if isinstance(found, dict):
        return [pair for key, value in found.items() for pair in walk(value, str(key))]
    if isinstance(found, list):
        return [pair for value in found for pair in walk(value, name)]
    return [(name, found)] if isinstance(found, str) else []


def test_without_a_folder_it_lies_among_the_sessions_own_reports(exported: Exported) -> None:
    ended = exported.program.run("export", "report", exported.session)
    assert ended.code == 0
    reports = exported.home / "sessions" / exported.session / "reports"
    assert {path.name for path in reports.iterdir()} >= FILES
    assert [Path(line.strip()) for line in ended.out.splitlines()[1:]] == [
        reports / name for name in ("report.html", "report.json", "nlb-mtls.prom", "live.svg")
    ]


def test_over_a_file_of_somebody_else_it_refuses(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    ended = exported.program.run("export", "report", "-o", str(tmp_path), "--json")
    assert ended.code == 4
    assert ended.result["problem"]["code"] == "handover.foreign-file"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_what_was_only_begun_is_reported_as_such(tmp_path: Path) -> None:
    program = Program(tmp_path / "home")
    words = ("server.source=existing", "server.existing=nowhere")
    began = program.run("lab", "--yes", "--answer", words[0], "--answer", words[1])
    assert "server.not-found" in began.err
    ended = program.run("export", "report", "-o", str(tmp_path / "out"))
    assert ended.code == 0, ended.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES - {"live.svg"}
    report = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert report["verification"] is None
    assert [each["code"] for each in report["remaining"]][:2] == ["unfinished", "not-verified"]


def test_a_step_that_it_never_heard_of_is_reported_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    program = Program(tmp_path / "home", TOY, (("TOY_WORLD", str(tmp_path / "world")),))
    assert program.run("run", "--yes", "--answer", "toy.size=3").code == 0
    assert program.run("export", "report", "-o", str(tmp_path / "out")).code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert [(each["name"], each["state"]) for each in report["steps"]] == [("toy", "done")]
    assert ("Size", "3") in {(each["label"], each["value"]) for each in report["settings"]}
    assert report["resources"]
    assert report["undo"]["removes"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "of size 3" in page
    assert "Toy: Size" in page


@pytest.mark.parametrize("what", ["terraform", "ansible", "locust", ""])
def test_only_what_works_is_offered(exported: Exported, what: str) -> None:
    ended = exported.program.run("export", *([what] if what else []))
    assert ended.code == 2
    assert "nlb-mtls export --help" in ended.err
    offered = exported.program.run("export", "--help").out
    assert "report" in offered
    assert not what or what not in offered


def test_an_unknown_session_is_told(exported: Exported) -> None:
    ended = exported.program.run("export", "report", "20200101-000000")
    assert ended.code == 2
    assert "20200101-000000" in ended.err
