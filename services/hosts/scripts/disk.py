"""How much room a host's disk has left."""

from __future__ import annotations

import shlex
from itertools import pairwise

from services.hosts.port import Ran


def look_at_disk(path: str) -> str:
    """Ask for the space that is left where `path` is (POSIX `df -P`)."""
    return f"LC_ALL=C df -Pk {shlex.quote(path)}"


def free_bytes(ran: Ran) -> int | None:
    """What `look_at_disk` has found; None if the host did not say."""
    lines = ran.stdout.strip().split("\n")
    words = lines[-1].split()
    for before, word in pairwise(words):
        if word.endswith("%") and before.isascii() and before.isdigit():
            return int(before) * 1024
    return None
