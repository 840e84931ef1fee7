"""From a request to an answer: signature, product, action, ClientToken, dry run, errors."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from services.lab.api.call import Call, Product, Write
from services.lab.api.errors import ApiError
from services.lab.api.interference import LostReply, delay_s, strike_after, strike_before
from services.lab.api.parameters import Parameters, nested
from services.lab.api.products import PRODUCTS
from services.lab.api.regions import REGIONS
from services.lab.api.signature import Operation, Received, Signatures
from services.lab.faults import Faults
from services.lab.state.account import Account, Json, Remembered
from services.lab.state.cloud import CloudState
from services.lab.state.identifiers import fresh_request
from services.problem import Problem

_LONGEST_TOKEN = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a JSON object, or the page of a gateway in between."""

    status: int
    body: Json | str = field(repr=False)
    headers: Mapping[str, str]


class Gateway:
    """One front door for all products, as the vendor's hosts are many names for one."""

    def __init__(self, state: CloudState, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self._signatures = Signatures(state.account.access_key, state.now)
        self._products = {product.version: product for product in PRODUCTS}

    async def answer(self, request: Received) -> Answer:
        """Carry out a request and say how it went. Runs in the event loop."""
        request_id = fresh_request()
        headers = {"x-acs-request-id": request_id}
        product: Product | None = None
        try:
            operation = self._signatures.verify(request)
            product = self._product(operation)
            if (late := delay_s(self._faults, self._state.timing.slow_s)) > 0:
                await asyncio.sleep(late)
            reply = await self._perform(product, operation, request.method)
            strike_after(self._faults)
        except ApiError as error:
            body = self._error(error, product, request_id)
            return Answer(error.status, body, {**headers, **error.headers})
        except LostReply:
            return Answer(502, LostReply.PAGE, {})
        except Problem as problem:  # nothing has changed: the disk refused
            message = f"The service is unavailable: {problem.code}."
            unavailable = ApiError("ServiceUnavailable", message, 503)
            return Answer(503, self._error(unavailable, product, request_id), headers)
        return Answer(200, {"RequestId": request_id, **reply}, headers)

    def _product(self, operation: Operation) -> Product:
        product = self._products.get(operation.version)
        if product is None:
            raise ApiError("InvalidVersion", "Specified parameter Version is not valid.", 404)
        if operation.action not in product.reads.keys() | product.writes.keys():
            raise ApiError(
                "InvalidAction.NotFound",
                "Specified api is not found, please check your url and method.",
                404,
            )
        return product

    async def _perform(self, product: Product, operation: Operation, method: str) -> Json:
        if method not in product.methods:
            raise ApiError("UnsupportedHTTPMethod", "This http method is not supported.", 405)
        parameters = Parameters(nested(operation.parameters), product.illegal)
        account = self._state.account
        strike_before(
            self._faults, account, product, operation.action, parameters.text("LoadBalancerId")
        )
        elsewhere = product.regional and _is_elsewhere(account, parameters.text("RegionId"))
        if (read := product.reads.get(operation.action)) is not None:
            seen = account.elsewhere() if elsewhere else account
            return read(self._call(seen, self._state.now(), parameters))
        if elsewhere:
            raise ApiError("UnauthorizedRegion", "The specified region is not authorized.", 403)
        write = product.writes[operation.action]

        def change(account: Account, now: float) -> tuple[Json, Account]:
            return self._write(product, operation, write, self._call(account, now, parameters))

        return await self._state.transact(change)

    def _call(self, account: Account, now: float, parameters: Parameters) -> Call:
        return Call(
            account,
            parameters,
            now,
            self._state.timing,
            self._faults,
            self._state.health,
            runs_commands=self._state.run_on_host is not None,
        )

    def _write(
        self, product: Product, operation: Operation, write: Write, call: Call
    ) -> tuple[Json, Account]:
        """Carry out a change at most once for a ClientToken, or only try it (DryRun)."""
        token = call.parameters.text("ClientToken")
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            raise call.parameters.illegal("ClientToken")
        key = f"{product.version}/{operation.action}/{token}"
        fingerprint = _fingerprint(operation)
        if token and (known := call.account.tokens.get(key)) is not None:
            if known.fingerprint != fingerprint:
                raise ApiError(
                    "IdempotenceSignatureMismatch",
                    "The client token was used with other parameters before.",
                )
            return known.reply, call.account
        reply, account = write(call)
        if product.dry_runs and call.parameters.flag("DryRun"):
            raise ApiError(
                "DryRunOperation", "Request validation has been passed with DryRun flag set."
            )
        if token:
            remembered = Remembered(fingerprint, reply, call.now)
            account = replace(account, tokens={**account.tokens, key: remembered})
        return reply, account

    def _error(self, error: ApiError, product: Product | None, request_id: str) -> Json:
        account = self._state.account
        host = (product.host if product else "{region}.aliyuncs.com").format(
            region=account.region, site=account.cas_site
        )
        question = urlencode({"q": error.code, "requestId": request_id})
        return {
            "RequestId": request_id,
            "HostId": host,
            "Code": error.code,
            "Message": error.message,
            "Recommend": f"https://api.aliyun.com/troubleshoot?{question}",
            **error.extra,
        }


def _is_elsewhere(account: Account, region: str) -> bool:
    """Whether a call asks for another region than the account's. Raises `ApiError` for none."""
    if region and region not in REGIONS:
        raise ApiError("InvalidRegionId.NotFound", "The specified RegionId does not exist.", 404)
    return bool(region) and region != account.region


def _fingerprint(operation: Operation) -> str:
    """What makes two calls with one ClientToken the same call; secrets go in, none comes out."""
    named = {k: v for k, v in operation.parameters.items() if k not in ("ClientToken", "DryRun")}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()
