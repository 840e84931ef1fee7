"""Clouds that ask a server on loopback, with keys of their own and nobody's credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from services.cloud.api import Call
from services.cloud.connect import connect
from services.cloud.credentials import AccessKey
from services.cloud.pace import LAB, Pace
from services.cloud.port import Cloud
from tests.services.cloud.responder import Handler, Responder, responding

SECRET = "Zx9vT4qLw8Yd2Rk7Bn3Mc6Ph1Js5Gf0"
QUICK: Pace = replace(
    LAB,
    first_poll_s=0.001,
    poll_s=0.005,
    backoff_s=0.001,
    backoff_cap_s=0.01,
    throttled_s=0.001,
    patience_s=1,
    fresh_s=1,
    job_limit_s=1,
    call_limit_s=5,
)

Ask = Callable[[Handler], tuple[Cloud, Responder, list[Call]]]


def cloud_at(url: str, calls: list[Call] | None = None, pace: Pace = QUICK) -> Cloud:
    """A cloud that asks `url`, with explicit keys and almost no patience."""
    keys = AccessKey("LTAI5tTestTestTest", SECRET)
    heard = calls.append if calls is not None else None
    return connect("cn-hangzhou", api=url, keys=keys, on_call=heard, pace=pace)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, profile or proxy of the person who runs the tests takes part in them."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "DEBUG"):
        monkeypatch.delenv(name, raising=False)
    for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN", "ECS_METADATA"):
        monkeypatch.delenv(f"ALIBABA_CLOUD_{name}", raising=False)


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Serve a handler; returns a cloud that asks it, the server, and the calls as they come."""
    with ExitStack() as stack:

        def serve(handler: Handler) -> tuple[Cloud, Responder, list[Call]]:
            responder = stack.enter_context(responding(handler))
            calls: list[Call] = []
            return cloud_at(responder.url, calls), responder, calls

        yield serve
