"""Where a walk takes place: the lab of its own, a lab that somebody runs, or the cloud."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import lab_process
from app.lab_process import LabSettings
from app.wiring import Wiring
from services.events import Event
from services.hosts.port import HostKeyQuestion
from services.problem import Problem
from services.session.model import Begun, Deed
from services.session.store import Sessions
from services.world import World


def heard(event: Event) -> None:
    return None


def reveal(name: str, secret: str) -> None:
    return None


def refuse(question: HostKeyQuestion) -> bool:
    return False


def world(walk: object) -> World:
    found = walk._world  # type: ignore[attr-defined]
    assert isinstance(found, World)
    return found


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A web server that is no lab."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return None

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_lab_is_started_used_and_stopped(tmp_path: Path) -> None:
    wiring = Wiring(tmp_path / "home", {}, LabSettings(backends=3))
    with wiring.new("lab", heard, reveal, refuse) as walk:
        assert walk.session.place == "lab"
        assert world(walk).place == "lab"
        answers = walk.session.answers
        assert answers["prepare.domain"] == "www.example.com"
        assert answers["hosts.ECS03.fingerprint"].startswith("SHA256:")
        note = tmp_path / "home" / "lab" / walk.session.id / "running.json"
        assert note.stat().st_mode & 0o777 == 0o600
        (host, port), *others = world(walk).locate("anything.aliyuncs.com", 443)
        assert host == "127.0.0.1"
        assert port not in (0, 443)
        # Another zone is another address of this computer, where it has one.
        assert all(there != host for there, _ in others)
        # A listener that does not exist is a closed port here, never one on the real network.
        assert world(walk).locate("www.example.com", 8443)[0][0] == "127.0.0.1"
        session = walk.session.id
    assert not note.exists()
    assert [each.id for each in wiring.sessions() if not isinstance(each, tuple)] == [session]


def test_names_are_looked_up_in_the_labs_own_dns(tmp_path: Path) -> None:
    wiring = Wiring(tmp_path / "home", {}, LabSettings(faults=("name-points-elsewhere",)))
    with wiring.new("lab", heard, reveal, refuse) as walk:
        lookup, locate = world(walk).lookup, world(walk).locate
        api = lab_process.Lab.described(
            json.loads((tmp_path / "home" / "lab" / walk.session.id / "running.json").read_bytes())
        ).api
        balancer = next(iter(set(names(api)) - {"www.example.com"}))
        assert lookup("nowhere.example.com") == ()
        assert lookup("WWW.example.com.") == ["203.0.113.99"]
        assert lookup(balancer) == ["203.0.113.1", "203.0.113.2"]
        switch(api, "DELETE", "name-points-elsewhere")
        assert lookup("www.example.com") == lookup(balancer)
        switch(api, "PUT", "name-not-resolving")
        assert lookup("www.example.com") == ()
        # The balancer is where it was, whatever the domain's owner has done.
        assert locate(balancer, 443) == locate("www.example.com", 443)
    with pytest.raises(OSError, match="does not answer"):
        lookup("www.example.com")


def names(api: str) -> Mapping[str, Sequence[str]]:
    found = lab_process.running(api)
    assert found is not None
    return found.names


def switch(api: str, method: str, fault: str) -> None:
    connection = http.client.HTTPConnection(api.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, f"/_lab/faults/{fault}")
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def test_looking_shares_the_lab_that_runs(tmp_path: Path) -> None:
    wiring = Wiring(tmp_path / "home", {})
    with (
        wiring.new("lab", heard, reveal, refuse) as walk,
        wiring.look(walk.session.id, heard) as other,
    ):
        assert world(other).locate("x", 443) == world(walk).locate("x", 443)


def test_a_port_that_was_taken_meanwhile_is_answered_anew(tmp_path: Path) -> None:
    wiring = Wiring(tmp_path / "home", {})
    with wiring.new("lab", heard, reveal, refuse) as walk:
        session = walk.session
        before = dict(session.answers)
        walk.answer("hosts.ECS02.user", "somebody")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(before["hosts.ECS01.port"])))
        taken.listen()
        with wiring.resume(session.id, heard, reveal, refuse) as walk:
            after = walk.session.answers
    assert after["hosts.ECS01.port"] != before["hosts.ECS01.port"]
    assert after["hosts.ECS02.port"] == before["hosts.ECS02.port"]
    assert after["hosts.ECS02.user"] == "somebody"


def test_what_answers_otherwise_is_no_lab(tmp_path: Path) -> None:
    for status, body in ((200, b"hello"), (200, b"{}"), (404, b"{}"), (200, b"[]")):
        with answering(status, body) as api:
            assert lab_process.running(api) is None
            wiring = Wiring(tmp_path / "home", {"NLB_MTLS_API": api})
            with wiring.new("cloud", heard, reveal, refuse) as walk:
                assert walk.session.place == "cloud"
    assert lab_process.running("http://127.0.0.1:1") is None
    assert lab_process.running("https://127.0.0.1:1") is None
    assert lab_process.running("nonsense") is None


def test_in_the_cloud_names_are_left_to_whoever_dials(tmp_path: Path) -> None:
    with Wiring(tmp_path / "home", {}).new("cloud", heard, reveal, refuse) as walk:
        assert world(walk).locate("nlb-1.aliyuncs.com", 443) == [("nlb-1.aliyuncs.com", 443)]


def test_a_session_that_made_nothing_and_failed_leaves_no_trace(tmp_path: Path) -> None:
    wiring = Wiring(tmp_path / "home", {})
    with (
        pytest.raises(Problem, match="toy"),
        wiring.new("cloud", heard, reveal, refuse),
    ):
        raise Problem("toy.broken")
    assert wiring.sessions() == []
    with wiring.new("cloud", heard, reveal, refuse):
        """Left without a failure it stays: a person may have typed answers."""
    assert len(wiring.sessions()) == 1


def test_a_lab_that_cannot_start_says_why(tmp_path: Path) -> None:
    wiring = Wiring(tmp_path / "home", {}, LabSettings(faults=("no-such",)))
    with pytest.raises(Problem) as raised, wiring.new("lab", heard, reveal, refuse):
        raise AssertionError("it started")
    assert raised.value.code == "app.lab-failed"
    assert "no-such" in raised.value.evidence
    assert wiring.sessions() == []
    assert list((tmp_path / "home" / "lab").iterdir()) == []


def test_a_lab_session_without_its_lab_is_a_problem(tmp_path: Path) -> None:
    deed = Deed(id="toy.thing", step="toy", action="MakeThing", params={})
    with Sessions(tmp_path / "home").create("lab") as store:
        session = store.session.id
        store.record(Begun(time=store.session.changed, deed=deed))
    wiring = Wiring(tmp_path / "home", {})
    with (
        pytest.raises(Problem, match=r"app\.lab-gone"),
        wiring.resume(session, heard, reveal, refuse),
    ):
        raise AssertionError("it opened")


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, False),
        ({"ALIBABA_CLOUD_ACCESS_KEY_ID": "a"}, False),
        ({"ALIBABA_CLOUD_ACCESS_KEY_ID": "a", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "b"}, True),
        ({"ALIBABA_CLOUD_ECS_METADATA": "role"}, True),
        ({"ALIBABA_CLOUD_CREDENTIALS_FILE": "keys.ini"}, True),
    ],
)
def test_credentials_are_found_where_the_vendor_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], found: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.ini").touch()
    wiring = Wiring(tmp_path / "home", {"HOME": str(tmp_path / "nobody"), **environment})
    assert wiring.has_credentials() is found
