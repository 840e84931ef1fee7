"""Stands in for the worker process: what it prints when 500 backends give 10,000 results/s.

No load of real requests goes that fast here. The counting and the lines are the program's own; only
the results are made up: evenly over the backends, as a balancer spreads them.
"""

from __future__ import annotations

import json
import sys
import time

from services.probe.engine import TICK_S
from services.probe.tally import Counting

BACKENDS = 500
RESULTS_PER_S = 10_000

NAMES = [f"ECS{number:03}" for number in range(1, BACKENDS + 1)]


def main() -> None:
    counting = Counting(time.time())
    each_tick = int(RESULTS_PER_S * TICK_S)
    began, done = time.monotonic(), 0
    while True:
        for number in range(done, done + each_tick):
            latency_s = 0.005 + number % 97 / 10_000
            counting.answered(NAMES[number % BACKENDS], latency_s, "TLSv1.3 TLS_AES_256_GCM_SHA384")
        done += each_tick
        tally = counting.tally(time.monotonic() - began)
        sys.stdout.write(json.dumps({"tally": tally.to_map(), "final": False}) + "\n")
        sys.stdout.flush()
        time.sleep(TICK_S)


if __name__ == "__main__":
    main()
