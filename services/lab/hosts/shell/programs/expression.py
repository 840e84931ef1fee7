"""The conditions of `test` and `[`."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence

from services.lab.hosts.filesystem import HostFiles

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}
_FILE_TESTS = frozenset(
    ["-e", "-f", "-d", "-L", "-h", "-s", "-r", "-w", "-x", "-p", "-S", "-b", "-c"]
)
_BINARY = frozenset([*_COMPARISONS, "=", "==", "!=", "-nt", "-ot", "<", ">"])


def expression(arguments: Sequence[str], files: HostFiles, cwd: str) -> bool:
    """Whether the condition holds. Raises ValueError when it is none."""
    parser = _Parser(list(arguments)[::-1], files, cwd)
    return parser.whole() if arguments else False


class _Parser:
    def __init__(self, waiting: list[str], files: HostFiles, cwd: str) -> None:
        self._waiting = waiting
        self._files = files
        self._cwd = cwd

    def whole(self) -> bool:
        holds = self._or()
        if self._waiting:
            raise ValueError(f"{self._waiting[-1]}: unexpected operator")
        return holds

    def _or(self) -> bool:
        holds = self._and()
        while self._waiting and self._waiting[-1] == "-o":
            self._waiting.pop()
            other = self._and()
            holds = holds or other
        return holds

    def _and(self) -> bool:
        holds = self._not()
        while self._waiting and self._waiting[-1] == "-a":
            self._waiting.pop()
            other = self._not()
            holds = holds and other
        return holds

    def _not(self) -> bool:
        if len(self._waiting) > 1 and self._waiting[-1] == "!" and not self._binary_follows():
            self._waiting.pop()
            return not self._not()
        return self._primary()

    def _binary_follows(self) -> bool:
        return len(self._waiting) > 2 and self._waiting[-2] in _BINARY

    def _primary(self) -> bool:
        if not self._waiting:
            raise ValueError("argument expected")
        if self._binary_follows():
            left, operator, right = (self._waiting.pop() for _ in range(3))
            return self._binary(left, operator, right)
        first = self._waiting.pop()
        if first == "(" and self._waiting:
            holds = self._or()
            if not self._waiting or self._waiting.pop() != ")":
                raise ValueError("`)' expected")
            return holds
        if first in ("-n", "-z") and self._waiting:
            return (self._waiting.pop() == "") == (first == "-z")
        if first in _FILE_TESTS and self._waiting:
            return self._file(first, self._waiting.pop())
        if first == "-t" and self._waiting:
            self._waiting.pop()
            return False
        return first != ""

    def _binary(self, left: str, operator: str, right: str) -> bool:
        match operator:
            case "=" | "==":
                return left == right
            case "!=":
                return left != right
            case "<":
                return left < right
            case ">":
                return left > right
            case "-nt":
                return self._modified(left) > self._modified(right)
            case "-ot":
                return self._modified(left) < self._modified(right)
        return _COMPARISONS[operator](_integer(left), _integer(right))

    def _modified(self, path: str) -> int:
        try:
            return self._files.stat(path, self._cwd).st_mtime_ns
        except OSError:
            return -1

    def _file(self, operator: str, path: str) -> bool:
        try:
            found = self._files.stat(path, self._cwd, follow=operator not in ("-L", "-h"))
        except OSError:
            return False
        match operator:
            case "-f":
                return stat.S_ISREG(found.st_mode)
            case "-d":
                return stat.S_ISDIR(found.st_mode)
            case "-L" | "-h":
                return stat.S_ISLNK(found.st_mode)
            case "-s":
                return found.st_size > 0
            case "-x":
                return bool(found.st_mode & 0o111)
            case "-p" | "-S" | "-b" | "-c":
                return False
        return True  # It exists, and root reads and writes whatever there is.


def _integer(text: str) -> int:
    try:
        return int(text.strip())
    except ValueError:
        raise ValueError(f"{text}: integer expression expected") from None
