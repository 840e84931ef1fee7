"""The tally against the backends' own access logs: the same numbers, exactly, always."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.app.running import Program, until
from tests.end_to_end.conftest import RunningLab
from tests.end_to_end.test_six_steps import clean, run

BACKENDS = ("ECS01", "ECS02")
LINE = re.compile(r'127\.0\.0\.1 - - \[[^]]+\] "GET / HTTP/1\.1" (\d+) \d+ "-" "nlb-mtls"')
"""nginx's combined format, of a request by the verifier; direct probes are curl's."""


@pytest.fixture(scope="module")
def home(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("logs") / "home"
    try:
        run(lab, folder, {"verify.requests": "10"})
        yield folder
    finally:
        clean(lab, folder)


def logged(lab: RunningLab) -> dict[str, Counter[str]]:
    """By backend, how many requests of the verifier ended with which status."""
    return {
        name: Counter(
            found[1]
            for line in access_log(lab, name).read_text().splitlines()
            if (found := LINE.fullmatch(line))
        )
        for name in BACKENDS
    }


def access_log(lab: RunningLab, name: str) -> Path:
    return lab.folder / "hosts" / name / "root" / "var" / "log" / "nginx" / "access.log"


def since(
    lab: RunningLab, before: dict[str, Counter[str]]
) -> tuple[dict[str, dict[str, int]], int]:
    now = {name: seen - before[name] for name, seen in logged(lab).items()}
    return {name: dict(seen) for name, seen in now.items()}, sum(
        seen.total() for seen in now.values()
    )


@pytest.mark.parametrize("requests", [1, 777])
def test_every_request_is_one_line(lab: RunningLab, home: Path, requests: int) -> None:
    before = logged(lab)
    ended = lab.program(home).run(
        "verify", "--json", "--requests", str(requests), "--concurrency", "32"
    )
    seen, total = since(lab, before)
    assert ended.result["requests"] == ended.result["ok"] == total == requests
    told = {name: {"200": count} for name, count in ended.result["backends"].items() if count}
    assert {name: statuses for name, statuses in seen.items() if statuses} == told


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ("backend-cut", {"200": 100}),
        ("backend-error", {"500": 100}),
        ("backend-redirects", {"301": 100}),
        ("backend-garbage", {}),
    ],
)
def test_failed_requests_are_lines_too(
    lab: RunningLab, home: Path, fault: str, statuses: dict[str, int]
) -> None:
    before = logged(lab)
    with lab.fault(fault):
        ended = lab.program(home).run("verify", "--json", "--requests", "200")
    result = ended.result
    assert (result["requests"], result["ok"], result["failed"]) == (200, 100, 100)
    until(lambda: since(lab, before)[0] == {"ECS01": {"200": 100}, "ECS02": statuses})


def test_several_verifiers_at_once(lab: RunningLab, home: Path) -> None:
    before = logged(lab)
    result = lab.program(home).run("status", "--json").result
    pki = home / "sessions" / result["session"] / "pki"
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                Program(home).started(
                    "verify", "--json", "--requests", "200", "--connect", lab.connect,
                    "--name", "www.example.com", "--cert", str(pki / "client.crt"),
                    "--key", str(pki / "client.key"), "--ca", str(pki / "ca.crt"),
                )
            )
            for _ in range(3)
        ]  # fmt: skip
        for each in running:
            each.communicate(timeout=30)
            assert each.returncode == 0
    until(lambda: since(lab, before)[1] == 600)
