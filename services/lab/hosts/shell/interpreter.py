"""Runs scripts on a lab host: control flow, variables, redirections, pipelines.

A shell is used by one thread. Nothing of this computer is ever executed: a command is one of the
table's, or a script on the host.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from services.lab.hosts.shell import expansion, pattern
from services.lab.hosts.shell.execution import launch
from services.lab.hosts.shell.globbing import matching
from services.lab.hosts.shell.leaving import Exit, Fatal, LoopControl, Return
from services.lab.hosts.shell.lexer import ShellSyntaxError
from services.lab.hosts.shell.machine import Machine, Program, decoded, encoded
from services.lab.hosts.shell.parser import parse
from services.lab.hosts.shell.pipeline import MOST_STAGES, run_stages
from services.lab.hosts.shell.redirection import redirect
from services.lab.hosts.shell.streams import (
    Collected,
    Descriptor,
    Nothing,
    Sink,
    Source,
)
from services.lab.hosts.shell.syntax import (
    AndOr,
    Case,
    Command,
    Definition,
    For,
    Group,
    If,
    Loop,
    Pipeline,
    Redirect,
    Redirected,
    Script,
    Simple,
    Word,
)
from services.stop import Stop

if TYPE_CHECKING:
    from services.lab.hosts.shell.builtins import Builtin

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/root/bin"

_MOST_FRAMES = 50
"""How deep functions and scripts may call each other: Python's own stack holds no more."""


