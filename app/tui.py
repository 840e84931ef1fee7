"""Runs the assistant on the terminal: what has to be set before Textual is imported, and the last
words once the terminal is the shell's again.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from services.problem import Exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.start import Begin, Start
    from services.redact import Redactor

FRAMES_PER_SECOND = "240"
"""At Textual's usual 60 a repaint soon after another waits up to two frames: an idle app then
answers a key in 36 ms (99th percentile) instead of 10."""


def run(
    start: Callable[[], Start],
    begin: Begin,
    home: Path,
    redact: Redactor,
    program: str = "nlb-mtls",
) -> int:
    """The assistant until the person leaves it. Returns the exit code (128 and a signal's number).

    `start` composes what opens walks; it is called after the first screen stands, in a thread.
    `program` is how a person calls this program, options that choose the home folder included.
    """
    os.environ.setdefault("TEXTUAL_FPS", FRAMES_PER_SECOND)
    if not os.environ.get("NO_COLOR"):
        # Textual takes an empty one for a wish, too (no-color.org: "when present and not empty").
        os.environ.pop("NO_COLOR", None)
    # Until the first screen stands there is nothing but imports, and no cycle to be collected:
    # looking for some all the same costs 6 % of that time. The assistant switches it on again.
    gc.disable()
    from app.assistant import Assistant  # Textual: 0.3 s

    app = Assistant(start, begin, home, redact, program=program)
    app.run()
    for line in app.last_words:
        print(line, file=sys.stderr)
    return int(app.return_code if app.return_code is not None else Exit.NOT_FINE)
