"""The negative tests: strangers at the door, none of whom may get a byte from a backend.

That a rightful client is served proves half of mutual authentication; that nobody else is proves
the rest. The server's own certificate is not verified here: the question is what it hands out,
and the answer must not depend on another fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.probe.address import Address
from services.probe.identity import client_identity
from services.probe.outcome import ANSWERED, BALANCER_STATUSES, Outcome, alert_text
from services.probe.strangers import (
    MUST_TRY,
    OLD_TLS,
    STRANGERS,
    Pair,
    Stranger,
    Untried,
    Visitor,
    dressed,
)
from services.probe.target import Target
from services.stop import Stop

if TYPE_CHECKING:
    from services.probe.engine import Exchange

__all__ = ["MUST_TRY", "STRANGERS", "Pair", "Refusal", "Stranger", "judge", "try_strangers"]

_MOST_ADDRESSES = 8
"""A balancer has one a zone; of a name with more, the first are enough."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How one stranger fared. Evidence is never translated."""

    name: Stranger
    refused: bool | None
    """None when it proves nothing: untried, not reached, nobody at all is served there, or it
    need not be refused."""
    evidence: str
    alert: str | None = None
    """The TLS alert with which it was refused, if one was sent."""
    untried: str = ""
    """Why it did not knock; empty when it did."""


def try_strangers(
    target: Target,
    addresses: Sequence[Address],
    stop: Stop,
    *,
    served: bool,
    issuer: Pair | None = None,
    server: Pair | None = None,
    weak_versions_allowed: bool = False,
) -> tuple[Refusal, ...]:
    """Knock as each of `STRANGERS`, at every address. `served`: the rightful client gets answers.

    `issuer` and `server` are the pairs of the client's CA and of the server, where their keys are
    at hand: the strangers that need them stay untried without. With `weak_versions_allowed` it is
    told whether TLS 1.0 and 1.1 are spoken, and no refusal expected. They knock all at once, so
    an endpoint that says nothing costs its timeouts once. Stopped, it returns those that ended.
    """
    if stop.is_set():
        return ()
    visitors = dressed(target, issuer, server)
    with ThreadPoolExecutor(len(visitors), thread_name_prefix="stranger") as pool:
        knocks = {
            name: pool.submit(_knock, visitor, addresses[:_MOST_ADDRESSES], stop)
            for name, visitor in visitors.items()
            if isinstance(visitor, Visitor)
        }
    refusals = []
    for name, visitor in visitors.items():
        if isinstance(visitor, Untried):
            refusals.append(Refusal(name, None, f"not tried: {visitor}", untried=str(visitor)))
        elif heard := knocks[name].result():
            telling = min(heard, key=lambda each: _rank(judge(name, each, served=served), each))
            worst = judge(name, telling, served=served)
            if worst.refused is False and (excuse := _excuse(name, visitor, weak_versions_allowed)):
                worst = replace(worst, refused=None, evidence=f"{worst.evidence}; {excuse}")
            refusals.append(worst)
    return tuple(refusals)


def _knock(visitor: Visitor, addresses: Sequence[Address], stop: Stop) -> list[Exchange]:
    """One request at each address; none when stopped."""
    from services.probe.engine import Engine

    heard: list[Exchange] = []
    engine = Engine(visitor.target, addresses, visitor.context, heard.append)
    engine.run(requests=len(addresses), concurrency=len(addresses), stop=stop.is_set)
    return [] if stop.is_set() else heard


def _excuse(name: Stranger, visitor: Visitor, weak_versions_allowed: bool) -> str:
    """Why it is no fault that this stranger was let in; empty when it is one."""
    if name in OLD_TLS and weak_versions_allowed:
        return "the listener's policy allows it"
    shown = client_identity(visitor.target) if name == "server_certificate" else None
    if shown is not None and shown.may("clientAuth"):
        return "it may be a client's, too: its extendedKeyUsage does not forbid it"
    return ""


def _rank(refusal: Refusal, exchange: Exchange) -> int:
    """Of several addresses one that lets a stranger in tells most, one not reached nothing."""
    if refusal.refused is None:
        return 3 if exchange.outcome in UNREACHED else 1
    return 2 if refusal.refused else 0


