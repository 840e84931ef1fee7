"""What the lab's cloud and its hosts take for the time."""

from __future__ import annotations

import time

from services.lab.faults import Faults

SKEW_S = 3600
"""By how much they are ahead with `clock-skew`."""


def shown_time(faults: Faults) -> float:
    """The time that they show, in Unix seconds. Nothing is judged by it, signatures neither."""
    return time.time() + (SKEW_S if faults.on("clock-skew") else 0)
