"""Connections that end without a word: a refused certificate, or a balancer without a backend?

A refusal may be told by an alert, in the balancer's own HTTP, or not at all: the connection is
closed, as it is where no backend is left. What is known besides settles which of the two it was:
the certificate itself and the CA's, the names that the server accepts, how it refuses strangers,
the backends' health. The rules about the client and those about backends share these questions.
"""

from __future__ import annotations

from services.probe.observations import Observations
from services.probe.outcome import Outcome

SILENT = (Outcome.CLOSED_WITHOUT_ANSWER, Outcome.RESET_WITHOUT_ANSWER)
TOLD = (
    Outcome.CLIENT_CERTIFICATE_MISSING,
    Outcome.CLIENT_CERTIFICATE_EXPIRED,
    Outcome.CLIENT_CERTIFICATE_REVOKED,
    Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA,
    Outcome.CLIENT_CERTIFICATE_WRONG_USAGE,
    Outcome.CLIENT_CERTIFICATE_REFUSED,
    Outcome.CLIENT_SIGNATURE_REFUSED,
)
IN_HANDSHAKE = (Outcome.HANDSHAKE_CLOSED, Outcome.HANDSHAKE_RESET)


def silent(seen: Observations) -> tuple[Outcome, ...]:
    """How requests ended without a word where a refusal may have been; empty if none did."""
    ends = SILENT + (IN_HANDSHAKE if may_be_refusal(seen) else ())
    return ends if seen.count(*ends) else ()


def not_asked(seen: Observations) -> bool:
    """The server does not even ask for a certificate: it is not for that that it closes."""
    return seen.announcement is not None and not seen.announcement.certificate_asked


def turned_away(seen: Observations) -> tuple[Outcome, ...]:
    """How requests ended that may have failed for the client's certificate, told so or in silence.

    Empty where none did, or the same certificate was good enough for another request.
    """
    if seen.tally.ok:
        return ()
    ends = TOLD + (() if not_asked(seen) else silent(seen))
    return ends if seen.count(*ends) else ()


def outdated(seen: Observations) -> bool:
    """The certificate is not valid now, by this computer's clock."""
    client = seen.client
    return client is not None and not client.not_before <= seen.now <= client.not_after


def against(seen: Observations, *codes: str) -> bool:
    """Whether one of these verdicts stands against the client's certificate."""
    return any(each.code in codes for each in seen.files.client or ())


def foreign(seen: Observations) -> bool:
    """The server names the CAs that it accepts, and none of them is above the certificate.

    Looked at are the issuers of all that the client sends, intermediate certificates too. Still
    not certain: the names may be of a root whose intermediate the client ought to send.
    """
    announced = seen.announcement
    if seen.client is None or announced is None or not announced.accepted_cas:
        return False
    issuers = {seen.client.issuer_der, *seen.files.client_issuers}
    return issuers.isdisjoint(announced.accepted_cas)


def acceptable(seen: Observations) -> bool:
    """What can be told offline speaks for the certificate: the listener's CA is at hand, or named
    by the server, and the certificate stands the test."""
    if seen.client is None or outdated(seen) or foreign(seen) or seen.files.client:
        return False
    named = seen.announcement is not None and bool(seen.announcement.accepted_cas)
    return named or seen.files.client_ca_known


def may_be_refusal(seen: Observations) -> bool:
    """Whether an end in the middle of the handshake may be the certificate's refusal.

    The server answers a hello and asks for a certificate, serves nobody, and speaks no TLS 1.3,
    where a client is through with its handshake before it can be refused.
    """
    announced = seen.announcement
    return (
        announced is not None
        and announced.certificate_asked
        and not seen.tally.ok
        and bool(announced.versions)
        and "TLSv1.3" not in announced.versions
    )


def sample(seen: Observations) -> str:
    """The evidence of the first request that may have been turned away."""
    return seen.sample(*TOLD, *SILENT, *IN_HANDSHAKE)
