"""Redirections (XCU 2.7): which stream stands behind which descriptor."""

from __future__ import annotations

import os
from collections.abc import Callable

from services.lab.hosts.shell.machine import encoded
from services.lab.hosts.shell.streams import Descriptor, Nothing, Sink, Source, Text
from services.lab.hosts.shell.syntax import HereDocument, Redirect, Word

_SPECIAL = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

OpenFile = Callable[[str, int], Descriptor]
"""Opens a file of the host by its path and `os.open`'s flags."""


def redirect(
    wanted: Redirect,
    streams: dict[int, Source | Sink],
    expand: Callable[[Word], str],
    open_file: OpenFile,
) -> None:
    """Change `streams` as `wanted` says. Raises OSError, with the path that it is about."""
    target, number = wanted.target, wanted.descriptor
    if isinstance(target, HereDocument):
        streams[number] = Text(encoded(expand(target.body)))
        return
    text = expand(target)
    match wanted.operator:
        case "<<<":
            streams[number] = Text(encoded(text + "\n"))
        case "<&" | ">&":
            _duplicate(streams, number, text)
        case "&>" | "&>>":
            streams[1] = streams[2] = _open(wanted.operator[1:], text, streams, open_file)
        case operator:
            streams[number] = _open(operator, text, streams, open_file)


def _duplicate(streams: dict[int, Source | Sink], number: int, text: str) -> None:
    if text == "-":
        streams.pop(number, None)
    elif text.isdigit() and int(text) in streams:
        streams[number] = streams[int(text)]
    else:
        raise OSError(9, "Bad file descriptor", text)


def _open(
    operator: str, path: str, streams: dict[int, Source | Sink], open_file: OpenFile
) -> Source | Sink:
    if path in _SPECIAL:
        return streams.get(_SPECIAL[path], Nothing())
    writing = os.O_WRONLY | os.O_CREAT
    flags = {
        "<": os.O_RDONLY,
        "<>": os.O_RDWR | os.O_CREAT,
        ">>": writing | os.O_APPEND,
    }.get(operator, writing | os.O_TRUNC)
    return open_file(path, flags)
