"""The form in which a script of ours answers, and the one reader of it.

    nlb-mtls: begin
    nlb-mtls: name=value        any number, a name may come again
    nlb-mtls: text NAME         then text as it is, up to the next such line
    nlb-mtls: end

Other lines may stand between, from a login shell or a package manager, and a host can print
anything at all: what holds no whole answer is a Problem, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.hosts.facts import problem
from services.hosts.port import Host, Ran
from services.problem import Problem

PREFIX = "nlb-mtls: "
"""What every line of an answer begins with: such a line is for this program, not for a person."""

_BEGIN = f"{PREFIX}begin"
_TEXT = f"{PREFIX}text "
_END = f"{PREFIX}end"

_PREAMBLE = f"""\
LC_ALL=C; export LC_ALL
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; export PATH
tell() {{ printf '{PREFIX}%s\\n' "$1"; }}
fail() {{ tell "failed=$1"; tell end; exit 1; }}
sha256() {{ sha256sum | head -c 64; }}
tell begin
"""
"""Messages in one language, the system's programs for users whose path lacks them, and functions:
`tell NAME=VALUE`, `fail WHAT`, which ends script and answer, and `sha256 < FILE`."""


def script(body: str) -> str:
    """A POSIX shell script around `body`, which gives an answer."""
    return f"{_PREAMBLE}{body.strip()}\ntell end\n"


def flag(name: str, condition: str) -> str:
    """Shell that answers `name=yes` or `name=no`, by a command's exit status."""
    return f"if {condition}; then tell {name}=yes; else tell {name}=no; fi"


def text(name: str, command: str) -> str:
    """Shell that answers with what `command` prints. Comes after every `name=value`."""
    return f"tell 'text {name}'; {command}; echo"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script of ours has answered."""

    host: Host
    ran: Ran
    pairs: Mapping[str, Sequence[str]]
    texts: Mapping[str, str]

    def one(self, name: str) -> str:
        """The only value of `name`. Raises Problem `hosts.bad-answer`."""
        values = self.pairs.get(name, ())
        if len(values) != 1:
            raise self.bad(f"{len(values)} times {name}=")
        return values[0]

    def yes(self, name: str) -> bool:
        """The value of a `flag`. Raises Problem `hosts.bad-answer`."""
        value = self.one(name)
        if value not in ("yes", "no"):
            raise self.bad(f"{name}={value}")
        return value == "yes"

    def every(self, name: str) -> Sequence[str]:
        return self.pairs.get(name, ())

    @property
    def failed(self) -> str:
        """What the script failed at, by the word that was given to `fail`; empty if it did not."""
        return next(iter(self.every("failed")), "")

    def bad(self, why: str) -> Problem:
        return problem("bad-answer", self.host, f"{why}\n{self.ran.stdout}\n{self.ran.stderr}")


def read(host: Host, ran: Ran) -> Answer:
    """The answer in a script's output. Raises Problem `hosts.bad-answer`."""
    bad = Answer(host, ran, {}, {}).bad
    lines = ran.stdout.split("\n")
    try:
        begin = lines.index(_BEGIN)
        end = len(lines) - 1 - lines[::-1].index(_END)
    except ValueError:
        raise bad(f"exit {ran.exit_status}, no whole answer") from None
    pairs: dict[str, list[str]] = {}
    texts: dict[str, list[str]] = {}
    under: list[str] | None = None
    for line in lines[begin + 1 : end]:
        if line.startswith(_TEXT):
            under = texts.setdefault(line.removeprefix(_TEXT), [])
        elif under is not None:
            under.append(line)
        elif line.startswith(PREFIX) and "=" in line:
            name, _, value = line.removeprefix(PREFIX).partition("=")
            pairs.setdefault(name, []).append(value)
    return Answer(host, ran, pairs, {name: "\n".join(kept) for name, kept in texts.items()})
