from __future__ import annotations

import socket

import pytest

from services.lab.loopback import LoopbackPort, reset_on_close, zone_ports
from services.problem import Problem


def test_held_port_refuses_and_is_nobody_elses() -> None:
    port = LoopbackPort()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(port.address, 5)
    other = LoopbackPort(port.number)
    assert other.number != port.number
    other.close()
    port.close()


def test_port_stays_the_same_through_listening_and_holding() -> None:
    port = LoopbackPort()
    for _ in range(3):
        with port.listen() as listening:
            # A connection that lingers must not keep the port from being taken again.
            with socket.create_connection(port.address, 5):
                listening.setblocking(True)
                accepted, _ = listening.accept()
                accepted.close()
            assert listening.getsockname() == port.address
        port.hold()
    port.close()
    again = LoopbackPort(port.number)
    assert again.number == port.number
    again.close()


def test_port_that_another_program_took_meanwhile_is_a_problem() -> None:
    port = LoopbackPort()
    port.listen().close()
    with socket.create_server(port.address):
        with pytest.raises(Problem, match="port-taken"):
            port.hold()
        with pytest.raises(Problem, match="port-taken"):
            port.listen()
    port.hold()
    port.close()


def test_reset_on_close_resets() -> None:
    port = LoopbackPort()
    with port.listen() as listening, socket.create_connection(port.address, 5) as client:
        listening.setblocking(True)
        accepted, _ = listening.accept()
        reset_on_close(accepted)
        accepted.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_zones_share_a_port_and_keep_it() -> None:
    zones = zone_ports()
    assert zones[0].address == ("127.0.0.1", zones[0].number)
    assert {port.number for port in zones} == {zones[0].number}
    assert len({port.host for port in zones}) == len(zones)
    for port in zones:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(port.address, 5)
        port.close()
    again = zone_ports(zones[0].number)
    assert [port.address for port in again] == [port.address for port in zones]
    for port in again:
        port.close()


def test_port_that_one_zone_lacks_is_given_up_in_all() -> None:
    *others, last = zone_ports()
    for port in others:
        port.close()
    elsewhere = zone_ports(last.number)
    assert last.number not in {port.number for port in elsewhere}
    assert len({port.number for port in elsewhere}) == 1
    for port in (*elsewhere, last):
        port.close()
