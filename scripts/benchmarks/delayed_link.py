"""Two hosts in one computer, with a link between them that takes its time.

Each host is a network namespace (network_namespaces(7)) of its own, with nothing in it but a
loopback device and one end of the link. Each end is a TUN device, and a process, this module,
carries the packets from one to the other, every one exactly so much later than it was sent. That
is `tc netem` for kernels that are built without it. Root makes the namespaces as it is; anybody
else in a user namespace, where the system allows those.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from scripts.benchmarks.child import PYTHON, ROOT, need
from scripts.benchmarks.finding import Skipped

NEAR, FAR = "198.18.0.1", "198.18.0.2"
"""The hosts' addresses, from the network that is set aside for benchmarks (RFC 2544)."""

_TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_QUEUE = 4096
"""Packets that an end may hold before the relay has read them."""
_PACKET = 65536
_URGENCY = 10


@dataclass(frozen=True, slots=True)
class DelayedLink:
    """Words that lead a command onto one of the hosts: `[*link.near, "ip", "address"]`."""

    near: Sequence[str]
    far: Sequence[str]


@contextmanager
def delayed_link(round_trip_s: float) -> Iterator[DelayedLink]:
    """A link whose round trip takes this long, for as long as the block.

    Raises Skipped where no namespaces or TUN devices can be made.
    """
    enter, own = need("nsenter"), _own_namespaces()
    need("ip")
    if not os.access(_TUN, os.R_OK | os.W_OK):
        raise Skipped(f"{_TUN} cannot be opened here")
    command = [*own, PYTHON, "-P", "-m", "scripts.benchmarks.delayed_link", str(round_trip_s)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        start_new_session=True,
    ) as relay:
        assert relay.stdin is not None
        assert relay.stdout is not None
        try:
            line = relay.stdout.readline()
            if not line:
                raise Skipped(f"no link: its relay ended with {relay.wait()}")
            user = ["--user", "--preserve-credentials"] if "--user" in own else []
            ends = [[enter, "--target", str(pid), *user, "--net", "--"] for pid in json.loads(line)]
            yield DelayedLink(*ends)
        finally:
            relay.stdin.close()


def round_trip_s(link: DelayedLink, port: int) -> float:
    """How long the link's round trip really takes: the median of some TCP connects to a port."""
    code = (
        "import json, sys; from scripts.benchmarks.delayed_link import connects;"
        f"print(json.dumps(connects({FAR!r}, {port})))"
    )
    ran = subprocess.run(
        [*link.near, PYTHON, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    taken: list[float] = json.loads(ran.stdout)
    return statistics.median(taken)


def connects(host: str, port: int, number: int = 25) -> list[float]:
    """Seconds that connecting takes: one round trip each (RFC 9293 section 3.5)."""
    taken = []
    for _ in range(number):
        began = time.perf_counter()
        with socket.create_connection((host, port)):
            taken.append(time.perf_counter() - began)
    return taken


def _own_namespaces() -> Sequence[str]:
    """The command that runs another in a network namespace of its own."""
    unshare = need("unshare")
    for way in ([unshare, "--net"], [unshare, "--user", "--map-root-user", "--net"]):
        if subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return way
    raise Skipped("no network namespace can be made here")


def main() -> None:
    """The relay. It ends when its stdin does, and the namespaces with it."""
    delay_s = float(sys.argv[1]) / 2
    _step_forward()
    near = _end_of_link(NEAR, FAR)
    # Somebody has to stay in the first namespace, or nobody could enter it.
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as stays:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET):  # os.unshare comes with Python 3.12
            raise OSError(ctypes.get_errno(), "unshare")
        far = _end_of_link(FAR, NEAR)
        print(json.dumps([stays.pid, os.getpid()]), flush=True)
        _carry(near, far, delay_s)
        assert stays.stdin is not None
        stays.stdin.close()


def _step_forward() -> None:
    """Be before all others in the queue for a core: a cable does not wait for one. Root alone may.

    In a session of its own, whose niceness counts as well (sched(7), autogroup).
    """
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -_URGENCY)
    with suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as group:
        group.write(str(-_URGENCY))


def _end_of_link(address: str, peer: str) -> int:
    """A TUN device in this process's network namespace, up and with its address; its file."""
    end = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", b"delayed", _IFF_TUN | _IFF_NO_PI))
    for words in (
        "link set dev lo up",
        f"link set dev delayed txqueuelen {_QUEUE} up",
        f"address add {address} peer {peer} dev delayed",
    ):
        subprocess.run([need("ip"), *words.split()], check=True, stdout=sys.stderr)
    return end


def _carry(near: int, far: int, delay_s: float) -> None:
    """Every packet of one end to the other, `delay_s` after it was read. Ends with stdin."""
    other = {near: far, far: near}
    waiting: dict[int, deque[tuple[float, bytes]]] = {near: deque(), far: deque()}
    stdin = sys.stdin.fileno()
    while True:
        due = min((queue[0][0] for queue in waiting.values() if queue), default=None)
        pause = None if due is None else max(due - time.monotonic(), 0)
        # select waits to the microsecond; epoll and poll only to the millisecond.
        ready, _, _ = select.select([near, far, stdin], [], [], pause)
        if stdin in ready:
            return
        for end in ready:
            _take(end, waiting[other[end]], time.monotonic() + delay_s)
        now = time.monotonic()
        for end, queue in waiting.items():
            while queue and queue[0][0] <= now:
                os.write(end, queue.popleft()[1])


def _take(end: int, queue: deque[tuple[float, bytes]], due: float) -> None:
    try:
        while True:
            queue.append((due, os.read(end, _PACKET)))
    except BlockingIOError:
        pass


if __name__ == "__main__":
    main()
