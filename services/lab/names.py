"""The lab's DNS: the names that it knows, and the addresses that each stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from services.lab.faults import Faults
from services.lab.scenario import Scenario
from services.lab.state.cloud import ListenerView
from services.lab.state.x509 import Unusable, describe
from services.pki.names import asked_for

ELSEWHERE = "203.0.113.99"
"""Somebody else's address, for a domain that does not point to the balancer."""


def names(
    scenario: Scenario, listeners: Iterable[ListenerView], faults: Faults
) -> Mapping[str, Sequence[str]]:
    """Names in lower case, and their addresses: the zones' public ones.

    Besides the balancer's own name there are the scenario's domain and those that the listeners'
    certificates are for: whoever makes a listener has made such a record, or has a fault on.
    """
    balancer = [zone.public_address for zone in scenario.zones]
    known: dict[str, Sequence[str]] = {}
    if not faults.on("name-not-resolving"):
        there = [ELSEWHERE] if faults.on("name-points-elsewhere") else balancer
        served = (name for view in listeners for name in _served(view.certificate_pem))
        known = dict.fromkeys((scenario.domain, *served), there)
    # A certificate may be for the balancer's own name, too, which is the vendor's and stays.
    return {**known, scenario.dns_name: balancer}


@lru_cache(maxsize=64)
def _served(certificate_pem: str) -> tuple[str, ...]:
    """The names that clients may ask for, by a certificate; none where there is none to read."""
    try:
        found = describe(certificate_pem).dns_names if certificate_pem else ()
    except Unusable:
        return ()
    return tuple(asked_for(name.lower()) for name in found)
