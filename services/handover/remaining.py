"""What is left to a person: rules over a report's content, each a line of one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.handover.content import Certificate, Remaining, StepState, Verification
from services.session.model import Session
from services.text import say
from services.walk import SETTLED


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rules look at."""

    session: Session
    steps: Sequence[StepState]
    certificates: Sequence[Certificate]
    verification: Verification | None
    pki: Path


@dataclass(frozen=True, slots=True)
class _Left:
    """A rule's finding: the facts that fill its words, and a command."""

    facts: Mapping[str, object]
    command: str | None = None


def remaining(seen: Situation) -> tuple[Remaining, ...]:
    """Everything that is left to do, what keeps the set-up from working first."""
    return tuple(
        Remaining(
            code=code, text=say(f"handover.remaining.{code}", **left.facts), command=left.command
        )
        for code, rule in _RULES.items()
        for left in rule(seen)
    )


def _unfinished(seen: Situation) -> Iterator[_Left]:
    for step in seen.steps:
        # That a proof of the endpoint failed is told with what it found.
        if step.state not in SETTLED and not (step.state == "failed" and _has_failed(seen)):
            facts = {"title": step.title, "state": step.state_words}
            yield _Left(facts, f"nlb-mtls resume {seen.session.id}")
            return


def _not_verified(seen: Situation) -> Iterator[_Left]:
    if seen.verification is None:
        yield _Left({}, f"nlb-mtls verify {seen.session.id}")


def _has_failed(seen: Situation) -> bool:
    return seen.verification is not None and seen.verification.verdict == "fail"


def _failed(seen: Situation) -> Iterator[_Left]:
    if _has_failed(seen):
        yield _Left({}, f"nlb-mtls verify {seen.session.id}")


def _ended(seen: Situation) -> Iterator[_Left]:
    for each in seen.certificates:
        if each.ending == "over":
            yield _Left({"role": each.role, "date": each.not_after[:10]})


def _ends_soon(seen: Situation) -> Iterator[_Left]:
    for each in seen.certificates:
        if each.ending == "soon":
            facts = {"role": each.role, "date": each.not_after[:10], "count": each.days_left}
            yield _Left(facts)


def _dns(seen: Situation) -> Iterator[_Left]:
    """The record is made where the domain is hosted, outside of what this program sets up."""
    found = seen.verification and seen.verification.dns
    if found and found.leads_to_balancer:
        return
    domain = seen.session.answers.get("prepare.domain", "")
    balancer = seen.session.facts.get("balancer.dns_name", "")
    if domain and balancer:
        facts = {"domain": domain, "balancer": balancer}
        yield _Left(facts, f"dig +short CNAME {domain.removeprefix('*.')}")


def _browsers(seen: Situation) -> Iterator[_Left]:
    facts = seen.session.facts
    if "client.pkcs12" in facts and "install.instructions" in facts:
        yield _Left({"file": facts["client.pkcs12"], "instructions": facts["install.instructions"]})


def _linux_client(seen: Situation) -> Iterator[_Left]:
    """The client's files were made, and lie on this computer only."""
    facts = seen.session.facts
    if "client.certificate" in facts and "install.directory" not in facts:
        yield _Left({})


def _untried(seen: Situation) -> Iterator[_Left]:
    strangers = seen.verification.strangers if seen.verification else ()
    untried = [each.title for each in strangers if each.untried]
    if untried:
        yield _Left({"strangers": "; ".join(untried), "count": len(untried)})


def _ca_key(seen: Situation) -> Iterator[_Left]:
    """It signs clients that the listener lets in: whoever has it is the CA."""
    key = seen.pki / "ca.key"
    if key.exists():
        yield _Left({"path": key})


def _renewal(seen: Situation) -> Iterator[_Left]:
    good = [each for each in seen.certificates if not each.ending]
    if good:
        first = min(good, key=lambda each: each.not_after)
        facts = {"role": first.role, "date": first.not_after[:10], "count": first.days_left}
        yield _Left(facts)


_RULES: Mapping[str, Callable[[Situation], Iterator[_Left]]] = {
    "unfinished": _unfinished,
    "not-verified": _not_verified,
    "failed": _failed,
    "certificate-ended": _ended,
    "certificate-ends-soon": _ends_soon,
    "dns": _dns,
    "browsers": _browsers,
    "linux-client": _linux_client,
    "untried": _untried,
    "ca-key": _ca_key,
    "renewal": _renewal,
}
"""By code, in the order in which they are told; the words are `handover.remaining.<code>`."""
