"""Scripts about the directory of a Linux client that holds its certificate and key.

The files themselves go there by SFTP (`Hosts.put`): a key has no place in a script.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.hosts.facts import problem
from services.hosts.files import unfinished
from services.hosts.port import Host, Ran
from services.hosts.scripts.answer import Answer, read, script

_FILE = re.compile(r"([0-7]{1,4}) (\d{1,18}) ([0-9a-f]{64}|) (.+)")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A regular file in the directory. `sha256` (hex) is empty if it could not be read."""

    name: str
    mode: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ClientDirectory:
    """The directory as it is; `mode` and `files` mean something where `kind` is `directory`."""

    path: str
    kind: Literal["absent", "directory", "other"]
    mode: int = 0
    owner: str = ""
    files: tuple[ListedFile, ...] = ()
    missing: tuple[str, ...] = ()
    """The directory and those of its parents that are not there, deepest first: what a `put`
    would make, and what `remove_client_files` may be told to remove again."""

    @property
    def exists(self) -> bool:
        return self.kind == "directory"


@dataclass(frozen=True, slots=True)
class Removed:
    """What `remove_client_files` has done, by the names of the files."""

    removed: tuple[str, ...]
    absent: tuple[str, ...]
    changed: tuple[str, ...]
    """Left alone: somebody has put something else there since."""
    directories: tuple[str, ...]


def look_at_client_directory(directory: str) -> str:
    """List the directory's files with modes, sizes and hashes. Changes nothing."""
    lines = [f"d={shlex.quote(directory)}"]
    for number, ancestor in enumerate(_ancestry(directory)):
        lines.append(f"[ -e {shlex.quote(ancestor)} ] || tell missing={number}")
    lines.append("""\
if [ -d "$d" ]; then
  tell "directory=$(stat -L -c '%a %U' "$d")"
  for f in "$d"/* "$d"/.[!.]*; do
    if [ -f "$f" ]; then
      tell "file=$(stat -L -c '%a %s' "$f") $(sha256 < "$f") ${f##*/}"
    fi
  done
elif [ -e "$d" ]; then tell directory=other
else tell directory=absent
fi""")
    return script("\n".join(lines))


def client_directory(host: Host, directory: str, ran: Ran) -> ClientDirectory:
    """What `look_at_client_directory` has found. Raises Problem `hosts.bad-answer`."""
    answer = read(host, ran)
    ancestry = _ancestry(directory)
    missing = tuple(ancestry[number] for number in _numbers(answer, "missing", len(ancestry)))
    said = answer.one("directory")
    if said == "absent":
        return ClientDirectory(directory, "absent", missing=missing)
    if said == "other":
        return ClientDirectory(directory, "other", missing=missing)
    found = re.fullmatch(r"([0-7]{1,4}) (\S+)", said)
    if found is None:
        raise answer.bad(f"directory={said}")
    files = tuple(_listed(answer, line) for line in answer.every("file"))
    return ClientDirectory(directory, "directory", int(found[1], 8), found[2], files, missing)


def remove_client_files(
    directory: str, files: Mapping[str, str], made_directories: Sequence[str] = ()
) -> str:
    """Remove the files that are still as we placed them, then the directories that we made.

    `files` maps names to the SHA-256 (hex) of what was placed; a file with another content is
    left alone, and so is a directory that is not empty. Nothing there to remove is fine.
    """
    lines = []
    for number, (name, sha256) in enumerate(files.items()):
        path = posixpath.join(directory, name)
        lines.append(f"""\
f={shlex.quote(path)}
rm -f {shlex.quote(unfinished(path))}
if [ ! -e "$f" ]; then tell absent={number}
elif [ "$(sha256 < "$f")" = {shlex.quote(sha256)} ]; then
  if rm -f "$f"; then tell removed={number}; else fail remove; fi
else tell changed={number}
fi""")
    for number, made in enumerate(made_directories):
        lines.append(
            f"[ -d {shlex.quote(made)} ] && rmdir {shlex.quote(made)} 2>/dev/null "
            f"&& tell directory={number}"
        )
    return script("\n".join(lines))


def removed_client_files(
    host: Host,
    directory: str,
    files: Mapping[str, str],
    made_directories: Sequence[str],
    ran: Ran,
) -> Removed:
    """What `remove_client_files`, called with the same values, has done.

    Raises Problem `hosts.permission-denied` or `hosts.bad-answer`.
    """
    answer = read(host, ran)
    if answer.failed:
        raise problem("permission-denied", host, ran.stderr, path=directory)
    names = list(files)

    def named(key: str) -> tuple[str, ...]:
        return tuple(names[number] for number in _numbers(answer, key, len(names)))

    made = tuple(
        made_directories[number] for number in _numbers(answer, "directory", len(made_directories))
    )
    return Removed(named("removed"), named("absent"), named("changed"), made)


def _ancestry(directory: str) -> list[str]:
    """The directory and its parents below the root, deepest first."""
    found = []
    path = posixpath.normpath(directory)
    while path not in ("/", "//", "."):
        found.append(path)
        path = posixpath.dirname(path) or "."
    return found


def _numbers(answer: Answer, name: str, count: int) -> list[int]:
    numbers = []
    for value in answer.every(name):
        if not (value.isascii() and value.isdigit() and len(value) < 6 and int(value) < count):
            raise answer.bad(f"{name}={value}")
        numbers.append(int(value))
    return numbers


def _listed(answer: Answer, line: str) -> ListedFile:
    found = _FILE.fullmatch(line)
    if found is None:
        raise answer.bad(f"file={line}")
    mode, size, sha256, name = found.groups()
    return ListedFile(name, int(mode, 8), int(size), sha256)
