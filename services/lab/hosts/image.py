"""What is on a host when it is new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from services.lab.hosts.filesystem import NULL_DEVICE, HostFiles
from services.lab.hosts.shell.programs.table import NGINX

System = Literal["alinux", "debian"]

_FOLDERS = (
    "/dev", "/etc", "/home", "/opt", "/root", "/run", "/usr/bin", "/usr/sbin", "/usr/local/bin",
    "/usr/local/sbin", "/usr/share", "/var/log", "/var/lib", "/var/tmp",
)  # fmt: skip

_RELEASES = {
    "alinux": (
        'NAME="Alibaba Cloud Linux"\nVERSION="3 (OpenAnolis Edition)"\nID="alinux"\n'
        'ID_LIKE="rhel fedora centos anolis"\nVERSION_ID="3"\nPLATFORM_ID="platform:al8"\n'
        'PRETTY_NAME="Alibaba Cloud Linux 3 (OpenAnolis Edition)"\n'
    ),
    "debian": (
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n'
        'VERSION_ID="12"\nVERSION="12 (bookworm)"\nID=debian\n'
    ),
}

_BINARY = b"\x7fELF\0"
"""What lies where a program is: enough for it to be found, and never run as it is."""


def furnish(files: HostFiles, name: str, system: System, programs: Iterable[str]) -> None:
    """Fill a new host's file system."""
    for folder in _FOLDERS:
        files.make_dirs(folder)
    files.chmod("/root", 0o700)
    files.mkdir("/tmp", 0o1777)
    files.write(NULL_DEVICE, b"", 0o666)
    files.write("/etc/os-release", _RELEASES[system].encode())
    files.write("/etc/hostname", f"{name}\n".encode())
    files.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.0.1 {name}\n".encode())
    files.write("/etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n")
    files.write("/etc/group", b"root:x:0:\n")
    if system == "debian":
        files.write("/etc/debian_version", b"12.5\n")
    else:
        files.write("/etc/redhat-release", b"Alibaba Cloud Linux release 3\n")
    for path in programs:
        if path != NGINX:
            files.write(path, _BINARY, 0o755)
    for link, target in (("/bin", "usr/bin"), ("/sbin", "usr/sbin")):
        try:
            files.symlink(target, link)
        except OSError:
            # Windows lets only some users make links; PATH leads to the programs all the same.
            files.make_dirs(link)
