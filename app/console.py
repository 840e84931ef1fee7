"""The two streams: stdout is data, stderr is talk. No secret passes, but for those that are shown
on purpose.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Any, TextIO

from services.events import Event, problem_map, rfc3339
from services.problem import Problem
from services.redact import Redactor
from services.text import say

_STRUCTURE = ("event", "time", "step", "phase", "action", "status", "verdict")
"""Fields that come first and hold our own words: no password is taken out of "pass"."""


class Console:
    """What a command prints. Safe for several threads.

    With `json`, stdout holds one JSON object a line and nothing else, and people's text goes to
    stderr. BrokenPipeError says that the reader is gone.
    """

    def __init__(self, *, json: bool = False, redact: Redactor | None = None) -> None:
        self.json = json
        self.redact = redact or Redactor()
        self._told: Problem | None = None
        self._lock = threading.Lock()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                # A terminal that cannot show a sign still gets the sentence around it.
                stream.reconfigure(errors="backslashreplace")

    def say(self, text: str, *, end: str = "\n") -> None:
        """People's text: on stdout, or on stderr where stdout is for a program."""
        self._write(sys.stderr if self.json else sys.stdout, self.redact(text) + end)

    def aside(self, text: str) -> None:
        """People's text that is no result: always on stderr."""
        self._write(sys.stderr, self.redact(text) + "\n")

    def show_secret(self, text: str) -> None:
        """A secret that a person has to see, once: on stderr, as it is."""
        self._write(sys.stderr, text + "\n")

    def event(self, event: Event) -> None:
        """One event as JSON. People's text is made of events elsewhere (`app.narration`)."""
        if event.problem is not None:
            self._told = event.problem
        self._data(event.to_map())

    def result(self, found: Mapping[str, Any]) -> None:
        """The last line of `--json`."""
        self._data({"event": "result", "time": rfc3339(datetime.now(UTC)), **found})

    def problem(self, problem: Problem) -> None:
        """A failure: in its four parts on stderr, and with `--json` as an event too."""
        words = problem.words()
        lines = [
            say("app.shown.what", text=words.what),
            say("app.shown.cause", text=words.cause),
            say("app.shown.remedy", text=words.remedy),
        ]
        if words.evidence:
            lines.append(say("app.shown.evidence", text=words.evidence))
        lines.append(say("app.shown.code", text=words.code))
        self.aside("\n".join(lines))
        if self.json and problem is not self._told:
            self.event(Event("problem", problem=problem))

    def failure(self, problem: Problem, **found: Any) -> None:
        """A failure that ends the run: as `problem`, and with `--json` the last line."""
        self.problem(problem)
        if self.json:
            shown = problem_map(problem)
            diagnosis = {name: value for name, value in shown.items() if name != "what"} | {
                "severity": "error",
                "confidence": "certain",
            }
            self.result({"verdict": "fail", "problem": shown, "diagnosis": [diagnosis], **found})

    def _data(self, found: Mapping[str, Any]) -> None:
        first = {name: found[name] for name in _STRUCTURE if name in found}
        rest = {
            name: self.redact.within(value) for name, value in found.items() if name not in first
        }
        import json  # 1 ms, and the first screen needs none

        self._write(sys.stdout, json.dumps(first | rest) + "\n")

    def _write(self, stream: TextIO | None, text: str) -> None:
        if stream is None:
            return
        with self._lock:
            stream.write(text)
            stream.flush()
