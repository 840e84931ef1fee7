"""What a test demands of a Problem: its code, its exit, and that it can be put in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.hosts.port import Host
from services.problem import Exit, Problem


class Raised:
    """The Problem, once the block has ended."""

    problem: Problem

    @property
    def facts(self) -> dict[str, str]:
        return dict(self.problem.facts)

    @property
    def evidence(self) -> str:
        return self.problem.evidence


@contextmanager
def problem(code: str, exit: Exit = Exit.NOT_FINE, host: Host | None = None) -> Iterator[Raised]:
    """The block must raise this Problem; with `host`, its words must name the host."""
    raised = Raised()
    with pytest.raises(Problem) as caught:
        yield raised
    raised.problem = caught.value
    assert_worded(caught.value, code, exit, host)


def assert_worded(
    found: Problem, code: str, exit: Exit = Exit.NOT_FINE, host: Host | None = None
) -> None:
    assert (found.code, found.exit) == (f"hosts.{code}", exit), found.evidence
    words = found.words()
    text = f"{words.what} {words.cause} {words.remedy}"
    assert "{" not in text
    assert words.what
    assert words.cause
    assert words.remedy
    if host is not None:
        assert host.name in text
        assert host.address in text
