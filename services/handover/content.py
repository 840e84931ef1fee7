"""What a report says, as plain values: the shape of `report.json`, which other programs may read.

The page and the Prometheus file are drawn from the same values. What is not known is null or
empty. Times are RFC 3339.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MARK = "nlb-mtls export report"
"""Stands at the head of every file of a report, so that it is known again as one of ours."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a report."""


class StepState(Part, frozen=True, kw_only=True):
    name: str
    title: str
    state: str
    state_words: str
    proved: str | None = None
    """When its proof ended."""


class Setting(Part, frozen=True, kw_only=True):
    """An answer that a person gave, or that a default gave for them. Secrets are never kept."""

    name: str
    step: str
    label: str
    value: str


class Resource(Part, frozen=True, kw_only=True):
    """Something that was made, or that was there and is used. `title` says what, in words."""

    kind: str
    id: str
    step: str
    title: str
    origin: Literal["made", "adopted"]
    state: Literal["begun", "done"]
    time: str | None = None
    """When it was made, or found; None of what was only begun."""


class Certificate(Part, frozen=True, kw_only=True):
    """What a certificate says. Of one that is not on this computer only its end is known."""

    role: str
    not_after: str
    days_left: int
    """Whole days until it ends; negative when it has ended."""
    ending: Literal["", "soon", "over"] = ""
    """Whether it has ended, or does soon (`services.pki.ending`)."""
    file: str | None = None
    subject: str | None = None
    issuer: str | None = None
    names: tuple[str, ...] = ()
    serial: str | None = None
    not_before: str | None = None
    key: str | None = None
    usage: tuple[str, ...] = ()
    sha256: str | None = None
    """The fingerprint, upper-case hexadecimal."""


class Share(Part, frozen=True, kw_only=True):
    """A backend's part of the answers.

    `low` and `high` bound the true shares with which the count is compatible, at the width with
    which the diagnosis judges (`tally.CHANCE_Z`).
    """

    backend: str
    count: int
    share: float
    low: float
    high: float
    expected: float | None = None
    """What its weight promises; None where no weight is known."""
    within_chance: bool | None = None
    mean_ms: float | None = None
    failures: dict[str, int] = {}
    """Its answers that were not ok, by outcome."""


class Stranger(Part, frozen=True, kw_only=True):
    """One who must not be let in, and how they fared."""

    name: str
    title: str
    refused: bool | None
    """None when it proves nothing."""
    evidence: str = ""
    alert: str | None = None
    untried: str = ""
    """Why it did not knock; empty when it did."""


class Health(Part, frozen=True, kw_only=True):
    server: str
    status: str
    reason: str = ""


class Cause(Part, frozen=True, kw_only=True):
    """A diagnosis, in the words in which it was made."""

    code: str
    severity: Literal["error", "warning"]
    confidence: Literal["certain", "likely", "possible"]
    cause: str
    remedy: str
    evidence: str = ""


class Dns(Part, frozen=True, kw_only=True):
    """What the name that clients use stood for when it was verified."""

    name: str
    addresses: tuple[str, ...] = ()
    leads_to_balancer: bool = False


class Announced(Part, frozen=True, kw_only=True):
    """What the endpoint says of itself before it knows who is there."""

    versions: tuple[str, ...] = ()
    cipher: str = ""
    group: str = ""
    alpn: str = ""
    resumption: bool | None = None
    certificate_asked: bool | None = None
    accepted_cas: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    """The subjects of the chain that it shows, its own first."""


class Verification(Part, frozen=True, kw_only=True):
    """The last proof on the live endpoint."""

    time: str
    verdict: Literal["pass", "fail"]
    endpoint: str
    name: str
    requests: int
    ok: int
    failed: int
    requests_per_second: float | None = None
    tls_version: str | None = None
    tls_cipher: str | None = None
    latency_ms: dict[str, float | None] = {}
    """Percentiles of the whole request, by name: `p50`."""
    phases_ms: dict[str, dict[str, float | None]] = {}
    """The same by phase: `connect`, `tls_handshake`, `first_byte`."""
    outcomes: dict[str, int] = {}
    samples: dict[str, str] = {}
    """For each outcome but ok, what the first such request saw."""
    backends: tuple[Share, ...] = ()
    addresses: dict[str, dict[str, int]] = {}
    """Outcomes by the address that was connected to."""
    strangers: tuple[Stranger, ...] = ()
    health: tuple[Health, ...] = ()
    diagnosis: tuple[Cause, ...] = ()
    announced: Announced | None = None
    dns: Dns | None = None
    server_not_after: str | None = None
    """The end of the certificate that the endpoint showed."""
    concurrency: int = 0
    """Connections at once; 0 where it is not known."""
    limited_to: int = 0
    """The most that this computer's limit of open files allowed, if fewer than wanted; else 0."""


class Remaining(Part, frozen=True, kw_only=True):
    """Something that is left to a person, with the command for it where there is one."""

    code: str
    text: str
    command: str | None = None


class Removal(Part, frozen=True, kw_only=True):
    """What clean-up would take away, and how that is put."""

    kind: str
    id: str
    title: str
    undo: str


class Undo(Part, frozen=True, kw_only=True):
    command: str
    removes: tuple[Removal, ...]
    """Newest first, in the order in which they go."""
    keeps: tuple[Resource, ...]
    """What was there before, and stays."""


class Content(Part, frozen=True, kw_only=True):
    """A whole report."""

    made_by: str = MARK
    format: int = 1
    program: str
    """The version of the program."""
    generated: str
    session: str
    place: str
    created: str
    changed: str
    domain: str
    verification: Verification | None
    remaining: tuple[Remaining, ...]
    steps: tuple[StepState, ...]
    settings: tuple[Setting, ...]
    resources: tuple[Resource, ...]
    certificates: tuple[Certificate, ...]
    undo: Undo


def to_json(content: Content) -> bytes:
    """`report.json`."""
    return msgspec.json.format(msgspec.json.encode(content)) + b"\n"
