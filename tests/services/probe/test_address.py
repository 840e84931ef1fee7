from __future__ import annotations

import socket
import threading
import time

import pytest

from services.probe import address
from services.probe.address import Address, Unresolved, resolve
from services.problem import Stopped
from services.stop import Stop
from tests.services.probe.faulty import serving, until_gone
from tests.services.probe.nginx import free_port


def test_number_is_its_own_address() -> None:
    assert resolve("127.0.0.1", 443, Stop()) == (Address("127.0.0.1", 443),)
    assert resolve("::1", 443, Stop()) == (Address("::1", 443),)
    assert str(Address("::1", 443)) == "[::1]:443"
    assert str(Address("127.0.0.1", 443)) == "127.0.0.1:443"


def found(*numbers: str) -> object:
    """A resolver that finds `numbers`, each twice, as resolvers do for two socket types."""

    def look_up(host: str, port: int, **_: object) -> list[object]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (number, port, 0, 0))
            if ":" in number
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))
            for number in numbers * 2
        ]

    return look_up


def test_every_address_of_a_name_is_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", found("127.0.0.1", "203.0.113.7"))
    monkeypatch.setattr(address, "_routed", lambda each: True)
    assert resolve("two.example", 443, Stop()) == (
        Address("127.0.0.1", 443),
        Address("203.0.113.7", 443),
    )


def test_address_without_route_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # A socket without SO_BROADCAST is never routed to the broadcast address.
    monkeypatch.setattr(socket, "getaddrinfo", found("255.255.255.255", "127.0.0.1"))
    assert resolve("two.example", 443, Stop()) == (Address("127.0.0.1", 443),)


def test_localhost_is_where_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", found("::1", "127.0.0.1"))
    with serving(until_gone) as server:
        assert resolve("localhost", server.port, Stop()) == (Address("127.0.0.1", server.port),)
    nobody = free_port()
    assert len(resolve("localhost", nobody, Stop())) == 2


@pytest.mark.parametrize("host", ["no..such.host", "x" * 70 + ".example"])
def test_name_that_cannot_be_is_unresolved(host: str) -> None:
    with pytest.raises(Unresolved):
        resolve(host, 443, Stop())


def test_unknown_name_is_unresolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unresolved, match="not known"):
        resolve("www.example.com", 443, Stop())


def test_stop_does_not_wait_for_a_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, asked, done = Stop(), threading.Event(), threading.Event()

    def hangs(*_: object, **__: object) -> list[object]:
        asked.set()
        done.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hangs)

    def stop_when_asked() -> None:
        asked.wait(10)
        stop.set()

    threading.Thread(target=stop_when_asked).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        resolve("www.example.com", 443, stop)
    assert time.monotonic() - began < 5
    done.set()
