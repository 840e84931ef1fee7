"""Every way in which a call can fail, turned into a Problem where it enters the services.

The vendor's exceptions are read by type and code and never shown as text: an
`UnretryableException` holds the whole URL, and with it whatever the query carried, private keys
included. What the vendor itself said is shown, but cleaned of anything that was sent as a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from services.cloud.credentials import looked_in
from services.cloud.equivalent import FileRef, Parameters, Product
from services.cloud.foreign import clean
from services.problem import Problem

PRODUCTS: Mapping[Product, str] = {
    "nlb": "Network Load Balancer",
    "cas": "Certificate Management Service",
    "pca": "Private CA",
    "ecs": "Elastic Compute Service",
    "sts": "Security Token Service",
}

_RAM_PREFIX: Mapping[Product, str] = {
    "nlb": "nlb",
    "cas": "yundun-cert",
    "pca": "yundun-cert",
    "ecs": "ecs",
    "sts": "sts",
}
"""What a RAM policy calls the product, for the refusals that do not name the permission."""

_SUBJECTS = (
    "ListenerId",
    "ServerGroupId",
    "LoadBalancerId",
    "CertId",
    "Identifier",
    "CertIdentifier",
    "SecurityGroupId",
    "JobId",
    "ServerGroupIds",
    "InstanceIds",
    "WarehouseId",
    "ParentIdentifier",
    "Name",
)


class Again(Enum):
    """Whether asking once more is right."""

    NEVER = "never"
    SAFE = "safe"
    """The vendor did nothing and says so: later, the same request may pass."""
    UNSURE = "unsure"
    """It may have been carried out: only a read, or a write with a ClientToken, may be repeated."""


@dataclass(frozen=True, slots=True)
class Where:
    """The call that an answer or a failure belongs to."""

    product: Product
    action: str
    region: str
    host: str
    """`host:port`, or the product's name while the SDK has not chosen a host."""
    parameters: Parameters = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """The AccessKey secret and token that signed the call, as far as they are known."""

    def facts(self) -> dict[str, Any]:
        """What the words of a Problem may mention."""
        return {
            "product": PRODUCTS[self.product],
            "action": self.action,
            "region": self.region,
            "host": self.host,
            "ram_action": f"{_RAM_PREFIX[self.product]}:{self.action}",
            "subject": next((t for name in _SUBJECTS if (t := self._first(name))), self.action),
            "certificate": self._first("CertificateIds"),
            "ca": self._first("CaCertificateIds"),
            "port": self._first("ListenerPort"),
        }

    def secrets(self) -> Iterator[str]:
        """What was sent and must not come back in a text that is shown."""
        yield from self.hidden
        for part in self.parameters.values():
            if isinstance(part, FileRef):
                yield part.content

    def named_by(self, code: str) -> str:
        """What a code such as `ResourceNotFound.securitypolicy` is about, of all that was sent."""
        about = code.removesuffix(".NotFound").rpartition(".")[2].removeprefix("Invalid")
        about = about.lower().removesuffix("id")
        named = (n for n in self.parameters if n.lower().removesuffix("s") in {about, f"{about}id"})
        return self._first(next(named, ""))

    def _first(self, name: str) -> str:
        value = self.parameters.get(name, "")
        if isinstance(value, list | tuple):
            value = value[0] if value else ""
        return value if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed: what people are told, and what the retry needs to know."""

    problem: Problem
    outcome: str
    """The vendor's code, or ours where the vendor never spoke: for the command log."""
    again: Again = Again.NEVER
    request_id: str = ""
    retry_after_s: float = 0.0


