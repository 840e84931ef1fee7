"""The worker process: starts from anywhere, ends when told to and when its parent is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.probe import runner
from services.probe.outcome import Outcome
from services.probe.runner import run
from services.probe.tally import Tally
from services.probe.target import Target
from services.probe.wire import Line, Spec, target_from, target_map
from services.problem import Problem
from services.stop import Stop
from tests.services.probe.certificates import Certificates
from tests.services.probe.faulty import over_tls, serving, until_gone
from tests.services.probe.nginx import Nginx, eventually
from tests.services.probe.test_engine import target

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def spec(at: Target, **changes: object) -> bytes:
    found: Spec = {
        "target": target_map(at),
        "addresses": [("127.0.0.1", at.port)],
        "requests": None,
        "duration_s": None,
        "rate_per_s": None,
        "concurrency": 2,
    }
    return json.dumps({**found, **changes}).encode() + b"\n"


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "services.probe.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(output: bytes) -> list[Line]:
    return [json.loads(line) for line in output.splitlines()]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children() -> set[int]:
    listing = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children")
    return set(map(int, listing.read_text().split()))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_target_survives_the_wire(certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    at = replace(target(certs, 443), backends=("a", "b"), path="/x")
    assert target_from(json.loads(json.dumps(target_map(at)))) == at
    monkeypatch.chdir(certs.folder)
    assert target_map(replace(at, ca_file=Path("ca.crt")))["ca_file"] == str(at.ca_file)


def test_snapshots_are_cumulative_and_at_most_ten_a_second(balancer: Nginx) -> None:
    seen: list[Tally] = []
    tally = run(balancer.target(), duration_s=0.55, stop=Stop(), on_snapshot=seen.append)
    assert seen[-1] == tally
    counts = [each.requests for each in seen]
    assert counts == sorted(counts)
    assert 2 <= len(seen) <= 12
    assert tally.ok == tally.requests == sum(tally.backends.values()) > 0
    assert tally.tls_version == "TLSv1.3"
    assert tally.server_not_after.endswith("Z")
    assert tally.rates.history
    assert tally.requests_per_second > 0


@linux
def test_run_leaves_no_process_and_no_file_open(balancer: Nginx) -> None:
    before, processes = open_files(), children()
    run(balancer.target(), requests=5, stop=Stop())
    assert (open_files(), children()) == (before, processes)


def test_run_works_from_any_folder(
    balancer: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder of ours, ssl.py and all, must not be what the worker imports.
    (tmp_path / "ssl.py").write_text("raise SystemExit('wrong module')")
    (tmp_path / "services").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(balancer.target(), requests=3, stop=Stop()).ok == 3


@linux
def test_stop_ends_the_run_within_a_second_and_keeps_the_counts(
    balancer: Nginx, certs: Certificates
) -> None:
    stop, processes = Stop(), children()
    began: list[float] = []

    def stop_soon(tally: Tally) -> None:
        if tally.ok and not began:
            began.append(time.monotonic())
            stop.set()

    tally = run(balancer.target(), stop=stop, on_snapshot=stop_soon)
    assert time.monotonic() - began[0] < 1.5
    assert tally.ok > 0
    assert children() == processes


def test_stop_ends_a_run_that_hangs(certs: Certificates) -> None:
    stop = Stop()
    with serving(over_tls(certs, until_gone)) as server:

        def stop_when_hanging() -> None:
            eventually(lambda: server.accepted >= 2, "connections")
            stop.set()

        threading.Thread(target=stop_when_hanging).start()
        began = time.monotonic()
        tally = run(target(certs, server.port), concurrency=2, stop=stop)
        assert time.monotonic() - began < 5
    assert (tally.requests, tally.unfinished) == (0, 2)


@linux
def test_worker_that_does_not_stop_is_killed(
    balancer: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_KILL_AFTER_S", 0.1)
    processes, stop, counts = children(), Stop(), list[int]()

    def freeze(tally: Tally) -> None:
        counts.append(tally.requests)
        if not stop.is_set():
            (pid,) = children() - processes
            os.kill(pid, signal.SIGSTOP)
            stop.set()

    tally = run(balancer.target(), stop=stop, on_snapshot=freeze)
    assert tally.requests == counts[-1]
    assert children() == processes


def test_run_stopped_before_it_begins_does_nothing(balancer: Nginx) -> None:
    stop = Stop()
    stop.set()
    assert run(balancer.target(), requests=5, stop=stop) == Tally()


@linux
def test_error_in_a_snapshots_receiver_leaves_no_process(balancer: Nginx) -> None:
    before, processes = open_files(), children()

    def fail(tally: Tally) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(balancer.target(), stop=Stop(), on_snapshot=fail)
    assert (open_files(), children()) == (before, processes)


def test_name_that_does_not_resolve_is_one_failed_request(certs: Certificates) -> None:
    at = replace(target(certs, 443), host="no..such.host.invalid")
    tally = run(at, requests=100, stop=Stop())
    assert dict(tally.outcomes) == {Outcome.NAME_NOT_RESOLVING.value: 1}
    assert "no..such.host.invalid" in tally.samples[Outcome.NAME_NOT_RESOLVING.value]


@linux
def test_worker_killed_from_outside_is_a_problem(balancer: Nginx) -> None:
    processes = children()

    def murder(tally: Tally) -> None:
        for pid in children() - processes:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(Problem) as caught:
        run(balancer.target(), stop=Stop(), on_snapshot=murder)
    assert caught.value.code == "probe.worker"
    assert "-9" in caught.value.evidence
    assert caught.value.words().remedy


def test_worker_ends_on_sigterm_with_its_last_counts(balancer: Nginx) -> None:
    with worker() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(spec(balancer.target()))
        process.stdin.flush()
        first = json.loads(process.stdout.readline())
        process.terminate()
        last = lines(process.stdout.read())[-1]
        assert process.wait(5) == 0
    assert (first["final"], last["final"]) == (False, True)
    assert sum(last["tally"]["outcomes"].values()) >= sum(first["tally"]["outcomes"].values())


@linux
def test_worker_dies_with_the_process_that_started_it(certs: Certificates) -> None:
    program = (
        "import os, sys\n"
        "from services.probe import runner, worker\n"
        "from services.probe.target import Target\n"
        "from services.stop import Stop\n"
        "from services.probe.wire import target_from\n"
        "import json\n"
        "at = target_from(json.loads(sys.argv[1]))\n"
        "runner.run(at, concurrency=2, stop=Stop(), on_snapshot=lambda tally: print(flush=True))\n"
    )
    with serving(over_tls(certs, until_gone)) as server:
        at = target(certs, server.port)
        command = [sys.executable, "-c", program, json.dumps(target_map(at))]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            parent.stdout.readline()
            listing = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text()
            (pid,) = map(int, listing.split())
            assert alive(pid)
            parent.kill()
        eventually(lambda: not alive(pid), "the worker ends", seconds=5)


def test_worker_is_nice(certs: Certificates) -> None:
    with serving(until_gone) as server, worker() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(spec(target(certs, server.port)))
        process.stdin.flush()
        process.stdout.readline()
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(
            os.getpriority(os.PRIO_PROCESS, 0) + 10, 19
        )


def test_worker_without_work_ends(certs: Certificates) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "services.probe.worker"], input=b"", capture_output=True, check=True
    )
    assert (ran.stdout, ran.stderr) == (b"", b"")


def test_file_that_vanished_is_a_problem_not_a_traceback(certs: Certificates) -> None:
    at = replace(target(certs, 443), ca_file=certs.folder / "gone.crt")
    ran = subprocess.run(
        [sys.executable, "-m", "services.probe.worker"],
        input=spec(at, requests=1),
        capture_output=True,
        check=True,
    )
    (line,) = lines(ran.stdout)
    assert line["problem"] == "probe.file-unreadable"
    assert line["facts"]["file"].endswith("gone.crt")
    assert ran.stderr == b""


def test_worker_prints_no_secret(balancer: Nginx, certs: Certificates) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "services.probe.worker"],
        input=spec(balancer.target(), requests=5),
        capture_output=True,
        check=True,
    )
    key = certs.client.key_file.read_text().splitlines()[1]
    assert key.encode() not in ran.stdout + ran.stderr


def test_no_concurrency_is_a_mistake_of_the_caller(certs: Certificates) -> None:
    with pytest.raises(ValueError, match="concurrency"):
        run(target(certs, 443), concurrency=0, stop=Stop())
