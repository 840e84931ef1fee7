"""One call of the vendor's API: made, timed, repeated where that is right, and cancellable.

The SDK sleeps where nobody can wake it and blocks on sockets that nobody else can close. So its own
retry stays off, and each request runs in a thread of its own, left behind when the person stops.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from services.cloud.answer import Answer
from services.cloud.equivalent import FileRef, Parameters, Product
from services.cloud.errors import (
    PRODUCTS,
    Again,
    Failure,
    Where,
    bad_answer,
    timed_out,
    understand,
)
from services.cloud.pace import Pace
from services.cloud.sdk import Sdk
from services.problem import Stopped
from services.stop import Stop

_READS = re.compile(r"(Get|List|Describe)[A-Z]")

_UNSURE_TRIES = 3
"""How often a call is made whose outcome is unknown (cut, timed out, 5xx), if it may be at all."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was made, for the command log. No secret is in it."""

    product: Product
    action: str
    parameters: Parameters
    region: str
    outcome: str
    """`OK`, the vendor's error code, or what happened instead (`Timeout`, `Stopped`, …)."""
    request_id: str
    duration_s: float
    attempt: int = 1
    retry_in_s: float | None = None
    """It will be made again, after this long."""

    @property
    def reads(self) -> bool:
        """Whether the call changes nothing."""
        return _READS.match(self.action) is not None


@dataclass(slots=True)
class Api:
    """All calls of one account. Safe for several threads."""

    sdk: Sdk
    pace: Pace
    on_call: Callable[[Call], None] | None = None
    """Called after each request, in the thread that called."""
    uploaded: dict[str, float] = field(default_factory=dict)
    """Certificates that this process uploaded, and when (monotonic seconds): the balancer may not
    know them for a minute, and only then is "not found" a reason to ask again."""

    def call(
        self,
        product: Product,
        action: str,
        parameters: Parameters,
        stop: Stop,
        also_retry: Mapping[str, float] | None = None,
    ) -> Answer:
        """Make one call, repeated while that is right. Raises Problem, or Stopped.

        What the vendor refused for the moment (throttled, busy, locked) is repeated with the same
        ClientToken until the pace's patience is over. What may or may not have happened (cut,
        timed out, 5xx, an answer that is no JSON) is repeated twice, and only if it is a read, a
        deletion, or carries a ClientToken.

        Parameters
        ----------
        also_retry:
            Codes of Problems that are to be repeated too, such as `cloud.in-use`, and for how
            many seconds.
        """
        where = self._where(product, action, parameters)
        first_refusal = None
        for attempt in count(1):
            stop.check()
            started = time.monotonic()
            try:
                outcome = self._once(where, stop)
            except Stopped:
                self._tell(where, "Stopped", "", started, attempt)
                raise
            if isinstance(outcome, Answer):
                self._tell(where, "OK", outcome.request_id, started, attempt)
                return outcome
            now = time.monotonic()
            first_refusal = now if first_refusal is None else first_refusal
            passed_s = now - first_refusal
            wait_s = self._wait_before_retry(outcome, attempt, passed_s, where, also_retry or {})
            self._tell(where, outcome.outcome, outcome.request_id, started, attempt, wait_s)
            if wait_s is None:
                problem = outcome.problem
                if attempt > 1:
                    problem.evidence += f" (asked {attempt} times in {passed_s:.0f} s)"
                raise problem
            stop.sleep(wait_s)
        raise AssertionError("count() never ends")

    def _where(self, product: Product, action: str, parameters: Parameters) -> Where:
        sdk = self.sdk
        return Where(
            product,
            action,
            region=sdk.regions[product],
            host=sdk.host(product) or PRODUCTS[product],
            parameters=parameters,
            hidden=tuple(filter(None, (sdk.keys.secret, sdk.keys.token))) if sdk.keys else (),
        )

    def _once(self, where: Where, stop: Stop) -> Answer | Failure:
        """One request. Waits for the thread that makes it, or for the person to stop."""
        ended = threading.Event()
        box: list[object] = []

        def run() -> None:
            try:
                box.append(self.sdk.send(where.product, where.action, where.parameters))
            except BaseException as error:  # noqa: BLE001 - carried to the waiting thread
                box.append(error)
            ended.set()

        threading.Thread(target=run, name=f"cloud {where.action}", daemon=True).start()
        with stop.closing(ended.set):
            ended.wait(self.pace.call_limit_s)
        stop.check()
        where = replace(where, host=self.sdk.host(where.product) or where.host)
        if not box:
            return timed_out(where, self.pace.call_limit_s)
        found = box[0]
        if isinstance(found, BaseException):
            failure = understand(found, where)
            if failure is None:
                raise found
            return failure
        if not isinstance(found, Mapping):
            kind = "nothing" if found is None else f"a {type(found).__name__}"
            problem = bad_answer(where, f"{kind} instead of an object")
            return Failure(problem, "BadAnswer", Again.UNSURE)
        return Answer(found, where)

    def _wait_before_retry(
        self,
        failure: Failure,
        attempt: int,
        passed_s: float,
        where: Where,
        also_retry: Mapping[str, float],
    ) -> float | None:
        """How long to wait before the next try; None when there must not be one."""
        again, limit_s = failure.again, self.pace.patience_s
        if failure.problem.code in also_retry:
            again, limit_s = Again.SAFE, also_retry[failure.problem.code]
        if again is Again.NEVER:
            return None
        if again is Again.UNSURE and (attempt >= _UNSURE_TRIES or not _repeatable(where)):
            return None
        throttled = failure.problem.code == "cloud.throttled"
        at_least_s = max(failure.retry_after_s, self.pace.throttled_s if throttled else 0)
        wait_s = self.pace.backoff(attempt, at_least_s)
        return wait_s if passed_s + wait_s <= limit_s else None

    def _tell(
        self,
        where: Where,
        outcome: str,
        request_id: str,
        started: float,
        attempt: int,
        retry_in_s: float | None = None,
    ) -> None:
        if self.on_call is None:
            return
        call = Call(
            product=where.product,
            action=where.action,
            parameters=_shown(where.parameters),
            region=where.region,
            outcome=outcome,
            request_id=request_id,
            duration_s=time.monotonic() - started,
            attempt=attempt,
            retry_in_s=retry_in_s,
        )
        self.on_call(call)


def _repeatable(where: Where) -> bool:
    """Whether doing it twice is the same as doing it once."""
    return (
        _READS.match(where.action) is not None
        or where.action.startswith("Delete")
        or bool(where.parameters.get("ClientToken"))
    )


def _shown(parameters: Parameters) -> Parameters:
    """The parameters with each file's contents left out."""
    return {
        name: replace(value, content="") if isinstance(value, FileRef) else value
        for name, value in parameters.items()
    }
