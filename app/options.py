"""The grammar of the command line. Only the command that is named gets its options built.

`--help` comes through here, so this module imports argparse and the catalogue and nothing else.
"""

from __future__ import annotations

import argparse
import os

from services.text import knows, say, speak

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import NoReturn

LANGUAGES = ("en", "ja", "zh")
SHELLS = ("bash", "zsh", "tcsh", "fish", "powershell")

_LONGEST_S = 30 * 86400.0
EXPORTS = ("report",)


class Options(argparse.Namespace):
    """What was given, with what holds where nothing was."""

    command: str = ""
    home: str | None = None
    lang: str = "en"
    version: bool = False
    help_answers: bool = False
    print_completion: str | None = None

    yes: bool = False
    plain: bool = False
    json: bool = False
    answers: str | None = None
    answer: Sequence[str] = ()
    host_key: Sequence[str] = ()
    pkcs12_password_file: str | None = None

    serve: str = ""
    dir: str | None = None
    port: int = 0
    backends: int = 2
    fault: Sequence[str] = ()

    session: str = ""
    requests: int | None = None
    duration: float | None = None
    rate: int | None = None
    concurrency: int | None = None
    workers: int = 1
    connect: str | None = None
    name: str | None = None
    cert: str | None = None
    key: str | None = None
    ca: str | None = None
    path: str | None = None
    backend_pattern: str | None = None
    backend_header: str | None = None
    client_ca_cert: str | None = None
    client_ca_key: str | None = None
    timeout: int | None = None

    file: Sequence[str] = ()
    password_stdin: bool = False

    what: str = ""
    output: str | None = None


class Usage(Exception):
    """The words make no sense. `command` is the one whose help says more."""

    def __init__(self, message: str, command: str = "") -> None:
        super().__init__(message)
        self.command = command


def parse(words: Sequence[str]) -> Options:
    """What `words` ask for. Raises Usage; `--help` prints and raises SystemExit."""
    command = _command(words)
    speak(_value(words, "--lang") or "en")
    if command and command not in COMMANDS:
        raise Usage(say("app.usage.command", word=command, near=_near(command, COMMANDS)))
    options = Options()
    parser = build(only=command)
    try:
        _, rest = parser.parse_known_args(words, options)
    except Usage:
        # An option that does not exist leaves its value behind, which is then the first to be told.
        rest = [word for word in words if word.startswith("--") and not _exists(word, command)]
        if not rest:
            raise
    if rest:
        raise Usage(_unknown(rest[0], command), command)
    return options


def build(only: str | None = None, session_ids: object = None) -> _Parser:
    """The parser; with the options of all commands, unless `only` one will be used.

    `session_ids` is how a shell completes a session's id, in shtab's terms.
    """
    parser = _Parser("nlb-mtls", "top")
    _everywhere(parser)
    parser.add_argument("--version", action="store_true", help=say("app.option.version"))
    parser.add_argument("--help-answers", action="store_true", help=say("app.option.help-answers"))
    completion = say("app.option.print-completion")
    parser.add_argument("--print-completion", choices=SHELLS, metavar="SHELL", help=completion)
    parser.add_argument("--plain", action="store_true", help=say("app.option.plain"))
    commands = parser.add_subparsers(
        title=say("app.help.commands"), dest="command", metavar="COMMAND", parser_class=_Parser
    )
    for name, add_options in COMMANDS.items():
        part = parser.parts[name] = commands.add_parser(name, help=say(f"app.help.{name}.summary"))
        if only in (None, name):
            part.name, part.session_ids = name, session_ids
            _everywhere(part)
            add_options(part)
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        # argparse would import shutil for the width, at every option that is added.
        super().__init__(prog, max_help_position=30, width=_width())

    def _split_lines(self, text: str, width: int) -> list[str]:
        # Nor need textwrap be imported, and its patterns compiled, for such short sentences.
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if len(longer) <= width or not lines[-1]:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines


