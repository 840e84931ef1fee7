"""The worker process: starts from anywhere, ends when told to and when its parent is gone."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from services.probe import runner
from services.probe.address import Address, Unresolved
from services.probe.outcome import Outcome
from services.probe.runner import run
from services.probe.tally import Tally
from services.probe.target import Target
from services.probe.wire import Line, Spec, target_from, target_map
from services.problem import Problem
from services.stop import Stop
from tests.services.probe.certificates import Certificates
from tests.services.probe.faulty import WHOLE, answers, over_tls, serving, until_gone
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


def test_no_worker_and_too_many_are_mistakes_of_the_caller(certs: Certificates) -> None:
    for workers in (0, runner.MOST_WORKERS + 1):
        with pytest.raises(ValueError, match="workers"):
            run(target(certs, 443), workers=workers, stop=Stop())


@linux
def test_workers_share_the_requests_and_their_tallies_add_up(balancer: Nginx) -> None:
    before, processes, most = open_files(), children(), 0

    def look(tally: Tally) -> None:
        nonlocal most
        most = max(most, len(children() - processes))

    at = balancer.target(path="/shared-by-workers")
    tally = run(
        at, requests=301, concurrency=7, workers=3, rate_per_s=900, stop=Stop(), on_snapshot=look
    )
    assert (tally.ok, tally.requests, tally.concurrency) == (301, 301, 7)
    assert dict(tally.backends) == balancer.logged("/shared-by-workers")
    assert tally.addresses == {f"127.0.0.1:{at.port}": {"ok": 301}}
    for histogram in (tally.latency, tally.connect, tally.tls_handshake, tally.first_byte):
        assert histogram.total == 301
    assert most == 3
    assert (open_files(), children()) == (before, processes)


@linux
def test_fewer_requests_than_workers_start_fewer(balancer: Nginx) -> None:
    assert run(balancer.target(), requests=1, workers=4, stop=Stop()).ok == 1


@linux
def test_one_of_two_workers_that_dies_is_told(balancer: Nginx) -> None:
    processes = children()

    def murder(tally: Tally) -> None:
        with suppress(ProcessLookupError):
            os.kill(min(children() - processes), signal.SIGKILL)

    with pytest.raises(Problem) as caught:
        run(balancer.target(), workers=2, stop=Stop(), on_snapshot=murder)
    assert (caught.value.code, caught.value.evidence) == ("probe.worker", "exit status -9")
    assert children() == processes


def test_workers_stop_together_and_keep_their_counts(certs: Certificates) -> None:
    stop = Stop()
    with serving(over_tls(certs, until_gone)) as server:

        def stop_when_hanging() -> None:
            eventually(lambda: server.accepted >= 4, "connections")
            stop.set()

        threading.Thread(target=stop_when_hanging).start()
        tally = run(target(certs, server.port), concurrency=4, workers=2, stop=stop)
    assert (tally.requests, tally.unfinished) == (0, 4)


def test_name_that_changes_under_way_is_followed(
    certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new address is used, and the one that vanished no longer."""
    monkeypatch.setattr(runner, "_LOOK_UP_EVERY_S", 0.01)
    monkeypatch.setattr(runner, "_LOOK_UP_AGAIN_S", 0.01)
    behave = over_tls(certs, answers(WHOLE))
    stop, moved, quiet_at = Stop(), threading.Event(), list[int]()
    with serving(behave, "127.0.0.1") as one, serving(behave, "127.0.0.2", one.port) as two:
        old, new = Address("127.0.0.1", one.port), Address("127.0.0.2", one.port)

        def look(tally: Tally) -> None:
            if tally.ok:
                moved.set()
            answered = tally.addresses.get(str(new), {}).get("ok", 0)
            if answered and not quiet_at:
                quiet_at.append(one.accepted)
            if answered > 50:
                stop.set()

        at = replace(target(certs, one.port), host="moving.invalid")
        tally = run(
            at,
            concurrency=2,
            stop=stop,
            on_snapshot=look,
            lookup=lambda: [new if moved.is_set() else old],
        )
        assert set(tally.addresses) == {str(old), str(new)}
        assert one.accepted == quiet_at[0]
        assert two.accepted >= 50


