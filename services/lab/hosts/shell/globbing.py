"""Pathname expansion (XCU 2.6.6)."""

from __future__ import annotations

import re

from services.lab.hosts.filesystem import HostFiles
from services.lab.hosts.shell.pattern import is_pattern, shell_pattern, unescaped


def matching(files: HostFiles, cwd: str, wanted: str) -> list[str]:
    """The paths that match the pattern `wanted`, sorted; none when nothing does."""
    found = ["/"] if wanted.startswith("/") else [""]
    *folders, last = [name for name in wanted.split("/") if name] or [""]
    for name in folders:
        deeper = (path for folder in found for path in _in(files, cwd, folder, name))
        found = [path + "/" for path in deeper if files.is_dir(path, cwd)]
    found = [path for folder in found for path in _in(files, cwd, folder, last)]
    if wanted.endswith("/"):
        found = [path + "/" for path in found if files.is_dir(path, cwd)]
    return sorted(found)


def _in(files: HostFiles, cwd: str, folder: str, name: str) -> list[str]:
    """The paths in `folder` whose last part matches; a leading dot must be matched by a dot."""
    if not is_pattern(name):
        plain = folder + unescaped(name)
        return [plain] if files.exists(plain or ".", cwd) else []
    expression = re.compile(shell_pattern(name), re.DOTALL)
    try:
        entries = files.names(folder or ".", cwd)
    except OSError:
        return []
    hidden = name.startswith(".")
    return [
        folder + entry
        for entry in entries
        if (hidden or not entry.startswith(".")) and expression.fullmatch(entry)
    ]