class _Parser(argparse.ArgumentParser):
    """Says its examples first and the exit codes last; gives an error up instead of exiting."""

    def __init__(self, prog: str, name: str = "", **settings: object) -> None:
        super().__init__(
            prog, formatter_class=_Formatter, argument_default=argparse.SUPPRESS, add_help=False
        )
        self.name = name
        self.parts: dict[str, _Parser] = {}
        self.session_ids: object = None

    def format_help(self) -> str:
        first = say(f"app.help.{self.name}.about").rstrip()
        key = f"app.help.{self.name}.examples"
        examples = f"\n{say('app.help.examples')}\n{say(key)}" if knows(key) else ""
        faults = f"\n{_faults()}" if self.name in ("lab", "lab-serve") else ""
        return f"{first}\n{examples}\n{super().format_help()}{faults}\n{say('app.help.exit-codes')}"

    def error(self, message: str) -> NoReturn:
        raise Usage(message, self.name if self.name in COMMANDS else "")


def _everywhere(parser: _Parser) -> None:
    parser.add_argument("-h", "--help", action="help", help=say("app.option.help"))
    _file(parser, "--home", "DIR")
    parser.add_argument("--lang", choices=LANGUAGES, help=say("app.option.lang"))


def _lab(parser: _Parser) -> None:
    _manner(parser)
    _lab_settings(parser)
    _answers(parser)
    inner = parser.add_subparsers(
        title=say("app.help.commands"), dest="serve", metavar="COMMAND", parser_class=_Parser
    )
    serve = parser.parts["serve"] = inner.add_parser(
        "serve", help=say("app.help.lab-serve.summary")
    )
    serve.name = "lab-serve"
    _everywhere(serve)
    _file(serve, "--dir", "DIR")
    serve.add_argument("--port", type=_whole(0, 65535), metavar="N", help=say("app.option.port"))
    _lab_settings(serve)


def _run(parser: _Parser) -> None:
    _manner(parser)
    _answers(parser)


def _resume(parser: _Parser) -> None:
    _session(parser)
    _run(parser)


def _status(parser: _Parser) -> None:
    _session(parser)
    _json(parser)


def _verify(parser: _Parser) -> None:
    _session(parser)
    _json(parser)
    course = parser.add_argument_group(say("app.help.course"))
    add = course.add_argument
    add("--requests", type=_whole(1, 1_000_000), metavar="N", help=say("app.option.requests"))
    add("--for", type=duration, dest="duration", metavar="TIME", help=say("app.option.for"))
    add("--rate", type=_whole(1, 100_000), metavar="N", help=say("app.option.rate"))
    add("--concurrency", type=_whole(1, 256), metavar="N", help=say("app.option.concurrency"))
    add("--workers", type=_whole(1, 64), metavar="N", help=say("app.option.workers"))
    endpoint = parser.add_argument_group(say("app.help.endpoint"))
    add = endpoint.add_argument
    add("--connect", metavar="HOST:PORT", help=say("app.option.connect"))
    add("--name", metavar="DOMAIN", help=say("app.option.name"))
    for option in ("--cert", "--key", "--ca", "--client-ca-cert", "--client-ca-key"):
        _file(endpoint, option)
    add("--path", metavar="PATH", help=say("app.option.path"))
    add("--backend-pattern", metavar="RE", help=say("app.option.backend-pattern"))
    add("--backend-header", metavar="NAME", help=say("app.option.backend-header"))
    add("--timeout", type=_whole(1, 600), metavar="S", help=say("app.option.timeout"))


def _inspect(parser: _Parser) -> None:
    files = parser.add_argument("file", nargs="+", metavar="FILE", help=say("app.option.file"))
    _completed(files, "file")
    stdin = say("app.option.password-stdin")
    parser.add_argument("--password-stdin", action="store_true", help=stdin)
    _json(parser)


def _export(parser: _Parser) -> None:
    parser.add_argument("what", choices=EXPORTS, metavar="WHAT", help=say("app.option.what"))
    _session(parser)
    folder = say("app.option.output")
    output = parser.add_argument("-o", "--output", metavar="DIR", help=folder)
    _completed(output, "directory")
    _json(parser)


def _cleanup(parser: _Parser) -> None:
    _session(parser)
    parser.add_argument("--yes", action="store_true", help=say("app.option.yes-cleanup"))
    _json(parser)


def _json(parser: _Parser) -> None:
    parser.add_argument("--json", action="store_true", help=say("app.option.json"))