def judge(name: Stranger, exchange: Exchange, *, served: bool) -> Refusal:
    """Whether `exchange` was a refusal: not one byte of a backend's, and someone else is served.

    A balancer that speaks HTTP may refuse in words (400, 495 to 497, or a redirect from plain HTTP
    to https): those are its own bytes. A silent end is a refusal only if the rightful client is
    served: otherwise there may simply be no backend behind it.
    """
    alert, outcome = exchange.alert, exchange.outcome
    if outcome in UNREACHED:
        return Refusal(name, None, f"not reached: {exchange.evidence}")
    if alert is not None and outcome is not Outcome.ANSWER_CUT:
        evidence = f"{alert_text(alert)}, 0 B from a backend"
        decisive = _ABOUT_THE_VERSION if name in OLD_TLS else _ABOUT_THE_CERTIFICATE
        return Refusal(name, True if served or outcome in decisive else None, evidence, alert)
    if outcome in _ABOUT_THE_CERTIFICATE or (name == "plain_http" and _sent_to_tls(exchange)):
        return Refusal(name, True, f"HTTP {exchange.status} from the balancer itself")
    if exchange.status in _REFUSED_IN_WORDS:
        evidence = f"{_given(exchange)}: a refusal, but whether the balancer's or a backend's"
        return Refusal(name, None, f"{evidence} cannot be told")
    if outcome in ANSWERED:
        return Refusal(name, False, _given(exchange))
    how = _SILENT.get(outcome, outcome.value)
    if name in OLD_TLS and (exchange.tls or outcome is Outcome.HANDSHAKE_FAILED):
        # The server spoke the version, or this computer could not go on with it.
        return Refusal(name, None, f"{exchange.tls or exchange.evidence}: {how}")
    if not served:
        return Refusal(name, None, f"{how}, but the rightful client is not served either")
    return Refusal(name, True, f"{how}, 0 B from a backend")


UNREACHED: frozenset[str] = frozenset(
    {
        Outcome.CONNECT_REFUSED,
        Outcome.CONNECT_TIMEOUT,
        Outcome.UNREACHABLE,
        Outcome.NO_SOCKET,
        Outcome.NOT_TLS,
    }
)
"""The ends of a request that never got as far as TLS."""
_ABOUT_THE_CERTIFICATE = frozenset(
    {
        Outcome.CLIENT_CERTIFICATE_MISSING,
        Outcome.CLIENT_CERTIFICATE_EXPIRED,
        Outcome.CLIENT_CERTIFICATE_REVOKED,
        Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA,
        Outcome.CLIENT_CERTIFICATE_WRONG_USAGE,
        Outcome.CLIENT_CERTIFICATE_REFUSED,
        Outcome.CLIENT_SIGNATURE_REFUSED,
    }
)
_ABOUT_THE_VERSION = frozenset({Outcome.TLS_VERSION, Outcome.TLS_CIPHER})
_REFUSED_IN_WORDS = frozenset({400, 401, 403})
"""What also a backend, or a balancer's own configuration, answers to whom it does not want."""
_SILENT = {
    Outcome.HANDSHAKE_CLOSED: "closed",
    Outcome.CLOSED_WITHOUT_ANSWER: "closed",
    Outcome.HANDSHAKE_RESET: "reset",
    Outcome.RESET_WITHOUT_ANSWER: "reset",
    Outcome.HANDSHAKE_TIMEOUT: "silence",
    Outcome.FIRST_BYTE_TIMEOUT: "silence",
}


def _sent_to_tls(exchange: Exchange) -> bool:
    """Told that this is a port for TLS, by a status or by the address to go to."""
    if exchange.answer is not None and exchange.outcome is Outcome.REDIRECT:
        return _TO_HTTPS.search(exchange.answer.head) is not None
    return exchange.status in BALANCER_STATUSES


_TO_HTTPS = re.compile(rb"\nlocation:[ \t]*https://", re.IGNORECASE)


def _given(exchange: Exchange) -> str:
    if exchange.answer is None:
        return f"bytes from a backend: {exchange.outcome.value}, {exchange.evidence}"
    size = len(exchange.answer.body)
    return f"HTTP {exchange.status} and {size} B from a backend, {exchange.address}"
