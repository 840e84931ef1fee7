"""The keys in the user's ssh-agent, which signs with them itself.

paramiko's own `Agent` neither closes its socket when the agent is gone nor ever stops waiting for
one that hangs or asks its owner to confirm. paramiko costs 0.3 s, so it is imported where it is
used.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

from services.stop import Stop

if TYPE_CHECKING:
    from paramiko.agent import AgentKey

ANSWER_S = 20.0
"""How long the agent may take for one answer: time to confirm, and less than a log-in may take."""


@contextmanager
def agent_keys(stop: Stop) -> Iterator[Sequence[AgentKey]]:
    """The agent's keys, usable inside the block; none if there is no agent that answers."""
    from paramiko import Agent, SSHException

    with ExitStack() as stack:
        keys: Sequence[AgentKey] = ()
        with suppress(SSHException, OSError):
            if sys.platform == "win32":
                keys = stack.enter_context(closing(Agent())).get_keys()
            elif path := os.environ.get("SSH_AUTH_SOCK"):
                line = stack.enter_context(socket.socket(socket.AF_UNIX))
                stack.enter_context(stop.closing(lambda: line.shutdown(socket.SHUT_RDWR)))
                line.settimeout(ANSWER_S)
                line.connect(path)
                keys = _listed(line)
        yield keys


def _listed(line: socket.socket) -> Sequence[AgentKey]:
    from paramiko.agent import AgentSSH

    agent = AgentSSH()
    # What `Agent` does with the socket that it opens itself.
    agent._connect(line)  # type: ignore[attr-defined]
    return agent.get_keys()
