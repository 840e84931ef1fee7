"""The faults of the API kind: what comes between a good request and its answer.

All of them count or look at the clock; none rolls a die, so that a lesson is the same every time.
"""

from __future__ import annotations

from services.lab.api.call import Product
from services.lab.api.errors import ApiError, locked
from services.lab.faults import Faults
from services.lab.state.account import Account

_EVERY = 3
"""A fault that strikes now and then strikes every third time."""


class LostReply(Exception):
    """The call is done, but a gateway in between answers with an error page of its own."""

    PAGE = (
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
        "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
    )


def delay_s(faults: Faults, slow_s: float) -> float:
    """By how much this call is late."""
    return slow_s if faults.on("api-slow") else 0.0


def strike_before(
    faults: Faults, account: Account, product: Product, action: str, identifier: str
) -> None:
    """Refuse the call where a fault says so, before it is looked at. Raises `ApiError`."""
    turn = faults.turn("api-throttled")
    if turn and turn % _EVERY == 0:
        raise _throttled(turn // _EVERY)
    if product.code == "nlb" and action in product.writes:
        turn = faults.turn("api-busy")
        if turn and turn % _EVERY == 0:
            raise _busy(turn // _EVERY, identifier)
    if (product.code, action) == ("nlb", "CreateListener"):
        if faults.on("no-permission"):
            raise _forbidden(account, product, action)
        if faults.on("quota-exceeded"):
            raise ApiError(
                "QuotaExceeded.QuotaInsufficient",
                "The quota of nlb_quota_loadbalancer_listeners_num is insufficient: used 50 of 50.",
            )


def strike_after(faults: Faults) -> None:
    """Lose the reply of a call that was carried out. Raises `LostReply`."""
    turn = faults.turn("api-html-502")
    if turn and turn % _EVERY == 0:
        raise LostReply


def _throttled(time: int) -> ApiError:
    """The three ways in which the cloud says it: two statuses, and one with a time to wait."""
    message = "Request was denied due to user flow control."
    if time % 3 == 1:
        return ApiError("Throttling.User", message, 400)
    if time % 3 == 2:
        return ApiError("Throttling.User", message, 503)
    return ApiError("Throttling.User", message, 429, headers={"x-acs-retry-after": "1000"})


def _busy(time: int, identifier: str) -> ApiError:
    if time % 2:
        return locked(identifier)
    return ApiError("SystemBusy", "The system is busy. Please try again later.")


def _forbidden(account: Account, product: Product, action: str) -> ApiError:
    return ApiError(
        "Forbidden.NoPermission",
        "The user has no permission to perform this operation.",
        403,
        extra={
            "AccessDeniedDetail": {
                "AuthAction": f"{product.ram or product.code}:{action}",
                "AuthPrincipalType": "SubUser",
                "AuthPrincipalDisplayName": account.user,
                "AuthPrincipalOwnerId": account.id,
                "PolicyType": "AccountLevelIdentityBasedPolicy",
                "NoPermissionType": "ImplicitDeny",
                "EncodedDiagnosticMessage": "bGFi",
            }
        },
    )