_RULES: tuple[tuple[str, str, Again], ...] = (
    ("*throttling*", "throttled", Again.SAFE),
    ("systembusy*", "busy", Again.SAFE),
    ("conflict.lock*", "busy", Again.SAFE),
    ("incorrectstatus.*", "busy", Again.SAFE),
    ("resourceinconfiguring*", "busy", Again.SAFE),
    ("resourceincreating*", "busy", Again.SAFE),
    ("operationfailed.resourceisconfiguring", "busy", Again.SAFE),
    ("signaturenonceused", "busy", Again.SAFE),
    ("serviceunavailable*", "unavailable", Again.UNSURE),
    ("internalerror*", "unavailable", Again.UNSURE),
    ("invalidaccesskeyid*", "bad-key", Again.NEVER),
    ("signaturedoesnotmatch*", "bad-signature", Again.NEVER),
    ("incompletesignature*", "bad-signature", Again.NEVER),
    ("invalidtimestamp*", "clock-skew", Again.NEVER),
    ("illegaltimestamp*", "clock-skew", Again.NEVER),
    ("invalidsecuritytoken.expired", "token-expired", Again.NEVER),
    ("invalidsecuritytoken*", "bad-token", Again.NEVER),
    ("resourcenotfound.certificate", "certificate-not-found", Again.NEVER),
    ("resourcenotfound.cacertificate", "ca-not-found", Again.NEVER),
    ("invalidaction*", "refused", Again.NEVER),
    ("invalidversion*", "refused", Again.NEVER),
    ("operationdenied*", "refused", Again.NEVER),
    ("resourcenotfound*", "not-found", Again.NEVER),
    ("notfound*", "not-found", Again.NEVER),
    ("*.notfound", "not-found", Again.NEVER),
    ("*notexist", "not-found", Again.NEVER),
    ("forbidden*", "forbidden", Again.NEVER),
    ("nopermission*", "forbidden", Again.NEVER),
    ("unauthorized*", "forbidden", Again.NEVER),
    ("quotaexceeded*", "quota", Again.NEVER),
    ("resourcenotenough*", "quota", Again.NEVER),
    ("insufficientquota*", "quota", Again.NEVER),
    ("conflict.port*", "conflict-port", Again.NEVER),
    ("duplicatedparam.listener", "conflict-port", Again.NEVER),
    ("resourceinuse*", "in-use", Again.NEVER),
    ("illegalparam.preserveclientipswitch", "preserve-client-ip", Again.NEVER),
    ("mismatch.vpcid", "wrong-vpc", Again.NEVER),
    ("idempotencesignaturemismatch", "token-reused", Again.NEVER),
)
"""The vendor's codes, most telling first; their letter case is inconsistent, so it is ignored.
Decided by code and not by HTTP status: nearly everything, "busy" too, is a 400."""


PERHAPS_DONE = frozenset({"cloud.timeout", "cloud.cut", "cloud.unavailable", "cloud.bad-answer"})
"""Problems after which nobody knows whether the call was carried out: look before saying no."""


def understand(error: BaseException, where: Where) -> Failure | None:
    """What an exception out of the vendor's SDK means; None if it is not one of theirs.

    To be called, and its Problem raised, outside of any `except` block: then no traceback holds
    the exception, whose text may be a private key.
    """
    from alibabacloud_credentials.exceptions import CredentialException
    from darabonba.exceptions import ResponseException, UnretryableException
    from requests.exceptions import RequestException
    from Tea.exceptions import TeaException

    if isinstance(error, ResponseException):
        return _refusal(error, where)
    if isinstance(error, CredentialException):
        return _no_credentials(where)
    if isinstance(error, UnretryableException):
        if isinstance(error.inner_exception, CredentialException):
            return _no_credentials(where)
        return _no_answer(error.inner_exception, where)
    if isinstance(error, RequestException | TeaException):
        return _no_answer(error, where)
    if isinstance(error, RuntimeError) and "RegionId is empty" in str(error):
        return Failure(Problem("cloud.no-region", **where.facts()), "NoRegion")
    if isinstance(error, RuntimeError):
        return _no_answer(error, where)
    return None


def bad_answer(where: Where, detail: str) -> Problem:
    """An answer that is not what the API promises."""
    return Problem("cloud.bad-answer", f"{where.action} at {where.host}: {detail}", **where.facts())


def timed_out(where: Where, seconds: float) -> Failure:
    """A call that ended in nothing at all within `seconds`."""
    evidence = f"{where.action} at {where.host}: no answer within {seconds:g} s"
    problem = Problem("cloud.timeout", evidence, **where.facts())
    return Failure(problem, "Timeout", Again.UNSURE)


def _no_credentials(where: Where) -> Failure:
    """The exception's own text is not used: it may quote what a credential source answered."""
    return Failure(Problem("cloud.no-credentials", looked_in(), **where.facts()), "NoCredentials")


