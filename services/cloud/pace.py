"""How fast to ask again, and how long to be patient: one set for the cloud, one for the lab."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds."""

    first_poll_s: float
    """Before the first look at a job: most are quick."""
    poll_s: float
    """Between looks, later on. The vendor publishes no limit for NLB; CAS allows ten calls a
    second to an account."""
    job_limit_s: float
    """After which a job is given up waiting for. It may still end well."""
    backoff_s: float
    backoff_cap_s: float
    throttled_s: float
    """The least wait after being throttled."""
    patience_s: float
    """How long a call is repeated while the vendor is busy."""
    fresh_s: float
    """How long a certificate just uploaded may be unknown to the balancer."""
    connect_s: float
    read_s: float
    """Without a byte arriving."""
    call_limit_s: float
    """For one whole call, since a server that drips bytes never meets `read_s`."""

    def backoff(self, attempt: int, at_least_s: float = 0) -> float:
        """Exponential with full jitter, so that many callers do not come back all at once.

        Parameters
        ----------
        attempt:
            Of the try that failed, from 1.
        """
        ceiling = min(self.backoff_cap_s, self.backoff_s * 2 ** min(attempt, 16))
        return max(at_least_s, random.uniform(0, ceiling))

    def poll(self, looks: int) -> float:
        """The wait before look number `looks`, from 1: quick at first, then steady."""
        return min(self.poll_s, self.first_poll_s * 1.6 ** min(looks - 1, 32))


CLOUD = Pace(
    first_poll_s=0.5,
    poll_s=3,
    job_limit_s=300,
    backoff_s=0.5,
    backoff_cap_s=8,
    throttled_s=1,
    patience_s=120,
    fresh_s=60,
    connect_s=5,
    read_s=20,
    call_limit_s=60,
)

LAB = Pace(
    first_poll_s=0.02,
    poll_s=0.2,
    job_limit_s=60,
    backoff_s=0.05,
    backoff_cap_s=0.5,
    throttled_s=0.05,
    patience_s=20,
    fresh_s=10,
    connect_s=5,
    read_s=20,
    call_limit_s=60,
)
"""For an API on this computer, where neither distance nor rate limits ask for more."""
