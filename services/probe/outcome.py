"""How a request ended, in one word, and how that word is found.

A request is judged by what a backend answered, never by the handshake: in TLS 1.3 a client has
finished its handshake before the server has looked at its certificate (RFC 8446 section 2), so
the refusal, if one is spoken at all, arrives where the answer should be.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from services.probe.answer import Answer


class Outcome(StrEnum):
    """The end of one request. Every request has exactly one; the tally counts them by it."""

    OK = "ok"
    NAME_NOT_RESOLVING = "name-not-resolving"
    CONNECT_REFUSED = "connect-refused"
    CONNECT_TIMEOUT = "connect-timeout"
    UNREACHABLE = "unreachable"
    NO_SOCKET = "no-socket"
    NOT_TLS = "not-tls"
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    HANDSHAKE_CLOSED = "handshake-closed"
    HANDSHAKE_RESET = "handshake-reset"
    HANDSHAKE_FAILED = "handshake-failed"
    TLS_VERSION = "tls-version"
    TLS_CIPHER = "tls-cipher"
    SERVER_CERTIFICATE_EXPIRED = "server-certificate-expired"
    SERVER_CERTIFICATE_NOT_YET_VALID = "server-certificate-not-yet-valid"
    SERVER_CERTIFICATE_UNKNOWN_CA = "server-certificate-unknown-ca"
    SERVER_CERTIFICATE_SELF_SIGNED = "server-certificate-self-signed"
    SERVER_CERTIFICATE_NAMESAKE_CA = "server-certificate-namesake-ca"
    SERVER_CERTIFICATE_WRONG_NAME = "server-certificate-wrong-name"
    SERVER_CERTIFICATE_WRONG_USAGE = "server-certificate-wrong-usage"
    SERVER_CERTIFICATE_WEAK = "server-certificate-weak"
    SERVER_CERTIFICATE_INVALID = "server-certificate-invalid"
    CLIENT_CERTIFICATE_MISSING = "client-certificate-missing"
    CLIENT_CERTIFICATE_EXPIRED = "client-certificate-expired"
    CLIENT_CERTIFICATE_REVOKED = "client-certificate-revoked"
    CLIENT_CERTIFICATE_UNKNOWN_CA = "client-certificate-unknown-ca"
    CLIENT_CERTIFICATE_WRONG_USAGE = "client-certificate-wrong-usage"
    CLIENT_CERTIFICATE_REFUSED = "client-certificate-refused"
    CLIENT_SIGNATURE_REFUSED = "client-signature-refused"
    CLOSED_WITHOUT_ANSWER = "closed-without-answer"
    RESET_WITHOUT_ANSWER = "reset-without-answer"
    FIRST_BYTE_TIMEOUT = "first-byte-timeout"
    WHOLE_TIMEOUT = "whole-timeout"
    NOT_HTTP = "not-http"
    ANSWER_CUT = "answer-cut"
    ANSWER_TOO_LARGE = "answer-too-large"
    ANSWER_EMPTY = "answer-empty"
    REDIRECT = "redirect"
    HTTP_4XX = "http-4xx"
    HTTP_5XX = "http-5xx"
    HTTP_OTHER = "http-other"


ANSWERED: frozenset[Outcome] = frozenset(
    {
        Outcome.OK,
        Outcome.REDIRECT,
        Outcome.HTTP_4XX,
        Outcome.HTTP_5XX,
        Outcome.HTTP_OTHER,
        Outcome.ANSWER_EMPTY,
        Outcome.ANSWER_CUT,
        Outcome.ANSWER_TOO_LARGE,
        Outcome.WHOLE_TIMEOUT,
        Outcome.NOT_HTTP,
    }
)
"""The ends of a request that a backend had a say in, good or bad: bytes of an answer came."""

ALERTS = {
    "close_notify": 0,
    "unexpected_message": 10,
    "bad_record_mac": 20,
    "record_overflow": 22,
    "handshake_failure": 40,
    "bad_certificate": 42,
    "unsupported_certificate": 43,
    "certificate_revoked": 44,
    "certificate_expired": 45,
    "certificate_unknown": 46,
    "illegal_parameter": 47,
    "unknown_ca": 48,
    "access_denied": 49,
    "decode_error": 50,
    "decrypt_error": 51,
    "protocol_version": 70,
    "insufficient_security": 71,
    "internal_error": 80,
    "inappropriate_fallback": 86,
    "user_canceled": 90,
    "missing_extension": 109,
    "unsupported_extension": 110,
    "unrecognized_name": 112,
    "bad_certificate_status_response": 113,
    "unknown_psk_identity": 115,
    "certificate_required": 116,
    "no_application_protocol": 120,
}
"""TLS alert descriptions and their numbers (RFC 8446 section 6)."""

_BY_ALERT = {
    "certificate_required": Outcome.CLIENT_CERTIFICATE_MISSING,
    "certificate_expired": Outcome.CLIENT_CERTIFICATE_EXPIRED,
    "certificate_revoked": Outcome.CLIENT_CERTIFICATE_REVOKED,
    "unknown_ca": Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA,
    # What OpenSSL says of a wrong purpose (ssl/statem/statem_lib.c, x509table).
    "unsupported_certificate": Outcome.CLIENT_CERTIFICATE_WRONG_USAGE,
    "bad_certificate": Outcome.CLIENT_CERTIFICATE_REFUSED,
    "certificate_unknown": Outcome.CLIENT_CERTIFICATE_REFUSED,
    "access_denied": Outcome.CLIENT_CERTIFICATE_REFUSED,
    # CertificateVerify did not match the certificate (RFC 8446 section 4.4.3), or, as OpenSSL has
    # it, the certificate's own signature did not match its issuer's key.
    "decrypt_error": Outcome.CLIENT_SIGNATURE_REFUSED,
    "protocol_version": Outcome.TLS_VERSION,
    "inappropriate_fallback": Outcome.TLS_VERSION,
    "insufficient_security": Outcome.TLS_CIPHER,
}

_BY_VERIFY_CODE = {
    # X509_V_ERR_* of OpenSSL's x509_vfy.h
    2: Outcome.SERVER_CERTIFICATE_UNKNOWN_CA,  # UNABLE_TO_GET_ISSUER_CERT
    7: Outcome.SERVER_CERTIFICATE_NAMESAKE_CA,  # CERT_SIGNATURE_FAILURE: the issuer's name fits
    9: Outcome.SERVER_CERTIFICATE_NOT_YET_VALID,
    10: Outcome.SERVER_CERTIFICATE_EXPIRED,
    18: Outcome.SERVER_CERTIFICATE_SELF_SIGNED,  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: Outcome.SERVER_CERTIFICATE_UNKNOWN_CA,  # SELF_SIGNED_CERT_IN_CHAIN: an unknown root
    20: Outcome.SERVER_CERTIFICATE_UNKNOWN_CA,  # UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: Outcome.SERVER_CERTIFICATE_UNKNOWN_CA,  # UNABLE_TO_VERIFY_LEAF_SIGNATURE
    26: Outcome.SERVER_CERTIFICATE_WRONG_USAGE,  # INVALID_PURPOSE
    62: Outcome.SERVER_CERTIFICATE_WRONG_NAME,  # HOSTNAME_MISMATCH
    64: Outcome.SERVER_CERTIFICATE_WRONG_NAME,  # IP_ADDRESS_MISMATCH
    66: Outcome.SERVER_CERTIFICATE_WEAK,  # EE_KEY_TOO_SMALL
    67: Outcome.SERVER_CERTIFICATE_WEAK,  # CA_KEY_TOO_SMALL
    68: Outcome.SERVER_CERTIFICATE_WEAK,  # CA_MD_TOO_WEAK
}

_VERSION_REASONS = {
    "UNSUPPORTED_PROTOCOL",
    "WRONG_SSL_VERSION",
    "VERSION_TOO_LOW",
    "NO_PROTOCOLS_AVAILABLE",
}
_CIPHER_REASONS = {"NO_SHARED_CIPHER", "WRONG_CIPHER_RETURNED", "UNKNOWN_CIPHER_RETURNED"}

_ALERT_REASON = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?([A-Z_]+)")


def alert_of(error: ssl.SSLError) -> str | None:
    """The alert that the other side sent, by its RFC 8446 name; None when `error` is no alert.

    OpenSSL spells a received alert as a reason such as `TLSV1_ALERT_UNKNOWN_CA`.
    """
    found = _ALERT_REASON.fullmatch(error.reason or "")
    name = found[1].lower() if found else ""
    return name if name in ALERTS else None


def alert_text(name: str) -> str:
    """An alert for evidence: `alert unknown_ca (48)`."""
    return f"alert {name} ({ALERTS[name]})"


def of_tls_error(error: ssl.SSLError, *, certified: bool, offered: bool) -> Outcome:
    """What a TLS failure means.

    `certified`: the client's second flight, the one with its certificate, was already sent.
    `offered`: the client had a certificate to send.
    """
    if (verify_code := getattr(error, "verify_code", None)) is not None:
        return _BY_VERIFY_CODE.get(verify_code, Outcome.SERVER_CERTIFICATE_INVALID)
    alert = alert_of(error)
    if alert == "handshake_failure":
        # TLS 1.2 has no certificate_required: a server that misses one says handshake_failure
        # (RFC 5246 section 7.4.6). Before that flight it can only mean the parameters.
        if not certified:
            return Outcome.TLS_CIPHER
        return Outcome.CLIENT_CERTIFICATE_REFUSED if offered else Outcome.CLIENT_CERTIFICATE_MISSING
    if alert is not None:
        return _BY_ALERT.get(alert, Outcome.HANDSHAKE_FAILED)
    if error.reason in _VERSION_REASONS:
        return Outcome.TLS_VERSION
    if error.reason in _CIPHER_REASONS:
        return Outcome.TLS_CIPHER
    return Outcome.HANDSHAKE_FAILED


BALANCER_STATUSES = frozenset({400, 495, 496, 497})
"""Statuses with which nginx itself, not a backend, refuses a client: ngx_http_ssl_module,
"Error Processing" (497 plain HTTP, 496 no certificate, 495 a bad one), sent as 400 by default."""

_MISSING_TEXT = b"No required SSL certificate was sent"
_REFUSED_TEXT = b"The SSL certificate error"


def of_answer(answer: Answer) -> Outcome:
    """What a whole answer means."""
    status = answer.status
    if 200 <= status < 300:
        return Outcome.OK if answer.body or status == 204 else Outcome.ANSWER_EMPTY
    if status in (301, 302, 303, 307, 308):
        return Outcome.REDIRECT
    if status == 496 or (status == 400 and _MISSING_TEXT in answer.body):
        return Outcome.CLIENT_CERTIFICATE_MISSING
    if status == 495 or (status == 400 and _REFUSED_TEXT in answer.body):
        return Outcome.CLIENT_CERTIFICATE_REFUSED
    if 400 <= status < 500:
        return Outcome.HTTP_4XX
    if 500 <= status < 600:
        return Outcome.HTTP_5XX
    return Outcome.HTTP_OTHER


def answer_text(answer: Answer) -> str:
    """An answer that is not ok, for evidence: status, and where it points to or what it says."""
    if found := _LOCATION.search(answer.head):
        return f"HTTP {answer.status} to {printable(found[1])}"
    said = printable(b" ".join(answer.body[:200].split()))
    return f"HTTP {answer.status}: {said}" if said else f"HTTP {answer.status}"


_LOCATION = re.compile(rb"\nlocation:[ \t]*([^\r]*)", re.IGNORECASE)


def alert_record(heard: bytes) -> str | None:
    """The alert in an unencrypted TLS record, the answer of TLS to plain HTTP; None if it is none.

    Type 21, version 3.x, length 2, level, description (RFC 8446 sections 5.1 and 6).
    """
    if len(heard) < 7 or heard[:2] != b"\x15\x03" or heard[3:5] != b"\x00\x02":
        return None
    return next((name for name, number in ALERTS.items() if number == heard[6]), None)


def looks_like_tls(first: bytes) -> bool:
    """Whether the first bytes of a server can be a TLS record: an alert or a handshake, 3.x."""
    return first[:1] in (b"\x15", b"\x16") and first[1:2] in (b"", b"\x03")


def printable(data: bytes, limit: int = 60) -> str:
    """Bytes from the network for evidence: ASCII, escaped, cut."""
    text = data[:limit].decode("latin-1").encode("unicode_escape").decode("ascii")
    return text + ("…" if len(data) > limit else "")
