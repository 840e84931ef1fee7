"""Programs that this project did not write, as judges: skipped where absent, demanded in CI."""

from __future__ import annotations

import os
import shutil

import pytest

_SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def program(name: str) -> str:
    """The path of the program `name`; skips the test where it is not installed, fails in CI."""
    found = shutil.which(name, path=_SBIN)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed, and CI demands it")
        pytest.skip(f"{name} is not installed")
    return found
