"""A request by curl on a Linux client, with the client's material that lies there."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from services.hosts.port import Host, Ran
from services.hosts.scripts.answer import read, script, text

_TIMEOUT_S = 20


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
    words = ["curl", "-sS", "--max-time", str(_TIMEOUT_S)]
    words += ["--cert", f"{directory}/client.crt", "--key", f"{directory}/client.key"]
    if own_ca:
        words += ["--cacert", f"{directory}/ca.crt"]
    words += ["--connect-to", f"{name}:{port}:{balancer}:{port}"]
    words += ["-o", "-", "-w", "\\nnlb-mtls-status=%{http_code}\\n", f"https://{name}:{port}/"]
    return script(f"{text('answer', shlex.join(words))}")


def curled(host: Host, ran: Ran) -> Curled:
    """What `curl_through` has got. Raises Problem `hosts.bad-answer`."""
    answer = read(host, ran)
    body, _, status = answer.texts.get("answer", "").rpartition("nlb-mtls-status=")
    found = re.match(r"\d{3}", status)
    complaint = re.search(r"curl: \((\d+)\) (.*)", ran.stderr)
    return Curled(
        status=int(found[0]) if found else 0,
        exit_status=int(complaint[1]) if complaint else 0,
        text=body,
        complaint=complaint[2] if complaint else "",
    )
