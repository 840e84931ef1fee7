"""Security Token Service, API version 2015-04-01."""

from __future__ import annotations

from services.cloud.api import Api
from services.cloud.port import Caller
from services.stop import Stop


class AlibabaSts:
    """`services.cloud.port.Sts` over the vendor's API."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def caller(self, stop: Stop) -> Caller:
        answer = self._api.call("sts", "GetCallerIdentity", {}, stop)
        return Caller(
            account_id=answer.required("AccountId"),
            arn=answer.text("Arn"),
            identity_type=answer.text("IdentityType"),
        )
