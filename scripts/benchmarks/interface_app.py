"""The live screen alone, over a verification that runs for a while and then ends it.

    python -m scripts.benchmarks.interface_app TARGET SECONDS

TARGET is JSON (`services.probe.wire.target_map`). When it is over, the requests a second of the
whole run are the last line on the terminal.
"""

from __future__ import annotations

import json
import sys

from scripts.benchmarks.live_app import LiveApp, Show
from services.probe import runner
from services.probe.tally import Tally
from services.probe.wire import target_from
from services.stop import Stop


def main() -> None:
    target, seconds = target_from(json.loads(sys.argv[1])), float(sys.argv[2])
    last = Tally()

    def follow(show: Show) -> None:
        nonlocal last
        stop = Stop()
        last = runner.run(target, duration_s=seconds, concurrency=16, stop=stop, on_snapshot=show)
        app.call_from_thread(app.exit)

    app = LiveApp("interface", target.backends, follow)
    app.run()
    print(f"requests per second: {last.requests_per_second:.1f}")


if __name__ == "__main__":
    main()
