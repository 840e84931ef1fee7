from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.lab import scenario
from services.lab.scenario import Scenario
from services.lab.state.cloud import CloudState
from tests.services.lab.api.lab import Lab


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK sends requests to loopback through a proxy, too, if the environment names one."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def first_day() -> Scenario:
    return replace(
        scenario.default(), unused_private_cas=("ROOT", "SUB_ROOT"), certificates_to_issue=3
    )


@pytest.fixture(scope="session")
def founded(first_day: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an account on its first day: its RSA keys are made once for all tests."""
    folder = tmp_path_factory.mktemp("founded")
    CloudState(folder, first_day)
    return folder


@pytest.fixture
def folder(founded: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(founded, tmp_path / "lab"))


@pytest.fixture
def lab(folder: Path, first_day: Scenario) -> Iterator[Lab]:
    with Lab(folder, first_day) as running:
        yield running
