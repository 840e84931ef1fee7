"""How each fault makes the balancer deviate from what its listener asks for.

A fault is a line in one of these tables, by what it changes: whether an address answers, what
answers there, what lies between the client's socket and its bytes, what the listener is made of
(certificate, trust, versions, ciphers), and whose turn it is. All of it is real: nothing is refused
but by TLS or TCP. The tables are looked at when a fault is switched, never for a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from OpenSSL import SSL
from OpenSSL.SSL import X509VerificationCodes as Codes

from services.lab.balancer import anchors
from services.lab.balancer.dead_ends import Cut, DeadEnd, House, Reset, SshServer
from services.lab.balancer.door import State
from services.lab.balancer.listener import Authority, Listener
from services.lab.balancer.spoilt import SPOILERS, spoilt_pair
from services.lab.balancer.wire import Either, Plain, Wire

T = TypeVar("T")

DOORS: Mapping[str, Callable[[int], State]] = {
    "port-closed": lambda zone: "closed",
    "port-filtered": lambda zone: "filtered",
    "zone-down": lambda zone: "closed" if zone == 1 else "open",
}
"""How a listener's address is, by the number of its zone from 0."""

DEAD_ENDS: Mapping[str, Callable[[House], DeadEnd]] = {
    "another-protocol": SshServer,
    "handshake-cut": Cut,
    "reset": Reset,
    "stalled-handshake": DeadEnd,
}
"""What every client meets instead of the listener."""

RARE_DEAD_ENDS: Mapping[str, tuple[int, Callable[[House], DeadEnd]]] = {
    "sometimes-reset": (5, Reset),
}
"""What every n-th client meets instead of the listener."""

WIRES: Mapping[str, Callable[[SSL.Context], Wire]] = {
    "not-tls": lambda context: Plain(),
    "plain-http-served": Either,
}

_OLD_VERSIONS = ("TLSv1.0", "TLSv1.1")
_OLD_CIPHERS = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-SHA",
    "AES256-SHA",
)
_UNCOMMON_CIPHERS = ("ECDHE-ECDSA-ARIA128-GCM-SHA256", "ECDHE-ARIA128-GCM-SHA256")
"""Korea's ARIA (RFC 6209), which OpenSSL and GnuTLS know and offer only when told to."""

_TRUST_ERRORS = (
    Codes.ERR_CERT_SIGNATURE_FAILURE,
    Codes.ERR_CERT_UNTRUSTED,
    Codes.ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
    Codes.ERR_SELF_SIGNED_CERT_IN_CHAIN,
    Codes.ERR_UNABLE_TO_GET_ISSUER_CERT,
    Codes.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
    Codes.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
)
"""What OpenSSL finds in the certificate of a CA that it does not know, or not by that key."""


def _too_old(listener: Listener) -> Listener:
    return replace(listener, tls_versions=_OLD_VERSIONS, ciphers=_OLD_CIPHERS)


def _old_besides(listener: Listener) -> Listener:
    versions = (*_OLD_VERSIONS, *(v for v in listener.tls_versions if v not in _OLD_VERSIONS))
    ciphers = listener.ciphers and (*listener.ciphers, *_OLD_CIPHERS)
    return replace(listener, tls_versions=versions, ciphers=ciphers)


def _no_common_cipher(listener: Listener) -> Listener:
    return replace(listener, tls_versions=("TLSv1.2",), ciphers=_UNCOMMON_CIPHERS)


def _nameless(listener: Listener) -> Listener:
    return replace(listener, verification=replace(listener.verification, names_announced=False))


def _forgiving(*errors: int) -> Callable[[Listener], Listener]:
    def change(listener: Listener) -> Listener:
        forgiven = listener.verification.forgiven.union(errors)
        return replace(listener, verification=replace(listener.verification, forgiven=forgiven))

    return change


LISTENERS: Mapping[str, Callable[[Listener], Listener]] = {
    "client-ca-namesake": anchors.namesake,
    "client-ca-replaced": anchors.another_ca,
    "client-certificate-expired": anchors.long_after,
    "client-certificate-revoked": anchors.revoking,
    "client-certificate-wrong-usage": anchors.for_servers_only,
    "expired-clients-accepted": _forgiving(
        Codes.ERR_CERT_HAS_EXPIRED, Codes.ERR_CERT_NOT_YET_VALID
    ),
    "mutual-any-ca": _forgiving(*_TRUST_ERRORS),
    "mutual-not-enforced": lambda listener: replace(listener, mutual="off"),
    "mutual-optional": lambda listener: (
        listener if listener.mutual == "off" else replace(listener, mutual="optional")
    ),
    "no-ca-names": _nameless,
    "no-common-cipher": _no_common_cipher,
    "old-tls-accepted": _old_besides,
    "proxy-header": lambda listener: replace(listener, proxy_protocol=True),
    "tls-too-old": _too_old,
    "wrong-usage-accepted": _forgiving(Codes.ERR_INVALID_PURPOSE),
}
"""What a listener becomes. The server certificate's faults are in `SPOILERS`."""


def _all_to_the_first(weights: Sequence[int]) -> Sequence[int]:
    first = next((index for index, weight in enumerate(weights) if weight), None)
    return [weight if index == first else 0 for index, weight in enumerate(weights)]


def _nine_of_ten_to_the_first(weights: Sequence[int]) -> Sequence[int]:
    first = next((index for index, weight in enumerate(weights) if weight), None)
    if first is None or not (rest := sum(weights) - weights[first]):
        return weights
    return [9 * rest if index == first else weight for index, weight in enumerate(weights)]


SHARES: Mapping[str, Callable[[Sequence[int]], Sequence[int]]] = {
    "one-backend": _all_to_the_first,
    "uneven": _nine_of_ten_to_the_first,
}
"""By which weights the healthy targets get their turns, given those that they should have."""

ALL = frozenset({*DOORS, *DEAD_ENDS, *RARE_DEAD_ENDS, *WIRES, *SPOILERS, *LISTENERS, *SHARES})
"""The faults that the balancer acts upon."""


def first_on(table: Mapping[str, T], on: Iterable[str]) -> T | None:
    """What the table says of the first of its faults that is on."""
    return next((what for name, what in table.items() if name in on), None)


def deviating(listener: Listener, on: Iterable[str], authorities: Iterable[Authority]) -> Listener:
    """The listener as the faults that are on have it; itself when none of them concerns it.

    Raises ValueError or TypeError for a certificate, key or CA that is none.
    """
    on = frozenset(on)
    for name, change in LISTENERS.items():
        if name in on:
            listener = change(listener)
    if spoilt := [name for name in SPOILERS if name in on]:
        certificate_pem, key_pem = spoilt_pair(
            listener.certificate_pem, listener.key_pem, spoilt, authorities
        )
        listener = replace(listener, certificate_pem=certificate_pem, key_pem=key_pem)
    return listener
