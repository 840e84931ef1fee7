"""What every Problem of this room says about the host that it is about."""

from __future__ import annotations

from services.hosts.output import printable
from services.hosts.port import Host
from services.problem import Exit, Problem

_EVIDENCE_CHARACTERS = 2000


def problem(
    code: str, host: Host, evidence: object = "", *, exit: Exit = Exit.NOT_FINE, **facts: object
) -> Problem:
    """A Problem of this room about `host`; the evidence, often the host's own words, made safe."""
    text = printable(str(evidence)).strip()
    if len(text) > _EVIDENCE_CHARACTERS:
        text = "…" + text[-_EVIDENCE_CHARACTERS:]
    return Problem(
        f"hosts.{code}",
        text,
        exit=exit,
        host=host.name,
        address=host.address,
        port=host.port,
        user=host.user,
        **facts,
    )
