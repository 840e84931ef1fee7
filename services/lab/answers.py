"""The answers file that a lab leaves: what a person of this small cloud would answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from services.lab.hosts.host import LabHost
from services.lab.scenario import Scenario

USER = "root"


def answers(
    scenario: Scenario,
    hosts: Iterable[LabHost],
    private_key_file: Path,
    public_ca: Path,
    connect: Sequence[tuple[str, int]],
) -> str:
    """TOML for `run --answers`: with it, nothing else need be said.

    `public_ca` is what clients must trust for the purchased certificate, if that is chosen;
    `connect` is where port 443 of the balancer really is, in each of its zones.
    """
    client = next(host.name for host in scenario.hosts if not host.backend)
    lines = [
        "[prepare]",
        *_pairs(
            domain=scenario.domain,
            region=scenario.region,
            load_balancer=scenario.load_balancer_id,
            server_group=scenario.server_group_id,
            pages="yes",
        ),
        "",
        "[server]",
        *_pairs(ca_file=str(public_ca)),
        "",
        "[install]",
        *_pairs(host=client),
        "",
        "[verify]",
        *_pairs(connect=", ".join(f"443={host}:{port}" for host, port in connect)),
    ]
    for host in hosts:
        lines += [
            "",
            f"[hosts.{host.name}]",
            *_pairs(
                address=host.ssh_address[0],
                port=host.ssh_address[1],
                user=USER,
                private_key_file=str(private_key_file),
                fingerprint=host.fingerprint,
            ),
        ]
    return "\n".join(lines) + "\n"


def _pairs(**values: str | int) -> list[str]:
    """TOML pairs: JSON's strings and numbers are TOML's, too."""
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
