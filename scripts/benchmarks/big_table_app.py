"""The live screen alone, fed with the snapshots of 500 backends by `feeder`."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from functools import partial

from scripts.benchmarks.feeder import NAMES
from scripts.benchmarks.live_app import LiveApp, Show
from services.probe.tally import Tally
from services.probe.wire import Line


def _follow(feeder: subprocess.Popen[bytes], show: Show) -> None:
    assert feeder.stdout is not None
    tally = Tally()
    for text in feeder.stdout:
        line: Line = json.loads(text)
        tally = Tally.from_map(line["tally"]).after(tally)
        show(tally)


def main() -> None:
    command = [sys.executable, "-m", "scripts.benchmarks.feeder"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as feeder:
        try:
            LiveApp("500 backends", NAMES, partial(_follow, feeder)).run()
        finally:
            feeder.kill()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
