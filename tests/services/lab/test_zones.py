"""The balancer's two addresses and its faults, as the lab's users come to know of them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from services.lab.answers import answers
from services.lab.scenario import default
from tests.services.lab.plane.conftest import LoopThread
from tests.services.lab.test_lab import REGION, Running, lab, shared, thread

__all__ = ["lab", "shared", "thread"]


def _reached(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_both_addresses_are_told_and_the_first_is_where_to_connect(lab: Running) -> None:
    told = lab.ask("GET", "/_lab")
    first, *others = told["zones"]["443"]
    assert told["connect"]["443"] == first
    assert {address.rpartition(":")[2] for address in others} <= {first.rpartition(":")[2]}
    assert all(map(_reached, told["zones"]["443"]))


def test_answers_name_every_address() -> None:
    zones = [("127.0.0.1", 1443), ("127.0.0.2", 1443)]
    written = answers(default(), [], Path("key"), Path("ca.crt"), zones)
    assert 'connect = "443=127.0.0.1:1443, 443=127.0.0.2:1443"' in written


@pytest.mark.parametrize("fault", ["port-closed", "zone-down"])
def test_switching_is_answered_when_the_port_is_closed_or_open(lab: Running, fault: str) -> None:
    zones = lab.ready["zones"]["443"]
    closed = zones if fault == "port-closed" else zones[1:]
    for _ in range(3):
        lab.switch(fault)
        assert [address for address in zones if not _reached(address)] == closed
        lab.switch(fault, on=False)
        assert all(map(_reached, zones))


def test_proxy_header_is_the_listeners_own_configuration(lab: Running) -> None:
    from alibabacloud_nlb20220430 import models as m

    client = lab.client("alibabacloud_nlb20220430")

    def enabled() -> tuple[bool, bool]:
        (listener,) = lab.lab.state.listeners()
        attribute = client.get_listener_attribute(
            m.GetListenerAttributeRequest(listener_id=listener.id, region_id=REGION)
        )
        listed = client.list_listeners(m.ListListenersRequest(region_id=REGION))
        return (
            attribute.body.proxy_protocol_enabled,
            listed.body.listeners[0].proxy_protocol_enabled,
        )

    assert enabled() == (False, False)
    lab.switch("proxy-header")
    assert enabled() == (True, True)
    assert "Hello" not in lab.curl().stdout
    lab.switch("proxy-header", on=False)
    assert enabled() == (False, False)
    assert "Hello" in lab.curl().stdout


def test_addresses_stay_the_same_over_a_restart(tmp_path: Path, thread: LoopThread) -> None:
    seen = []
    for faults in ((), ("port-closed",)):
        running = Running(tmp_path, thread, *faults)
        seen.append(running.ready["zones"])
        assert running.ready["faults"] == list(faults)
        running.close()
    assert seen[0] == seen[1]
