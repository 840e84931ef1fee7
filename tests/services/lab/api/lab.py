"""A lab's API, served in a thread, and the vendor's own clients to judge it by."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from services.lab.api.server import make_application, serving
from services.lab.faults import Faults
from services.lab.scenario import Scenario
from services.lab.state.cloud import CloudState

WAIT_S = 20


class Clock:
    """The computer's clock, which a test may put forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def skip(self, seconds: float = 1.0) -> None:
        """Let time pass: a second ends every job of a lab without faults."""
        self._ahead += seconds


class Lab:
    """Start with `with`; what each reply was on the wire is kept by its RequestId."""

    def __init__(self, directory: Path, scenario: Scenario, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.state = CloudState(directory, scenario, self.clock)
        self.faults = Faults()
        self.port = 0
        self.wire: dict[str, Any] = {}
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def __enter__(self) -> Lab:
        self._thread.start()
        assert self._started.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        application = make_application(
            self.state, self.faults, lambda: {"faults": list(self.faults)}
        )

        async def keep(_: Any, response: Any) -> None:
            if response.content_type == "application/json":
                body = json.loads(response.body)
                self.wire[body.get("RequestId", "")] = body

        application.on_response_prepare.append(keep)
        async with serving(application) as self.port:
            self._started.set()
            await self._stop.wait()

    def config(self, **changes: Any) -> Any:
        from alibabacloud_tea_openapi.utils_models import Config

        key = self.state.account.access_key
        settings = {
            "access_key_id": key.id,
            "access_key_secret": key.secret,
            "region_id": "cn-hangzhou",
            "protocol": "http",
            "endpoint": f"127.0.0.1:{self.port}",
        }
        return Config(**(settings | changes))

    @cached_property
    def nlb(self) -> Any:
        from alibabacloud_nlb20220430.client import Client

        return Client(self.config())

    @cached_property
    def cas(self) -> Any:
        from alibabacloud_cas20200407.client import Client

        return Client(self.config())

    @cached_property
    def pca(self) -> Any:
        from alibabacloud_cas20200630.client import Client

        return Client(self.config())

    @cached_property
    def ecs(self) -> Any:
        from alibabacloud_ecs20140526.client import Client

        return Client(self.config())

    @cached_property
    def sts(self) -> Any:
        from alibabacloud_sts20150401.client import Client

        return Client(self.config())

    def ask(self, method: Callable[..., Any], request: Any = None) -> Any:
        """The reply's model, after checking that no key and no type got lost on the way."""
        response = method() if request is None else method(request)
        body = response.body
        assert body is not None, response.to_map()
        check_types(body)
        assert without_empty(body.to_map()) == without_empty(self.wire[body.request_id])
        return body

    def refused(self, method: Callable[..., Any], request: Any = None) -> tuple[int, str]:
        """HTTP status and code of the error that a call ends with."""
        from alibabacloud_tea_openapi.exceptions import ClientException, ServerException

        try:
            response = method() if request is None else method(request)
        except (ClientException, ServerException) as error:
            reply = error.data
            assert {"RequestId", "HostId", "Code", "Message", "Recommend"} <= reply.keys()
            return error.status_code, error.code
        raise AssertionError(f"not refused: {response.body.to_map()}")

    def settle(self) -> None:
        """Let everything that is under way come to its end."""
        self.clock.skip()


def check_types(model: Any) -> None:
    """Demand of every field the type that the SDK declares: the SDK itself converts nothing."""
    for name, parameter in inspect.signature(type(model).__init__).parameters.items():
        value = getattr(model, name, None)
        if name == "self" or value is None:
            continue
        declared = str(parameter.annotation)
        values = value if declared.startswith("List[") else [value]
        inner = re.sub(r"^List\[(.*)\]$", r"\1", declared)
        for one in values:
            simple = {"str": str, "int": int, "bool": bool}.get(inner)
            if simple is None:
                check_types(one)
            else:
                assert type(one) is simple, (type(model).__name__, name, one)


def without_empty(value: Any) -> Any:
    """A JSON value without empty lists, which the SDK adds where a list is absent."""
    if isinstance(value, dict):
        kept = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in ([], None)}
    if isinstance(value, list):
        return [without_empty(inner) for inner in value]
    return value
