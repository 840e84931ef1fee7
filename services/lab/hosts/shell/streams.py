"""Where a command's bytes come from and go to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

_PIECE = 1 << 16


class Source(Protocol):
    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, as soon as there are any; none at the end."""
        ...


class Sink(Protocol):
    def write(self, data: bytes, /) -> None:
        """All of it. Raises BrokenPipeError when nobody reads any more."""
        ...


class Nothing:
    """An empty source."""

    def read(self, size: int, /) -> bytes:
        return b""


class Text:
    """Bytes that are there already."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def read(self, size: int, /) -> bytes:
        piece, self._left = self._left[:size], self._left[size:]
        return piece


class Collected:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        self._pieces.append(data)

    def content(self) -> bytes:
        return b"".join(self._pieces)


class Descriptor:
    """An open file or one end of a pipe, which it owns."""

    def __init__(self, number: int) -> None:
        self._number = number

    def read(self, size: int, /) -> bytes:
        return os.read(self._number, size)

    def write(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._number, view) :]

    def close(self) -> None:
        os.close(self._number)


def pieces(source: Source) -> Iterator[bytes]:
    """Everything, piece by piece as it comes."""
    while piece := source.read(_PIECE):
        yield piece


def everything(source: Source) -> bytes:
    return b"".join(pieces(source))


def lines(source: Source) -> Iterator[bytes]:
    """Line by line, each with its newline but perhaps the last."""
    left = b""
    for piece in pieces(source):
        *whole, left = (left + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if left:
        yield left
