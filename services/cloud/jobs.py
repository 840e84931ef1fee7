"""Changes that the vendor queues: wait until they are in force.

A change is over when its job says so and the resource shows it. The job alone is not enough, for
the resource may lag behind, nor is the resource alone, for just after the request it may still
show its old, quiet state. Where the job cannot be asked for, the resource decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from services.cloud.api import Api
from services.cloud.errors import PRODUCTS
from services.problem import Problem
from services.stop import Stop


def wait_until(api: Api, what: str, job_id: str, missing: Callable[[], str], stop: Stop) -> None:
    """Return once the NLB job has succeeded and nothing is missing.

    Parameters
    ----------
    what:
        The resource that changes, for the words of a Problem.
    job_id:
        Empty where the vendor gave none.
    missing:
        Says what the resource still lacks, such as its state; empty once the change is in force.

    Raises
    ------
    Problem
        `cloud.job-failed`; `cloud.not-in-time` after the pace's `job_limit_s`.
    """
    began = time.monotonic()
    job = "absent" if not job_id else "processing"
    for look in count(1):
        stop.sleep(api.pace.poll(look))
        if job == "processing":
            job = _job(api, what, job_id, stop)
        lacks = f"job {job}" if job == "processing" else missing()
        if not lacks:
            return
        waited_s = time.monotonic() - began
        if waited_s > api.pace.job_limit_s:
            raise Problem(
                "cloud.not-in-time",
                f"{what}: {lacks} after {waited_s:.0f} s (JobId {job_id or 'absent'})",
                subject=what,
                seconds=f"{waited_s:.0f}",
                product=PRODUCTS["nlb"],
            )


def _job(api: Api, what: str, job_id: str, stop: Stop) -> str:
    """`processing`, `succeeded`, or `unknown` when the question itself is refused."""
    try:
        answer = api.call("nlb", "GetJobStatus", {"JobId": job_id}, stop)
    except Problem as problem:
        if problem.code not in {"cloud.forbidden", "cloud.not-found", "cloud.refused"}:
            raise
        return "unknown"
    # Documented as "Succeeded", "Processing" and "processing", and "Failed" in a sister action:
    # any other word is taken for "not yet".
    status = answer.text("Status").lower()
    if status == "failed":
        raise Problem(
            "cloud.job-failed",
            f"{what}: job {job_id} ended with status {answer.text('Status')}",
            subject=what,
            product=PRODUCTS["nlb"],
        )
    return "succeeded" if status == "succeeded" else "processing"
