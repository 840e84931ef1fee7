"""A request by curl on a Linux client, with the client's material that lies there."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from services.hosts.port import Host, Ran
from services.hosts.scripts.answer import read, script, text

_TIMEOUT_S = 10
_MOST_BYTES = 1 << 16
"""What is read of an answer, its head included: a backend may send without an end."""

_HEAD = re.compile(r"HTTP/[0-9.]+ ([0-9]{3}).*?\r?\n\r?\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Curled:
    """What curl got. `status` 0 and its own `exit_status` and complaint where nothing came."""

    status: int
    exit_status: int
    text: str
    complaint: str


def curl_through(
    directory: str, name: str, port: int, balancer: str, *, own_ca: bool = True
) -> str:
    """Ask `https://name:port/` of the host `balancer`, whatever the name's DNS says by now.

    `own_ca`: trust the CA's certificate in the directory, and not the system's CAs.
    """
    words = ["curl", "-sSi", "--max-time", str(_TIMEOUT_S)]
    words += ["--cert", f"{directory}/client.crt", "--key", f"{directory}/client.key"]
    if own_ca:
        words += ["--cacert", f"{directory}/ca.crt"]
    words += ["--connect-to", f"{name}:{port}:{balancer}:{port}"]
    words += [f"https://{name}:{port}/"]
    return script(text("answer", f"{shlex.join(words)} | head -c {_MOST_BYTES}"))


def curl_itself(port: int, timeout_s: int) -> str:
    """Ask the web server of the host that this runs on, past everything in front of it."""
    words = ["curl", "-sSi", "--max-time", str(timeout_s), f"http://127.0.0.1:{port}/"]
    return script(text("answer", f"{shlex.join(words)} | head -c {_MOST_BYTES}"))


def curled(host: Host, ran: Ran) -> Curled:
    """What `curl_through` or `curl_itself` has got. Raises Problem `hosts.bad-answer`."""
    answer = read(host, ran)
    status, body = 0, answer.texts.get("answer", "")
    # A proxy on the way has a head of its own, before the answer's.
    while (head := _HEAD.match(body)) is not None:
        status, body = int(head[1]), body[head.end() :]
    complaint = re.search(r"curl: \((\d+)\) (.*)", ran.stderr)
    return Curled(
        status=status,
        exit_status=int(complaint[1]) if complaint else 0,
        text=body,
        complaint=complaint[2] if complaint else "",
    )
