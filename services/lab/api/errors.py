"""The vendor's refusals: code, HTTP status and message, as its API pages publish them.

Codes and statuses are those of the API pages and of what public clients met; the messages follow
the vendor's templates. They never quote a parameter's value: keys travel in parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.lab.state.account import Json


class ApiError(Exception):
    """A call that the cloud refuses."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        extra: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra or {}
        self.headers = headers or {}


def missing(name: str) -> ApiError:
    """A mandatory parameter is absent."""
    return ApiError(f"Missing{name}", f"{name} is mandatory for this action.")


def missing_common(name: str) -> ApiError:
    """A parameter that every call needs is absent."""
    return ApiError(
        "MissingParameter",
        f"The input parameter {name} that is mandatory for this request is not supplied.",
    )


def illegal(name: str) -> ApiError:
    """NLB's word for a value that it does not take."""
    return ApiError(f"IllegalParam.{name}", f"The param of {name} is illegal.")


def invalid(name: str) -> ApiError:
    """Other products' word for it."""
    return ApiError("InvalidParameter", f"The specified parameter {name} is not valid.")


def resource_not_found(kind: str) -> ApiError:
    return ApiError(
        f"ResourceNotFound.{kind}", f"The specified resource of {kind} is not found.", 404
    )


def incorrect_status(kind: str, identifier: str) -> ApiError:
    return ApiError(f"IncorrectStatus.{kind}", f"The status of {kind} [{identifier}] is incorrect.")


def locked(identifier: str) -> ApiError:
    return ApiError("Conflict.Lock", f"The Lock [{identifier}] is conflict.")


def mismatch(what: str, one: str, other: str) -> ApiError:
    return ApiError(f"Mismatch.{what}", f"The {what} is mismatched for {one} and {other}.")


def not_found(what: str) -> ApiError:
    """CAS's and Private CA's `NotFound`."""
    return ApiError("NotFound", f"The specified {what} does not exist.", 404)
