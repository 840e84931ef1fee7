"""The vendor's SDK: its clients, made when first used, and one signed request through them.

Its generated methods and models are found by the action's name, and parameters and answers keep
the API's own spelling: the SDK has no types to lose, its Python names are irregular
(`upload_pcacert`, `dnsname`), and the same mapping then serves the call, the command log and the
command that a person could type instead.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from services.cloud.credentials import AccessKey, DefaultChain
from services.cloud.equivalent import FileRef, Parameters, Product, Value
from services.problem import Exit, Problem

_PACKAGES: Mapping[Product, str] = {
    "sts": "alibabacloud_sts20150401",
    "nlb": "alibabacloud_nlb20220430",
    "cas": "alibabacloud_cas20200407",
    "pca": "alibabacloud_cas20200630",
    "ecs": "alibabacloud_ecs20140526",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API at an address of its own instead of the vendor's, such as the lab's."""

    protocol: str
    address: str
    """`host:port`."""

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Read `http://127.0.0.1:PORT`. Raises Problem `cloud.bad-api-address`."""
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        if parts.scheme not in {"http", "https"} or not host or parts.path.strip("/"):
            raise Problem("cloud.bad-api-address", exit=Exit.USAGE, address=_without_user(url))
        host = f"[{host}]" if ":" in host else host
        return cls(parts.scheme, f"{host}:{port}" if port else host)

    @property
    def loopback(self) -> bool:
        host = urlsplit(f"//{self.address}").hostname or ""
        return host in {"localhost", "::1"} or host.startswith("127.")


@dataclass(slots=True)
class Sdk:
    """The five products' clients for one account. Safe for several threads."""

    regions: Mapping[Product, str]
    endpoint: Endpoint | None
    keys: AccessKey | None = field(repr=False)
    connect_s: float
    read_s: float
    clock_ahead_s: float | None = None
    """How far the Date of the last answer was ahead of this computer's clock."""
    _clients: dict[Product, Any] = field(default_factory=dict)
    _chain: DefaultChain = field(default_factory=DefaultChain)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, product: Product, action: str, parameters: Parameters) -> object:
        """Make one request and return the JSON that came back. Raises whatever the SDK raises."""
        from darabonba.runtime import RuntimeOptions

        client_module, models = load(product)
        client = self._client(product, client_module)
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", action).lower()
        method = getattr(client, f"{name}_with_options")
        model = getattr(models, f"{action}Request", None)
        if model is None:  # an action without parameters
            answer = method(RuntimeOptions())
        else:
            sent = _contents(parameters)
            request = model().from_map(sent)
            if not _within(sent, request.to_map()):
                # The SDK drops a name that it does not know without a word.
                raise TypeError(f"{action} does not take all of {sorted(parameters)}")
            answer = method(request, RuntimeOptions())
        self._compare_clocks(answer.headers)
        if answer.body is not None:
            return answer.body.to_map()
        # Where a value is not of the type that the SDK's model has, it keeps the raw answer.
        return (answer._map or {}).get("body")

    def _compare_clocks(self, headers: Mapping[str, str] | None) -> None:
        from email.utils import parsedate_to_datetime

        dates = [value for name, value in (headers or {}).items() if name.lower() == "date"]
        with suppress(ValueError):  # what is no date
            for date in dates:
                self.clock_ahead_s = parsedate_to_datetime(date).timestamp() - time.time()

    def host(self, product: Product) -> str:
        """`host:port` that the product is asked at; empty before its first call."""
        if self.endpoint:
            return self.endpoint.address
        return str(getattr(self._clients.get(product), "_endpoint", ""))

    def _client(self, product: Product, module: Any) -> Any:
        with self._lock:
            if product not in self._clients:
                self._clients[product] = module.Client(self._config(product))
            return self._clients[product]

    def _config(self, product: Product) -> Any:
        from alibabacloud_tea_openapi.utils_models import Config

        config = Config(
            region_id=self.regions[product],
            connect_timeout=int(self.connect_s * 1000),
            read_timeout=int(self.read_s * 1000),
            user_agent="nlb-mtls",
        )
        if self.keys:
            config.access_key_id = self.keys.id
            config.access_key_secret = self.keys.secret
            config.security_token = self.keys.token or None
        else:
            config.credential = self._chain
        if self.endpoint:
            config.protocol = self.endpoint.protocol
            config.endpoint = self.endpoint.address
            if self.endpoint.loopback and _http_proxy_is_set():
                # The SDK sends everything through HTTP_PROXY and ignores NO_PROXY, on this computer
                # too. Named as its own proxy, the API gets the request itself, with the whole URL
                # in the first line, which every HTTP/1.1 server must take (RFC 9112 3.2.2).
                config.http_proxy = f"http://{self.endpoint.address}"
        return config


def load(product: Product) -> tuple[Any, Any]:
    """A product's client module and models. The first costs 0.7 s, ECS 1.5 s on top."""
    package = _PACKAGES[product]
    client, models = import_module(f"{package}.client"), import_module(f"{package}.models")
    _silence()
    return client, models


def _silence() -> None:
    """Shut up the SDK's loggers, which bring handlers of their own that write to stderr.

    And urllib3's, since at DEBUG it logs each URL, and with it the private key that a query holds.
    """
    for name in ("darabonba-core", "alibabacloud-tea", "credentials", "urllib3", "apscheduler"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False


def _http_proxy_is_set() -> bool:
    return any(os.environ.get(name) for name in ("HTTP_PROXY", "http_proxy"))


def _without_user(url: str) -> str:
    """A URL fit to be shown, should somebody have written a password into it."""
    return re.sub(r"//[^/@]*@", "//…@", url)[:200]


def _contents(value: Value) -> Any:
    """A parameter as it is sent: a file as what is in it."""
    if isinstance(value, FileRef):
        return value.content
    if isinstance(value, Mapping):
        return {name: _contents(part) for name, part in value.items()}
    if isinstance(value, str | int):
        return value
    return [_contents(part) for part in value]


def _within(wanted: object, found: object) -> bool:
    """Whether everything in `wanted` is also in `found`, which may hold more."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and _within(part, found[name]) for name, part in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(_within(one, other) for one, other in zip(wanted, found, strict=True))
        )
    return wanted == found
