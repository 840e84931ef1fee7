"""The HTTP server: one port on loopback for every product, and `/_lab` for the lab's own matters.

Neither this nor aiohttp logs a request here: certificates, keys and passwords travel in URLs.
aiohttp is imported inside the functions: it costs 0.3 s.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from services.lab.api.ecs.commands import CloudAssistant
from services.lab.api.gateway import Gateway
from services.lab.api.signature import Received
from services.lab.clock import shown_time
from services.lab.faults import FAULTS, Faults
from services.lab.state.cloud import CloudState

if TYPE_CHECKING:
    from aiohttp import web

LONGEST_URL = 1 << 20
"""A certificate and its key travel in the URL; aiohttp's own limit of 8 KiB is too short.

Also, aiohttp answers a longer one with an excerpt of it: this is beyond what any client sends.
"""

LONGEST_BODY = 4 << 20


def make_application(
    state: CloudState,
    faults: Faults,
    describe: Callable[[], Mapping[str, Any]],
    extra_routes: Iterable[web.AbstractRouteDef] = (),
    switched: Callable[[], Awaitable[None]] | None = None,
) -> web.Application:
    """The whole API at `/`, and `describe()` at `/_lab`, where faults are switched as well.

    `switched` is awaited after a fault was switched: only when all has followed, it is answered.
    """
    from aiohttp import web

    gateway = Gateway(state, faults)

    async def answer(request: web.Request) -> web.Response:
        reply = await gateway.answer(await _received(request))
        headers = {**reply.headers, "Date": formatdate(shown_time(faults), usegmt=True)}
        if isinstance(reply.body, str):
            return web.Response(
                status=reply.status, text=reply.body, content_type="text/html", headers=headers
            )
        return _json(reply.body, reply.status, headers)

    async def lab(_: web.Request) -> web.Response:
        return _json(describe())

    async def switch(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in FAULTS:
            return _json({"error": "unknown fault", "faults": sorted(FAULTS)}, 404)
        (faults.add if request.method == "PUT" else faults.discard)(name)
        if switched is not None:
            await switched()
        return _json({"faults": list(faults)})

    async def assist(_: web.Application) -> AsyncIterator[None]:
        assistant = CloudAssistant(state)
        await assistant.start()
        yield
        await assistant.stop()

    application = web.Application(client_max_size=LONGEST_BODY)
    application.cleanup_ctx.append(assist)
    application.add_routes(
        [
            web.get("/", answer),
            web.post("/", answer),
            web.get("/_lab", lab),
            web.put("/_lab/faults/{name}", switch),
            web.delete("/_lab/faults/{name}", switch),
            *extra_routes,
        ]
    )
    return application


@asynccontextmanager
async def serving(application: web.Application, port: int = 0) -> AsyncIterator[int]:
    """Serve on 127.0.0.1 during the block; gives the port. Raises OSError when it is taken."""
    from aiohttp import web

    runner = web.AppRunner(
        application,
        access_log=None,
        logger=_quiet_logger(),
        max_line_size=LONGEST_URL,
        max_field_size=LONGEST_URL,
        shutdown_timeout=1,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _received(request: web.Request) -> Received:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in request.headers.items():
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    path, _, query = request.raw_path.partition("?")
    if not path.startswith("/"):  # the whole URL, as through a proxy (RFC 9112 3.2.2)
        path = request.rel_url.raw_path
    return Received(request.method, path, query, headers, await request.read())


def _json(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    from aiohttp import web

    return web.Response(
        status=status,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        headers={"Content-Type": "application/json;charset=utf-8", **(headers or {})},
    )


def _quiet_logger() -> logging.Logger:
    logger = logging.getLogger("nlb-mtls.lab.api")
    if not logger.filters:
        logger.addFilter(_without_values)
    return logger


def _without_values(record: logging.LogRecord) -> bool:
    """Leave of an exception its kind and its place in the code; its text may hold a request."""
    if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
        kind, _, trace = record.exc_info
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
        record.msg, record.args = f"A request failed with {kind.__name__} at {place}", ()
        record.exc_info = None
    return True
