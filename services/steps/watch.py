"""The proof that goes on: gentle requests, health and strangers, until one has seen enough."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace

from services.probe.address import Unresolved, resolve
from services.probe.observations import NORMAL
from services.probe.refusals import try_strangers
from services.probe.runner import run
from services.probe.tally import Tally
from services.problem import Problem, Stopped
from services.steps.endpoint import HEALTH_EVERY_S, begin, show, target, with_health
from services.steps.step import Here

WATCH_RATE_PER_S = 20
"""What goes on after the proof is for looking at, not for load."""


def watch(here: Here) -> None:
    """Go on requesting, gently, and asking for health, until stopped (raises Stopped).

    Strangers knock again, too: the lock must hold as long as one looks.
    """
    at = target(here)
    known = here.session.proofs.get("verify")
    passed = known is not None and known.passed
    around = begin(here, at)
    failing = _Failing()
    served = passed

    def look_around() -> None:
        nonlocal around
        with suppress(Stopped):
            while True:
                try:
                    around = with_health(here, around)
                    addresses = resolve(at.host, at.port, here.stop)
                    strangers = try_strangers(at, addresses, here.stop, served=served)
                    around = replace(around, refusals=strangers)
                except Unresolved as error:
                    here.output(str(error))
                except Problem as problem:
                    # What is shown goes stale and says its age; the next answer mends that.
                    here.output(problem.words().what)
                here.stop.sleep(HEALTH_EVERY_S)

    def shown(tally: Tally) -> None:
        nonlocal served
        served = served or tally.ok > 0
        well = (
            passed
            and not failing.after(tally)
            and all(each.status == NORMAL for each in around.health)
            and not any(each.refused is False for each in around.refusals)
        )
        live = replace(around, tally=tally, verdict="pass" if well else "fail")
        show(here, replace(live, certificate_until=tally.server_not_after))

    looking = threading.Thread(target=look_around, name="watch", daemon=True)
    looking.start()
    run(at, rate_per_s=WATCH_RATE_PER_S, concurrency=4, stop=here.stop, on_snapshot=shown)
    looking.join(1)
    here.stop.check()


class _Failing:
    """Whether requests fail now: the tally is cumulative, and never forgets."""

    WINDOW_S = 5.0

    def __init__(self) -> None:
        self._failed = 0
        self._until = 0.0

    def after(self, tally: Tally) -> bool:
        if tally.failed > self._failed:
            self._failed, self._until = tally.failed, tally.elapsed_s + self.WINDOW_S
        return tally.elapsed_s < self._until
