"""What commands that read files or else their input have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from services.lab.hosts.shell.machine import Process
from services.lab.hosts.shell.streams import Descriptor, Source


class Inputs:
    """The files named, or standard input when there are none; `-` is standard input too.

    A file that cannot be read is complained about and left out, and `status` tells.
    """

    def __init__(self, process: Process, names: Sequence[str]) -> None:
        self._process = process
        self._names = names or ["-"]
        self.status = 0

    def __iter__(self) -> Iterator[tuple[str, Source]]:
        process = self._process
        for name in self._names:
            process.stop.check()
            if name == "-":
                yield "", process.stdin
                continue
            try:
                file = Descriptor(process.files.open(name, os.O_RDONLY, cwd=process.cwd))
            except OSError as error:
                self.status = process.fail_on(error)
                continue
            try:
                yield name, file
            finally:
                file.close()
