"""What is neither proven nor explained: then it is said that it cannot be told, and why."""

from __future__ import annotations

from services.probe.observations import Observations
from services.probe.refusals import MUST_TRY
from services.probe.rules import silence
from services.probe.rules.finding import Finding


def unproven(seen: Observations) -> Finding | None:
    """Fires when something that must hold was not seen to hold, whatever the reason."""
    reason, evidence = _reason(seen)
    if not reason:
        return None
    failed = f"{seen.tally.failed} of {seen.tally.requests} requests failed"
    return Finding("possible", evidence or failed, silence.silent(seen), notes=(reason,))


def _reason(seen: Observations) -> tuple[str, str]:
    tally = seen.tally
    if tally.unfinished or not tally.requests:
        return "because-stopped", f"{tally.requests} requests made, {tally.unfinished} given up"
    if not tally.ok and silence.silent(seen):
        return "because-silent", silence.sample(seen)
    if tally.failed:
        return "because-failed", "; ".join(
            f"{name}: {text}" for name, text in tally.samples.items()
        )
    kept_out = {each.name for each in seen.refusals if each.refused}
    open_questions = [name for name in MUST_TRY if name not in kept_out]
    if open_questions:
        return "because-untried", f"not tried: {', '.join(open_questions)}"
    if seen.missing():
        return "because-unseen", f"no answer from {', '.join(seen.missing())}"
    return "", ""
