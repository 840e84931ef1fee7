"""The real name service: what is no name has no address, and what is one has some."""

from __future__ import annotations

import socket

import pytest

from services.world import system_lookup


def test_name_of_this_computer_has_an_address() -> None:
    assert {"127.0.0.1", "::1"} & set(system_lookup("localhost"))
    assert system_lookup("192.0.2.7") == ("192.0.2.7",)


@pytest.mark.parametrize("name", ["no..such.name", "x" * 64 + ".example"])
def test_what_can_be_no_name_stands_for_nothing(name: str) -> None:
    assert system_lookup(name) == ()


def test_name_that_does_not_exist_is_told_from_a_resolver_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(code: int) -> None:
        def answer(*_: object, **__: object) -> None:
            raise socket.gaierror(code, "as the resolver says")

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    fails(socket.EAI_NONAME)
    assert system_lookup("www.example.com") == ()
    fails(socket.EAI_AGAIN)
    with pytest.raises(OSError, match="resolver"):
        system_lookup("www.example.com")
