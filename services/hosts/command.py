"""Run one script on a host, its output read line by line while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from services.hosts.connection import closing
from services.hosts.output import Transcript
from services.hosts.port import Ran

if TYPE_CHECKING:
    from paramiko import Channel

_ARGUMENT_BYTES = 100_000
"""A longer script goes by standard input: Linux limits one argument to 128 KiB (`execve(2)`)."""

_CHUNK_BYTES = 1 << 16

_LINGER_S = 1.0
"""How long to wait for more output after the script has ended: a daemon that it started may hold
its output open for ever, and no more than what is under way is still to come."""

_SETTLE_S = 0.2
"""A dying transport closes its channels first, and says that it is dead a moment after."""


def run_script(channel: Channel, script: str, line: Callable[[str], None] | None = None) -> Ran:
    """Run `script` by the user's shell on an open session channel, which is closed afterwards.

    Scripts stand in the host's process list while they run, so they hold no secret. Nothing
    limits the time but the connection's end: see `Connection.bounded`.

    Raises
    ------
    EOFError, paramiko.SSHException
        The connection ended, or the host would not run it.
    """
    with closing(channel):
        arrived = threading.Event()
        channel.in_buffer.set_event(arrived)
        channel.in_stderr_buffer.set_event(arrived)
        if len(script.encode()) <= _ARGUMENT_BYTES:
            channel.exec_command(script)
        else:
            channel.exec_command("sh -s")
            # In braces: read to the end before it runs, so that no command in it can read on.
            channel.sendall(f"{{\n{script}\n}} </dev/null\n".encode())
        channel.shutdown_write()
        return _read(channel, arrived, line)


def _read(channel: Channel, arrived: threading.Event, line: Callable[[str], None] | None) -> Ran:
    out, err = Transcript(line), Transcript(line)

    def drain() -> None:
        while True:
            if channel.recv_ready():
                out.feed(channel.recv(_CHUNK_BYTES))
            elif channel.recv_stderr_ready():
                err.feed(channel.recv_stderr(_CHUNK_BYTES))
            else:
                return

    # Reading a buffer's last bytes clears the event, which both streams share: hence never a wait
    # before a look at both that found nothing, and a last look after the end.
    while not (channel.eof_received or channel.closed):
        drain()
        if not arrived.wait(_LINGER_S) and channel.exit_status_ready():
            break
    drain()
    channel.status_event.wait()
    if channel.exit_status < 0:
        _check_alive(channel)
    return Ran(channel.exit_status, out.finish(), err.finish())


def _check_alive(channel: Channel) -> None:
    """Tell a script that a signal ended, of which SSH gives no status, from a lost connection."""
    transport = channel.get_transport()
    transport.join(timeout=_SETTLE_S)
    if not transport.is_active():
        raise EOFError("the connection ended before the script")
