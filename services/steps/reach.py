"""How to reach a host by name: what was answered for it, else what the cloud says of it."""

from __future__ import annotations

from pathlib import Path

from services.hosts.port import Host
from services.problem import Exit, Problem
from services.session.model import Session


def host(session: Session, name: str) -> Host:
    """The SSH address of `name`, from `hosts.<name>.*`, the common answers, and ECS.

    Raises Problem `core.answer-missing` (no address known), `core.bad-number` (port).
    """
    answers = session.answers
    own = f"hosts.{name}"
    address = answers.get(f"{own}.address") or session.facts.get(f"instance.{name}.address", "")
    if not address:
        raise Problem(
            "core.answer-missing",
            names=f"{own}.address",
            first=f"{own}.address",
            exit=Exit.ANSWER_MISSING,
        )
    port = answers.get(f"{own}.port", "22")
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise Problem(
            "core.bad-number", name=f"{own}.port", value=port, low=1, high=65535, exit=Exit.USAGE
        )
    key_file = answers.get(f"{own}.private_key_file") or answers.get("prepare.ssh_key_file")
    return Host(
        name=name,
        address=address,
        port=int(port),
        user=answers.get(f"{own}.user") or answers.get("prepare.ssh_user") or "root",
        private_key_file=str(Path(key_file).expanduser()) if key_file else None,
        fingerprint=answers.get(f"{own}.fingerprint") or None,
    )


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list, without blanks and empty parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