def _session(parser: _Parser) -> None:
    session = say("app.option.session")
    action = parser.add_argument("session", nargs="?", metavar="SESSION", help=session)
    if parser.session_ids is not None:
        _completed(action, parser.session_ids)


def _file(parser: argparse._ActionsContainer, option: str, metavar: str = "FILE") -> None:
    key = option.lstrip("-")
    action = parser.add_argument(option, metavar=metavar, help=say(f"app.option.{key}"))
    _completed(action, "directory" if metavar == "DIR" else "file")


def _completed(action: argparse.Action, how: object) -> None:
    """How a shell completes the action's value; an attribute that shtab looks for."""
    action.complete = how  # type: ignore[attr-defined]


def _manner(parser: _Parser) -> None:
    parser.add_argument("--yes", action="store_true", help=say("app.option.yes"))
    parser.add_argument("--plain", action="store_true", help=say("app.option.plain"))
    _json(parser)


def _answers(parser: _Parser) -> None:
    group = parser.add_argument_group(say("app.help.answers"))
    add = group.add_argument
    _file(group, "--answers", "FILE.toml")
    add("--answer", action="append", metavar="NAME=VALUE", help=say("app.option.answer"))
    add("--host-key", action="append", metavar="NAME=SHA256:…", help=say("app.option.host-key"))
    _file(group, "--pkcs12-password-file", "F")


def _lab_settings(parser: _Parser) -> None:
    add = parser.add_argument
    add("--backends", type=_whole(1, 200), metavar="N", help=say("app.option.backends"))
    add("--fault", action="append", metavar="NAME", help=say("app.option.fault"))


COMMANDS: Mapping[str, Callable[[_Parser], None]] = {
    "lab": _lab,
    "run": _run,
    "resume": _resume,
    "sessions": _json,
    "status": _status,
    "verify": _verify,
    "inspect": _inspect,
    "export": _export,
    "cleanup": _cleanup,
}


def _faults() -> str:
    from services.lab.faults import FAULTS  # 8 ms

    lines = [f"  {kind.name}\n      {say(kind.key)}" for kind in FAULTS.values()]
    return "\n".join([say("app.help.faults"), *lines, ""])


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text[:10]) <= high):
            raise argparse.ArgumentTypeError(say("app.usage.number", text=text, low=low, high=high))
        return int(text)

    return convert


def duration(text: str) -> float:
    """A length of time such as `90s`, `10m` or `1h30m`, in seconds.

    Raises argparse.ArgumentTypeError for anything else, and for more than 30 days.
    """
    import re

    found = re.fullmatch(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?", text)
    parts = found.groups(default="0") if found else ("0", "0", "0")
    seconds = 3600.0 * int(parts[0]) + 60.0 * int(parts[1]) + int(parts[2])
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(say("app.usage.duration", text=text))
    return seconds


def _command(words: Sequence[str]) -> str:
    """The first word that is neither an option nor the value of a global one."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("--home", "--lang", "--print-completion"):
            skip = True
        elif not word.startswith("-"):
            return word
    return ""


def _value(words: Sequence[str], option: str) -> str:
    for position, word in enumerate(words):
        if word == option:
            return "".join(words[position + 1 : position + 2])
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def _exists(word: str, command: str) -> bool:
    return word.partition("=")[0] in _options(command)


def _unknown(word: str, command: str) -> str:
    if not word.startswith("-"):
        return say("app.usage.word", word=word)
    return say("app.usage.option", word=word, near=_near(word.partition("=")[0], _options(command)))


def _options(command: str) -> list[str]:
    """Every option that may stand in a command line with `command`."""
    import re

    waiting, found = [build(only=command)], []
    while waiting:
        parser = waiting.pop()
        found += re.findall(r"--[a-z][a-z0-9-]*", parser.format_help())
        waiting += [part for name, part in parser.parts.items() if name in (command, "serve")]
    return found


def _near(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    return (get_close_matches(word, list(known), n=1, cutoff=0) or ["-"])[0]


def _width() -> int:
    try:
        columns = int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        try:
            columns = os.get_terminal_size().columns
        except OSError:
            columns = 80
    return max(40, min(columns, 100) - 2)