def _refusal(error: Any, where: Where) -> Failure:
    """An error that the vendor answered with: a code, a message, a RequestId."""
    data = error.data if isinstance(error.data, Mapping) else {}
    # Without a code in the answer the SDK's own is the text "None"; without an answer, it is real.
    sent = data.get("Code") or data.get("code") or ("absent" if data else error.code)
    code = clean(str(sent), where.secrets())
    status = error.status_code if isinstance(error.status_code, int) else 0
    name, again = _rule(code, status)
    if code == "InvalidCredentials" and not status:
        return _no_credentials(where)
    if name == "refused" and error.name == "ThrottlingException":
        name, again = "throttled", Again.SAFE
    # The message of a wrong signature repeats what was to be signed, tokens included.
    message = "" if name == "bad-signature" else str(data.get("Message") or "")
    message = clean(message, where.secrets())
    # The SDK makes an absent RequestId the text "None".
    request_id = re.sub(r"[^0-9A-Za-z-]", "", str(data.get("RequestId") or ""))[:40]
    facts = where.facts() | {"message": message or code, "vendor_code": code}
    facts["subject"] = where.named_by(code) or facts["subject"]
    denied = data.get("AccessDeniedDetail")
    if isinstance(denied, Mapping) and denied.get("AuthAction"):
        facts["ram_action"] = clean(str(denied["AuthAction"]), where.secrets())
    evidence = f"{code} (HTTP {status}, RequestId {request_id or 'absent'})"
    if message:
        evidence += f": {message}"
    after = error.retry_after if isinstance(error.retry_after, int | float) else 0
    return Failure(
        Problem(f"cloud.{name}", evidence, **facts), code, again, request_id, after / 1000
    )


def _rule(code: str, status: int) -> tuple[str, Again]:
    for pattern, name, again in _RULES:
        if fnmatchcase(code.lower(), pattern):
            return name, again
    if status == 403:
        return "forbidden", Again.NEVER
    if status == 429:
        return "throttled", Again.SAFE
    if status >= 500:
        return "unavailable", Again.UNSURE
    return "refused", Again.NEVER


def _no_answer(error: BaseException, where: Where) -> Failure:
    """Nothing that could be read came back: the network, TLS, a proxy, or a page that is no API."""
    # All of requests and urllib3 are loaded by the SDK that has just failed.
    from requests import exceptions as requests
    from urllib3 import exceptions as urllib3

    chain = tuple(_chain(error))

    def met(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    def failure(name: str, again: Again, detail: str = "") -> Failure:
        facts = where.facts() | {"proxy": _proxy(chain)}
        evidence = f"{where.action} at {where.host}: {detail or reason}"
        outcome = "".join(part.capitalize() for part in name.split("-"))
        return Failure(Problem(f"cloud.{name}", evidence, **facts), outcome, again)

    reason = _reason(chain)
    if met(requests.InvalidHeader, UnicodeEncodeError):
        return failure("bad-key", Again.NEVER, "the key holds signs that no AccessKey has")
    if met(requests.ProxyError):
        return failure("proxy", Again.NEVER)
    if met(requests.SSLError):
        return failure("tls", Again.NEVER)
    if met(requests.ConnectTimeout):
        return failure("unreachable", Again.UNSURE, "connecting took too long")
    if met(requests.Timeout, urllib3.ReadTimeoutError):
        return failure("timeout", Again.UNSURE, "no answer in time")
    if met(urllib3.NewConnectionError, urllib3.NameResolutionError):
        return failure("unreachable", Again.NEVER)
    if met(requests.ConnectionError, requests.ChunkedEncodingError):
        return failure("cut", Again.UNSURE)
    if met(requests.TooManyRedirects):
        return failure("bad-answer", Again.NEVER, "it redirects in a circle")
    if met(requests.RequestException):
        return failure("unreachable", Again.NEVER)
    return failure("bad-answer", Again.UNSURE, "what came back is not the JSON of this API")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those that led to it, whichever way they hang on it."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        link = todo.pop(0)
        if isinstance(link, BaseException) and not any(link is known for known in seen):
            seen.append(link)
            todo += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
    yield from seen


def _reason(chain: Iterable[BaseException]) -> str:
    """What the operating system or TLS said, which holds nothing of the request."""
    import ssl

    said = ""
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return link.verify_message
        if isinstance(link, ssl.SSLError):
            return str(link.reason or type(link).__name__)
        if isinstance(link, OSError) and isinstance(link.strerror, str) and link.strerror:
            said = link.strerror
    return said or type([*chain][-1]).__name__


def _proxy(chain: Iterable[BaseException]) -> str:
    """The proxy of the environment that the SDK used, without its user and password."""
    from requests.exceptions import ProxyError

    if not any(isinstance(link, ProxyError) for link in chain):
        return ""
    import os

    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
    return next((_host(found) for name in names if (found := os.environ.get(name))), "")


def _host(url: str) -> str:
    """`host:port` of a URL or of a bare host, and nothing else of it."""
    try:
        netloc = urlsplit(url if "//" in url else f"//{url}").netloc
    except ValueError:
        return ""
    return netloc.rpartition("@")[2]
