"""Both pollers say the same."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing

import pytest

from services.probe.poller import DOUBT, READ, WRITE, DefaultPoller, Poller, SelectorPoller


def without_doubt(events: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(owner, seen & ~DOUBT) for owner, seen in events]


@pytest.mark.parametrize("make", [DefaultPoller[str], SelectorPoller[str]])
def test_ready_sockets_are_named_by_their_owner(
    make: type[Poller[str]],
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(make()) as poller:
        poller.watch(ours.fileno(), READ, "me")
        assert list(poller.wait(0)) == []
        theirs.send(b"x")
        assert without_doubt(poller.wait(1)) == [("me", READ)]
        poller.change(ours.fileno(), READ | WRITE)
        assert without_doubt(poller.wait(1)) == [("me", READ | WRITE)]
        poller.change(ours.fileno(), WRITE)
        assert without_doubt(poller.wait(1)) == [("me", WRITE)]
        theirs.close()
        poller.change(ours.fileno(), READ)
        ((owner, events),) = poller.wait(1)
        assert owner == "me"
        assert events & READ
        poller.forget(ours.fileno())
        assert list(poller.wait(0)) == []
