"""Every program that a lab host has, by the path where it lies."""

from __future__ import annotations

from collections.abc import Mapping

from services.lab.hosts.shell.machine import Program
from services.lab.hosts.shell.programs import (
    curl,
    files,
    openssl,
    packages,
    sed,
    system,
    text,
    web,
)

NGINX = "/usr/sbin/nginx"
"""The one program that comes with a package and goes with it."""

_ADMINISTRATION = ("nginx",)


def programs(*, apt: bool) -> Mapping[str, Program]:
    """The programs of a host that has `apt`, or else yum."""
    found = {
        **curl.PROGRAMS,
        **files.PROGRAMS,
        **openssl.PROGRAMS,
        **sed.PROGRAMS,
        **system.PROGRAMS,
        **text.PROGRAMS,
        **web.PROGRAMS,
        **(packages.APT if apt else packages.YUM),
    }
    return {
        f"/usr/{'sbin' if name in _ADMINISTRATION else 'bin'}/{name}": program
        for name, program in found.items()
    }
