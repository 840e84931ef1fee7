"""Both pollers say the same."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from services.probe.poller import READ, WRITE, DefaultPoller, Poller, SelectorPoller


@pytest.mark.parametrize("make", [DefaultPoller[str], SelectorPoller[str]])
def test_ready_sockets_are_named_by_their_owner(
    make: type[Poller[str]],
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(make()) as poller:
        poller.watch(ours, READ, "me")
        assert list(poller.wait(0)) == []
        theirs.send(b"x")
        assert list(poller.wait(1)) == [("me", READ)]
        poller.change(ours, READ | WRITE)
        assert list(poller.wait(1)) == [("me", READ | WRITE)]
        poller.change(ours, WRITE)
        assert list(poller.wait(1)) == [("me", WRITE)]
        theirs.close()
        poller.change(ours, READ)
        ((owner, events),) = poller.wait(1)
        assert owner == "me"
        assert events & READ
        poller.forget(ours)
        assert list(poller.wait(0)) == []
