"""The form in which a script of ours answers, and the one reader of it.

    nlb-mtls: begin
    name=value                 any number, a name may come again
    nlb-mtls: text NAME        then text as it is, up to the next such line
    nlb-mtls: end

A login shell may print things before, and a host can print anything at all: what is not of this
form is a Problem, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.hosts.facts import problem
from services.hosts.port import Host, Ran
from services.problem import Problem

_BEGIN = "nlb-mtls: begin"
_TEXT = "nlb-mtls: text "
_END = "nlb-mtls: end"

_PREAMBLE = f"""\
LC_ALL=C; export LC_ALL
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; export PATH
sha256() {{ sha256sum | head -c 64; }}
fail() {{ echo "failed=$1"; echo '{_END}'; exit 1; }}
echo '{_BEGIN}'
"""
"""Messages in one language, the system's programs for users whose path lacks them, and the two
functions that scripts use: `sha256 < FILE`, and `fail WHAT`, which ends script and answer."""


def script(body: str) -> str:
    """A POSIX shell script around `body`, which prints the lines of an answer."""
    return f"{_PREAMBLE}{body.strip()}\necho '{_END}'\n"


def flag(name: str, condition: str) -> str:
    """Shell that answers `name=yes` or `name=no`, by a command's exit status."""
    return f"if {condition}; then echo {name}=yes; else echo {name}=no; fi"


def text(name: str, command: str) -> str:
    """Shell that answers with what `command` prints. Comes after all the `name=value` lines."""
    return f"printf '\\n{_TEXT}{name}\\n'; {command}; echo"


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
        elif "=" in line:
            name, _, value = line.partition("=")
            pairs.setdefault(name, []).append(value)
    # `text` puts a newline after each text, which is not the text's own.
    joined = {name: "\n".join(kept).removesuffix("\n") for name, kept in texts.items()}
    return Answer(host, ran, pairs, joined)
