"""Who signs a call, by either of the vendor's schemes; nothing unsigned gets further than this.

ACS3-HMAC-SHA256 signs method, path, query, chosen headers and the body's hash; the older RPC
scheme (HMAC-SHA1, the vendor's CLI) signs all parameters, with the credentials among them. Query
and headers are decoded and encoded anew before they are compared: clients spell them differently.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from services.lab.api.errors import ApiError, missing_common
from services.lab.api.parameters import LARGEST_COUNT, flat
from services.lab.state.account import AccessKey

_ALGORITHM = "ACS3-HMAC-SHA256"
_TOLERANCE_S = 15 * 60
"""How far a client's clock may be off."""

_MUST_SIGN = frozenset(
    {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"}
)

_RPC_COMMON = (
    "AccessKeyId",
    "Action",
    "BearerToken",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
)


@dataclass(frozen=True, slots=True)
class Received:
    """An HTTP request as it came: header names in lower case, the query still encoded."""

    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, tuple[str, ...]] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        values = self.headers.get(name, ())
        return values[0].strip() if values else ""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a verified request asks for."""

    version: str
    action: str
    parameters: Mapping[str, str] = field(repr=False)


class Signatures:
    """Checks requests against one AccessKey, and that none comes twice. `clock`: Unix seconds."""

    def __init__(self, key: AccessKey, clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock
        self._nonces: dict[str, float] = {}

    def verify(self, request: Received) -> Operation:
        """What `request` asks for. Raises `ApiError`, never with a parameter in it."""
        form = _form(request)
        parameters = flat(request.query, form)
        if request.header("authorization"):
            self._verify_acs3(request)
            version = request.header("x-acs-version")
            action = request.header("x-acs-action")
        elif "Signature" in parameters:
            self._verify_rpc(request.method, parameters)
            version, action = parameters["Version"], parameters["Action"]
            parameters = {k: v for k, v in parameters.items() if k not in _RPC_COMMON}
        else:
            raise missing_common("Signature")
        return Operation(version, action, parameters)

    def _verify_acs3(self, request: Received) -> None:
        algorithm, _, rest = request.header("authorization").partition(" ")
        fields = {
            name.strip(): value.strip()
            for name, _, value in (part.partition("=") for part in rest.split(","))
        }
        signed = fields.get("SignedHeaders", "")
        names = signed.split(";")
        if algorithm != _ALGORITHM or not fields.keys() >= {"Credential", "Signature"}:
            raise _incomplete()
        self._check_key(fields["Credential"])
        for name in ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"):
            if not request.header(name):
                raise missing_common(name)
        if not _MUST_SIGN.issubset(names) or names != sorted(set(names)):
            raise _incomplete()
        body_hash = hashlib.sha256(request.body).hexdigest()
        digest = request.header("x-acs-content-sha256") or body_hash
        if not _equal(body_hash, digest.lower()):
            raise _mismatched()
        canonical = "\n".join(
            (
                request.method,
                request.path,
                _canonical_query(request.query),
                "".join(f"{name}:{_header_values(request, name)}\n" for name in names),
                signed,
                digest,
            )
        )
        to_sign = f"{_ALGORITHM}\n{hashlib.sha256(_octets(canonical)).hexdigest()}"
        expected = hmac.new(self._key.secret.encode(), to_sign.encode(), "sha256").hexdigest()
        if not _equal(expected, fields["Signature"]):
            raise _mismatched()
        if request.header("x-acs-security-token"):
            raise _no_token()
        self._check_once(request.header("x-acs-date"), request.header("x-acs-signature-nonce"))

    def _verify_rpc(self, method: str, parameters: Mapping[str, str]) -> None:
        for name in ("AccessKeyId", "Action", "Version", "Timestamp", "SignatureNonce"):
            if not parameters.get(name):
                raise missing_common(name)
        if parameters.get("SignatureMethod", "HMAC-SHA1") != "HMAC-SHA1":
            raise _incomplete()
        self._check_key(parameters["AccessKeyId"])
        canonical = "&".join(
            f"{quote(name, safe='~')}={quote(parameters[name], safe='~')}"
            for name in sorted(parameters)
            if name != "Signature"
        )
        to_sign = f"{method}&%2F&{quote(canonical, safe='~')}"
        secret = f"{self._key.secret}&"
        expected = base64.b64encode(hmac.new(secret.encode(), to_sign.encode(), "sha1").digest())
        if not _equal(expected.decode(), parameters["Signature"]):
            raise _mismatched()
        if parameters.get("SecurityToken"):
            raise _no_token()
        self._check_once(parameters["Timestamp"], parameters["SignatureNonce"])

    def _check_key(self, identifier: str) -> None:
        if not _equal(self._key.id, identifier):
            raise ApiError("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404)

    def _check_once(self, date: str, nonce: str) -> None:
        """Refuse what is too old or too new, and what was seen: only after it is known as ours."""
        try:
            at = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise ApiError(
                "InvalidTimeStamp.Format",
                "Specified time stamp or date value is not well formatted.",
            ) from None
        now = self._clock()
        if abs(now - at.timestamp()) > _TOLERANCE_S:
            raise ApiError(
                "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."
            )
        while self._nonces and self._nonces[oldest := next(iter(self._nonces))] < now:
            del self._nonces[oldest]
        if nonce in self._nonces:
            raise ApiError("SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces[nonce] = now + 2 * _TOLERANCE_S


def _form(request: Received) -> str:
    if not request.body:
        return ""
    if request.header("content-type").partition(";")[0] != "application/x-www-form-urlencoded":
        raise ApiError(
            "UnsupportedContentType",
            "The specified content type of the body is not supported.",
            415,
        )
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        raise ApiError("InvalidParameter", "The body is not UTF-8.") from None


def _canonical_query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=LARGEST_COUNT)
    return "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(pairs))


def _header_values(request: Received, name: str) -> str:
    return ",".join(sorted(value.strip() for value in request.headers.get(name, ())))


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(_octets(one), _octets(other))


def _octets(text: str) -> bytes:
    """Header bytes that are no UTF-8 arrive as surrogates; they go back to what they were."""
    return text.encode(errors="surrogateescape")


def _incomplete() -> ApiError:
    return ApiError(
        "IncompleteSignature", "The request signature does not conform to Aliyun standards."
    )


def _mismatched() -> ApiError:
    return ApiError(
        "SignatureDoesNotMatch", "Specified signature is not matched with our calculation."
    )


def _no_token() -> ApiError:
    return ApiError("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
