"""No faults, but worth knowing."""

from __future__ import annotations

from services.probe.observations import Observations
from services.probe.rules.finding import Finding


def ca_names_not_announced(seen: Observations) -> Finding | None:
    """A certificate is asked for without naming CAs (RFC 8446 section 4.2.4)."""
    announcement = seen.announcement
    if announcement is None or not announcement.certificate_asked or announcement.accepted_cas:
        return None
    return Finding("certain", "CertificateRequest without certificate_authorities")
