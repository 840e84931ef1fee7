"""What becomes of an exception that nobody expected: a report file, and a few words on stderr."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import TracebackType

from app import crash_report
from app.console import Console


def report_to(folder: Path, console: Console) -> None:
    """From now on, have what nobody catches written to `folder` and told, without a traceback."""

    def tell(error: BaseException) -> None:
        console.failure(crash_report.write(error, folder, console.redact))

    def unhandled(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            tell(error)

    def unhandled_in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            tell(args.exc_value)

    sys.excepthook = unhandled
    threading.excepthook = unhandled_in_thread
