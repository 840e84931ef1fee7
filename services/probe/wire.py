"""What the worker process is told, and what it answers: one line of JSON each."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from services.probe.tally import TallyMap
from services.probe.target import Target, Timeouts


class TargetMap(TypedDict):
    """A Target as JSON."""

    host: str
    port: int
    name: str
    certificate_file: str | None
    key_file: str | None
    ca_file: str | None
    path: str
    timeouts: tuple[float, float, float, float]
    backends: list[str]
    tls: bool
    backend_pattern: str | None
    backend_header: str | None


class Spec(TypedDict):
    """What the worker is to do."""

    target: TargetMap
    addresses: list[tuple[str, int]]
    requests: int | None
    duration_s: float | None
    rate_per_s: float | None
    concurrency: int | None


class News(TypedDict):
    """What it may be told later, as often as it happens: the addresses to go on with."""

    addresses: list[tuple[str, int]]


class Line(TypedDict, total=False):
    """What the worker prints: counts so far, or why it cannot work at all."""

    tally: TallyMap
    final: bool
    problem: str
    evidence: str
    facts: dict[str, str]


def target_map(target: Target) -> TargetMap:
    """`target` for the wire; file names absolute, since the worker may run elsewhere."""

    def name(file: Path | None) -> str | None:
        return None if file is None else str(file.absolute())

    times = target.timeouts
    return {
        "host": target.host,
        "port": target.port,
        "name": target.name,
        "certificate_file": name(target.certificate_file),
        "key_file": name(target.key_file),
        "ca_file": name(target.ca_file),
        "path": target.path,
        "timeouts": (times.connect_s, times.handshake_s, times.first_byte_s, times.whole_s),
        "backends": list(target.backends),
        "tls": target.tls,
        "backend_pattern": target.backend_pattern,
        "backend_header": target.backend_header,
    }


def target_from(found: TargetMap) -> Target:
    """The Target that `target_map` made `found` of."""

    def file(name: str | None) -> Path | None:
        return None if name is None else Path(name)

    return Target(
        host=found["host"],
        port=found["port"],
        name=found["name"],
        certificate_file=file(found["certificate_file"]),
        key_file=file(found["key_file"]),
        ca_file=file(found["ca_file"]),
        path=found["path"],
        timeouts=Timeouts(*found["timeouts"]),
        backends=tuple(found["backends"]),
        tls=found["tls"],
        backend_pattern=found["backend_pattern"],
        backend_header=found["backend_header"],
    )