def test_name_is_looked_up_at_once_when_no_address_can_be_connected_to(
    certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_LOOK_UP_AGAIN_S", 0.01)
    stop = Stop()
    with serving(over_tls(certs, answers(WHOLE))) as server:
        places = [Address("127.0.0.9", server.port), Address("127.0.0.1", server.port)]

        def look(tally: Tally) -> None:
            if tally.ok:
                stop.set()

        def lookup() -> list[Address]:
            looked_up.append(places.pop(0) if len(places) > 1 else places[0])
            return looked_up[-1:]

        looked_up: list[Address] = []
        at = replace(target(certs, server.port), host="moving.invalid")
        began = time.monotonic()
        tally = run(at, rate_per_s=100, stop=stop, on_snapshot=look, lookup=lookup)
        assert time.monotonic() - began < 20  # and not the half minute of every look-up
    assert tally.ok
    assert tally.outcomes["connect-refused"]


def test_name_service_that_fails_under_way_ends_nothing(
    balancer: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_LOOK_UP_EVERY_S", 0.01)
    monkeypatch.setattr(runner, "_LOOK_UP_AGAIN_S", 0.01)
    asked: list[None] = []

    def lookup() -> list[Address]:
        asked.append(None)
        if len(asked) > 1:
            raise Unresolved("the name service is down")
        return [Address("127.0.0.1", balancer.mutual)]

    tally = run(balancer.target(), duration_s=0.5, stop=Stop(), lookup=lookup)
    assert tally.ok == tally.requests > 0
    assert len(asked) > 1


def limited(flag: str, files: int, at: Target, concurrency: int) -> Tally:
    """What a worker counts whose shell has lowered the limit on open files."""
    command = f"ulimit {flag} {files}; exec {shlex.quote(sys.executable)} -m services.probe.worker"
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(spec(at, requests=120, concurrency=concurrency))
        process.stdin.flush()
        return Tally.from_map(lines(process.stdout.read())[-1]["tally"])


@linux
def test_few_files_lower_the_concurrency_and_are_told(balancer: Nginx) -> None:
    tally = limited("-n", 24, balancer.target(), 64)
    assert dict(tally.outcomes) == {"ok": 120}
    assert 4 <= tally.limited_to < 24
    assert tally.concurrency == tally.limited_to


@linux
def test_soft_limit_on_files_is_raised(balancer: Nginx) -> None:
    tally = limited("-S -n", 24, balancer.target(), 64)
    assert dict(tally.outcomes) == {"ok": 120}
    assert (tally.limited_to, tally.concurrency) == (0, 64)


@linux
def test_memory_is_flat(certs: Certificates) -> None:
    def resident_kib(pid: int) -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def requests_so_far() -> int:
        assert process.stdout is not None
        line: Line = json.loads(process.stdout.readline())
        return sum(line["tally"]["outcomes"].values())

    with serving(says_and_closes) as server, worker() as process:
        assert process.stdin is not None
        at = replace(target(certs, server.port), tls=False)
        process.stdin.write(spec(at, concurrency=4))
        process.stdin.flush()
        eventually(lambda: requests_so_far() >= 500, "the first requests")
        early = resident_kib(process.pid)
        eventually(lambda: requests_so_far() >= 5000, "many requests", 60)
        assert resident_kib(process.pid) - early < 1024


def says_and_closes(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(WHOLE)


def test_phases_and_the_servers_clock_are_seen(balancer: Nginx) -> None:
    tally = run(balancer.target(), requests=20, stop=Stop())
    p50 = [
        histogram.percentile_s(0.5) or 0
        for histogram in (tally.connect, tally.tls_handshake, tally.first_byte, tally.latency)
    ]
    assert all(each > 0 for each in p50)
    assert max(p50[:3]) <= p50[3]
    assert tally.server_date_skew_s is not None
    assert abs(tally.server_date_skew_s) < 2
    assert set(tally.backend_seconds) == set(tally.backends)
    assert 16 <= tally.concurrency <= 256


def test_failing_backends_are_named(balancer: Nginx, certs: Certificates) -> None:
    page = b"HTTP/1.1 503 Sorry\r\nX-Backend: web-7\r\nContent-Length: 0\r\n\r\n"
    with serving(over_tls(certs, answers(page))) as server:
        at = replace(target(certs, server.port), backend_header="X-Backend")
        tally = run(at, requests=3, stop=Stop())
    assert tally.failures_by_backend == {"web-7": {"http-5xx": 3}}
