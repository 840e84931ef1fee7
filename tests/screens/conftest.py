from __future__ import annotations

from pathlib import Path

import pytest

from tests.screens.toy import Knobs, ToyStart


@pytest.fixture
def knobs() -> Knobs:
    """What a test turns."""
    return Knobs()


@pytest.fixture
def start(tmp_path: Path, knobs: Knobs) -> ToyStart:
    """A program composed of toys, in a home of its own."""
    return ToyStart(tmp_path / "home", knobs)