class Shell:
    """One shell: its variables, its working directory, its open files."""

    def __init__(
        self,
        machine: Machine,
        programs: Mapping[str, Program],
        builtins: Mapping[str, Builtin],
        environment: Mapping[str, str],
        descriptors: Mapping[int, Source | Sink],
        stop: Stop,
        *,
        cwd: str = "/root",
        name: str = "bash",
        arguments: Sequence[str] = (),
    ) -> None:
        self.machine = machine
        self.programs = programs
        self.builtins = builtins
        self.variables = dict(environment)
        self.exported = set(environment)
        self.functions: dict[str, Command] = {}
        self.descriptors = dict(descriptors)
        self.stop = stop
        self.cwd = cwd
        self.name = name
        self.arguments: list[str] = list(arguments)
        self.options: set[str] = set()
        self.status = 0
        self.umask = 0o022
        self.at_exit = ""
        self.locals: list[dict[str, str | None]] = []
        self._tested = 0
        """Above zero while a status is looked at, so that `set -e` leaves it alone."""
        self._frames = 0
        self._substituted = 0
        """The status of the last command substitution, for assignments alone."""
        self.stages_left = threading.BoundedSemaphore(MOST_STAGES)
        self._opened: list[Descriptor] = []
        """What `exec` redirected for good."""

    # Running

    def run(self, text: str) -> int:
        """Run a whole script, its EXIT trap included; returns its exit status.

        Raises `Stopped`, and BrokenPipeError when nobody reads its output any more.
        """
        try:
            try:
                self.evaluate(text)
            except (Exit, Return) as left:
                self.status = left.status
            except LoopControl:
                pass
            if self.at_exit:
                trap, self.at_exit = self.at_exit, ""
                status = self.status
                try:
                    self.evaluate(trap)
                except Exit as left:
                    status = left.status
                self.status = status
        finally:
            self.release()
        return self.status

    def release(self) -> None:
        """Close what `exec` opened: the shell is done."""
        for opened in self._opened:
            opened.close()
        self._opened.clear()

    def evaluate(self, text: str) -> None:
        """Run text in this very shell, as `eval` and `.` do."""
        try:
            script = parse(text)
        except ShellSyntaxError as error:
            self.complain(str(error))
            raise Fatal(2) from None
        self.execute(script)

    def execute(self, script: Script) -> None:
        for each in script.lists:
            self._and_or(each)

    def fork(self, descriptors: Mapping[int, Source | Sink] | None = None) -> Shell:
        """A subshell: everything copied, so that nothing that it does reaches back."""
        child = Shell(
            self.machine,
            self.programs,
            self.builtins,
            self.variables,
            self.descriptors if descriptors is None else descriptors,
            self.stop,
            cwd=self.cwd,
            name=self.name,
            arguments=self.arguments,
        )
        child.exported = set(self.exported)
        child.functions = dict(self.functions)
        child.options = set(self.options)
        child.status = self.status
        child.umask = self.umask
        child._tested = self._tested
        child._frames = self._frames
        child.stages_left = self.stages_left
        return child

    def complain(self, text: str) -> None:
        self.stderr.write(encoded(f"{self.name}: {text}\n"))

    @property
    def stdin(self) -> Source:
        return _as_source(self.descriptors.get(0))

    @property
    def stdout(self) -> Sink:
        return _as_sink(self.descriptors.get(1))

    @property
    def stderr(self) -> Sink:
        return _as_sink(self.descriptors.get(2))

    # What an expansion asks (expansion.Scope)

    def value(self, name: str) -> str | None:
        match name:
            case "?":
                return str(self.status)
            case "#":
                return str(len(self.arguments))
            case "@" | "*":
                return " ".join(self.arguments)
            case "$":
                return str(os.getpid())
            case "-":
                letters = {"errexit": "e", "nounset": "u", "noglob": "f", "xtrace": "x"}
                return "".join(sorted(letters[o] for o in self.options if o in letters))
            case "!":
                return None
            case "0":
                return self.name
        if name.isdigit():
            index = int(name) - 1
            return self.arguments[index] if index < len(self.arguments) else None
        return self.variables.get(name)

    def assign(self, name: str, value: str) -> None:
        self.variables[name] = value

    def option(self, name: str) -> bool:
        return name in self.options

    def substitute(self, script: Script) -> str:
        collected = Collected()
        child = self.fork({**self.descriptors, 1: collected})
        self._substituted = child.run_body(script)
        return decoded(collected.content().replace(b"\0", b"")).rstrip("\n")

    def matching(self, wanted: str) -> list[str]:
        return matching(self.machine.files, self.cwd, wanted)

    # Control flow

    def contained(self, action: Callable[[], None]) -> int:
        """Run `action` in this subshell; whatever leaves it early ends it alone."""
        try:
            action()
        except (Exit, Return) as left:
            self.status = left.status
        except LoopControl:
            pass
        finally:
            self.release()
        return self.status

    @contextmanager
    def tested(self) -> Iterator[None]:
        """While a status is being looked at, `set -e` does not apply."""
        self._tested += 1
        try:
            yield
        finally:
            self._tested -= 1

    def _holds(self, condition: Script) -> bool:
        with self.tested():
            self.execute(condition)
        return self.status == 0

    def _and_or(self, node: AndOr) -> None:
        steps = [("", node.first), *node.rest]
        for index, (operator, pipeline) in enumerate(steps):
            if operator and (operator == "&&") != (self.status == 0):
                continue
            if index < len(steps) - 1:
                with self.tested():
                    self._pipeline(pipeline)
            else:
                self._pipeline(pipeline)

    def _pipeline(self, node: Pipeline) -> None:
        if node.negated:
            with self.tested():
                self._stages(node.commands)
            self.status = int(self.status == 0)
            return
        self._stages(node.commands)
        if self.status and "errexit" in self.options and not self._tested:
            raise Exit(self.status)

    def _stages(self, commands: tuple[Command, ...]) -> None:
        if len(commands) == 1:
            self.command(commands[0])
            return
        statuses = run_stages(self, commands)
        self.stop.check()
        self.status = statuses[-1]
        if "pipefail" in self.options:
            self.status = next((status for status in reversed(statuses) if status), 0)

    def command(self, node: Command) -> None:
        self.stop.check()
        match node:
            case Simple():
                self._simple(node)
            case Redirected(command=command, redirects=redirects):
                with self._redirected(redirects) as fine:
                    if fine:
                        self.command(command)
            case Group(body=body, subshell=True):
                child = self.fork()
                self.status = child.run_body(body)
            case Group(body=body):
                self.execute(body)
            case If():
                self._if(node)
            case Loop():
                self._loop(node)
            case For():
                self._for(node)
            case Case():
                self._case(node)
            case Definition(name=name, body=body):
                self.functions[name] = body
                self.status = 0

    def run_body(self, body: Script) -> int:
        """Run a subshell's body."""
        return self.contained(lambda: self.execute(body))

    def _if(self, node: If) -> None:
        for condition, body in node.branches:
            if self._holds(condition):
                self.execute(body)
                return
        self.status = 0
        if node.otherwise is not None:
            self.execute(node.otherwise)

    def _loop(self, node: Loop) -> None:
        status = 0
        while self._holds_in_loop(node):
            self.stop.check()
            if not self._turn(node.body):
                break
            status = self.status
        self.status = status

    def _holds_in_loop(self, node: Loop) -> bool:
        return self._holds(node.condition) != node.until

    def _for(self, node: For) -> None:
        words = self.arguments[:] if node.words is None else self.fields(node.words)
        self.status = 0
        for word in words:
            self.stop.check()
            self.assign(node.name, word)
            if not self._turn(node.body):
                break

    def _turn(self, body: Script) -> bool:
        """One turn of a loop; false when it is to be the last."""
        try:
            self.execute(body)
        except LoopControl as control:
            self.status = 0
            if control.levels > 1:
                raise LoopControl(control.levels - 1, again=control.again) from None
            return control.again
        return True

    def _case(self, node: Case) -> None:
        subject = self.text(node.subject)
        self.status = 0
        for alternatives, body in node.branches:
            for alternative in alternatives:
                wanted = pattern.shell_pattern(self._expanded(expansion.pattern, alternative))
                if re.fullmatch(wanted, subject, re.DOTALL):
                    self.execute(body)
                    return

    # Simple commands

    def fields(self, words: Sequence[Word]) -> list[str]:
        try:
            return expansion.fields(words, self)
        except expansion.ExpansionError as error:
            self.complain(str(error))
            raise Fatal(1) from None

    def text(self, word: Word) -> str:
        return self._expanded(expansion.text, word)

    def _expanded(self, how: Callable[[Word, expansion.Scope], str], word: Word) -> str:
        try:
            return how(word, self)
        except expansion.ExpansionError as error:
            self.complain(str(error))
            raise Fatal(1) from None

    def _simple(self, node: Simple) -> None:
        self._substituted = 0
        arguments = self.fields(node.words)
        assignments: list[tuple[str, str]] = []
        for name, word in node.assignments:
            assignments.append((name, self.text(word)))
            if not arguments:
                # Of several, a later one may be made of an earlier one.
                self.assign(*assignments[-1])
        if "xtrace" in self.options:
            shown = [f"{name}={value}" for name, value in assignments] + arguments
            self.stderr.write(encoded("+ " + " ".join(shown) + "\n"))
        with self._redirected(node.redirects, keep=arguments == ["exec"]) as fine:
            if not fine:
                return
            if not arguments:
                self.status = self._substituted
                return
            self._dispatch(arguments, assignments)

    def _dispatch(self, arguments: list[str], assignments: list[tuple[str, str]]) -> None:
        name = arguments[0]
        builtin = self.builtins.get(name)
        if builtin is not None and builtin.special:
            for variable, value in assignments:
                self.assign(variable, value)
            self._run_builtin(builtin, arguments)
            return
        function = self.functions.get(name)
        if function is None and builtin is None:
            environment = {**self.environment(), **dict(assignments)}
            self.status = self.launch(arguments, environment, self.stop)
            return
        before = {variable: self.variables.get(variable) for variable, _ in assignments}
        try:
            for variable, value in assignments:
                self.assign(variable, value)
            if function is not None:
                self.call(function, arguments[1:])
            elif builtin is not None:
                self._run_builtin(builtin, arguments)
        finally:
            self.restore(before)

    def _run_builtin(self, builtin: Builtin, arguments: list[str]) -> None:
        try:
            self.status = builtin.run(self, arguments[1:])
        except BrokenPipeError:
            raise
        except OSError as error:
            self.complain(f"{arguments[0]}: {error.strerror}")
            self.status = 1

    def call(self, function: Command, arguments: list[str]) -> None:
        """Call a shell function."""
        if self._frames >= _MOST_FRAMES:
            self.complain("maximum function nesting level exceeded")
            raise Exit(1)
        outer, self.arguments = self.arguments, arguments
        self.locals.append({})
        self._frames += 1
        try:
            self.command(function)
        except Return as left:
            self.status = left.status
        finally:
            self._frames -= 1
            self.arguments = outer
            self.restore(self.locals.pop())

    def restore(self, before: Mapping[str, str | None]) -> None:
        for variable, value in before.items():
            if value is None:
                self.variables.pop(variable, None)
            else:
                self.variables[variable] = value

    def environment(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.exported if name in self.variables}

    def launch(self, arguments: Sequence[str], environment: Mapping[str, str], stop: Stop) -> int:
        return launch(self, arguments, environment, stop)

    def run_script(
        self,
        text: str,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stop: Stop,
        options: Sequence[str] = (),
    ) -> int:
        child = Shell(
            self.machine,
            self.programs,
            self.builtins,
            environment,
            self.descriptors,
            stop,
            cwd=self.cwd,
            name=name,
            arguments=arguments,
        )
        child.umask = self.umask
        child.options = set(options)
        child.stages_left = self.stages_left
        child._frames = self._frames + 1
        if child._frames > _MOST_FRAMES:
            self.complain("scripts call each other too deeply")
            return 1
        return child.run(text)

    # Redirections

    @contextmanager
    def _redirected(self, redirects: Sequence[Redirect], *, keep: bool = False) -> Iterator[bool]:
        """Redirect for a while, or for good with `keep`; false, with status 1, when one failed."""
        if not redirects:
            yield True
            return
        before, opened = dict(self.descriptors), list[Descriptor]()

        def open_file(path: str, flags: int) -> Descriptor:
            mode = 0o666 & ~self.umask
            opened.append(Descriptor(self.machine.files.open(path, flags, mode, self.cwd)))
            return opened[-1]

        try:
            fine = True
            try:
                for each in redirects:
                    redirect(each, self.descriptors, self.text, open_file)
            except OSError as error:
                self.descriptors = dict(before)
                where = f"{error.filename}: " if error.filename else ""
                self.complain(f"{where}{error.strerror}")
                self.status = 1
                fine = False
            yield fine
        finally:
            if keep:
                self._opened += opened
            else:
                self.descriptors = before
                for file in opened:
                    file.close()


def _as_source(stream: Source | Sink | None) -> Source:
    return cast(Source, stream) if hasattr(stream, "read") else Nothing()


def _as_sink(stream: Source | Sink | None) -> Sink:
    return cast(Sink, stream) if hasattr(stream, "write") else Collected()
