"""Asynchronous jobs: most of NLB's changes answer with one, and are through when it is."""

from __future__ import annotations

from dataclasses import replace

from services.lab.api.call import Call
from services.lab.api.errors import resource_not_found
from services.lab.state.account import Account, Job, Json
from services.lab.state.identifiers import fresh_job


def started(account: Account, done_at: float) -> tuple[str, Account]:
    """A new job's id, and the account that has it."""
    job = Job(fresh_job(), done_at)
    return job.id, replace(account, jobs={**account.jobs, job.id: job})


def get_job_status(call: Call) -> Json:
    job = call.account.jobs.get(call.parameters.needed("JobId"))
    if job is None:
        raise resource_not_found("job")
    return {"Status": _status(job, call.now)}


def list_asyn_jobs(call: Call) -> Json:
    wanted = call.parameters.texts("JobIds", 100)
    jobs = [job for job in call.account.jobs.values() if not wanted or job.id in wanted]
    return {
        "Jobs": [{"Id": job.id, "Status": _status(job, call.now)} for job in jobs],
        # The one count that this API gives as a text.
        "TotalCount": str(len(jobs)),
    }


def _status(job: Job, now: float) -> str:
    return "Succeeded" if job.done_at <= now else "Processing"
