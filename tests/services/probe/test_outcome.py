"""What a TLS failure means: alerts by their names, OpenSSL's verdicts by their codes."""

from __future__ import annotations

import ssl

import pytest

from services.probe.outcome import Outcome, alert_of, of_tls_error


def failure(reason: str, verify_code: int | None = None) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    if verify_code is not None:
        error.verify_code = verify_code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Outcome.CLIENT_CERTIFICATE_MISSING),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Outcome.CLIENT_CERTIFICATE_EXPIRED),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", Outcome.CLIENT_CERTIFICATE_REVOKED),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", Outcome.CLIENT_CERTIFICATE_WRONG_USAGE),
        ("SSLV3_ALERT_BAD_CERTIFICATE", Outcome.CLIENT_CERTIFICATE_REFUSED),
        ("TLSV1_ALERT_UNKNOWN_CA", Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA),
        ("TLSV1_ALERT_DECRYPT_ERROR", Outcome.CLIENT_SIGNATURE_REFUSED),
        ("TLSV1_ALERT_PROTOCOL_VERSION", Outcome.TLS_VERSION),
        ("TLSV1_ALERT_INTERNAL_ERROR", Outcome.HANDSHAKE_FAILED),
        ("NO_SHARED_CIPHER", Outcome.TLS_CIPHER),
        ("SOMETHING_NEW", Outcome.HANDSHAKE_FAILED),
    ],
)
def test_reason(reason: str, outcome: Outcome) -> None:
    assert of_tls_error(failure(reason), certified=True, offered=True) is outcome


@pytest.mark.parametrize(
    ("certified", "offered", "outcome"),
    [
        (False, True, Outcome.TLS_CIPHER),
        (True, True, Outcome.CLIENT_CERTIFICATE_REFUSED),
        (True, False, Outcome.CLIENT_CERTIFICATE_MISSING),
    ],
)
def test_handshake_failure_means_what_came_before_it(
    certified: bool, offered: bool, outcome: Outcome
) -> None:
    error = failure("SSLV3_ALERT_HANDSHAKE_FAILURE")
    assert of_tls_error(error, certified=certified, offered=offered) is outcome


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (7, Outcome.SERVER_CERTIFICATE_NAMESAKE_CA),
        (9, Outcome.SERVER_CERTIFICATE_NOT_YET_VALID),
        (10, Outcome.SERVER_CERTIFICATE_EXPIRED),
        (18, Outcome.SERVER_CERTIFICATE_SELF_SIGNED),
        (19, Outcome.SERVER_CERTIFICATE_UNKNOWN_CA),
        (26, Outcome.SERVER_CERTIFICATE_WRONG_USAGE),
        (62, Outcome.SERVER_CERTIFICATE_WRONG_NAME),
        (66, Outcome.SERVER_CERTIFICATE_WEAK),
        (68, Outcome.SERVER_CERTIFICATE_WEAK),
        (25, Outcome.SERVER_CERTIFICATE_INVALID),
    ],
)
def test_verification(code: int, outcome: Outcome) -> None:
    error = failure("CERTIFICATE_VERIFY_FAILED", code)
    assert of_tls_error(error, certified=False, offered=True) is outcome


def test_what_is_no_alert_has_no_name() -> None:
    assert alert_of(failure("TLSV1_ALERT_UNKNOWN_CA")) == "unknown_ca"
    assert alert_of(failure("WRONG_VERSION_NUMBER")) is None
