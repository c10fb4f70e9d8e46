"""The monitoring listener: /metrics for Prometheus, /livez and /readyz for whoever restarts us.

And the node's views, as JSON, its streams, as server-sent events, pages that draw them, and its controls,
for who has their token.
"""

import asyncio
import contextlib
import inspect
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from tetrarch.errors import InputInvalid, ListenFailed
from tetrarch.observability.controls import BODY_MAX_BYTES, Controls
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.pages import Page, add_pages

# Why the node is not ready, each as "cause: what an operator reads"; empty when it is.
Reasons: TypeAlias = Callable[[], tuple[str, ...]]

# A part of the node's state as JSON, or what becomes one; bytes are answered as they are. Asked with
# the query's parameters, and those in its path: "block/{id}". Raises InputInvalid for parameters that
# are none, NotHere for what there is not.
View: TypeAlias = Callable[[Mapping[str, str]], object]

# What happens, as it happens: each item one event, as JSON or what becomes it.
Stream: TypeAlias = Callable[[], AsyncGenerator[object, None]]

BYTES_TYPE = "application/octet-stream"
STREAMS_MAX = 64  # listeners at the same time
STREAM_SIGN_OF_LIFE_S = 15.0  # a comment: shows both sides that the other is there


class NotHere(InputInvalid):
    """What was asked for by its name or number, and is not there."""

    code = "not_here"


class Monitoring:
    """Serves a node's state. Shows no secret, but is meant for own eyes only.

    Only ``controls`` change anything.

    ``reasons`` is asked on each request; all that it tells is reported, the most important first.
    """

    def __init__(  # noqa: PLR0913 - what is not said is not served
        self,
        *,
        host: str,
        port: int,
        metrics: Metrics,
        reasons: Reasons,
        log: Log,
        views: Mapping[str, View] | None = None,
        streams: Mapping[str, Stream] | None = None,
        controls: Controls | None = None,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        self.bound_port = port  # the real one once listening, where ``port`` is 0
        self.listening = asyncio.Event()
        self._host = host
        self._port = port
        self._metrics = metrics
        self._reasons = reasons
        self._views = dict(views or {})
        self._streams = dict(streams or {})
        self._controls = controls
        self._pages = dict(pages or {})
        self._streaming = 0
        self._log = log

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ListenFailed: the address cannot be bound.
        """
        app = web.Application(client_max_size=BODY_MAX_BYTES)
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/livez", self._serve_livez)
        app.router.add_get("/readyz", self._serve_readyz)
        for name, view in self._views.items():
            app.router.add_get(f"/{name}", _serve_view(view))
        for name, stream in self._streams.items():
            app.router.add_get(f"/{name}", self._serve_stream(stream))
        add_pages(app, self._pages)
        if self._controls is not None:
            self._controls.add_to(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            try:
                await site.start()
            except OSError as error:
                raise ListenFailed(
                    "open monitoring listener",
                    address=f"{self._host}:{self._port}",
                    reason=os.strerror(error.errno)
                    if error.errno and error.errno > 0
                    else str(error),
                ) from error
            self.bound_port = runner.addresses[0][1]
            self._log.info("monitoring_listening", address=f"{self._host}:{self.bound_port}")
            self.listening.set()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        self._metrics.gauge("node_ready").set(not self._reasons())
        # In a thread: some thousand series would hold up the loop, and with it the duties.
        body = await asyncio.to_thread(self._metrics.exposition)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _serve_livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _serve_readyz(self, _request: web.Request) -> web.Response:
        # 503, not the reference's 500: it says "not now" to whoever balances or restarts, and a
        # proxy on the way does not take it for a crash.
        reasons = self._reasons()
        if reasons:
            return web.Response(status=503, text="\n".join(reasons) + "\n")
        return web.Response(text="ready\n")

    def _serve_stream(
        self, stream: Stream
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            if self._streaming >= STREAMS_MAX:
                return web.Response(status=503, text="too many listen already\n")
            self._streaming += 1
            try:
                return await _send_events(request, stream())
            finally:
                self._streaming -= 1

        return serve


async def _send_events(
    request: web.Request, events: AsyncGenerator[object, None]
) -> web.StreamResponse:
    """Until the listener goes away."""
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    try:
        async with contextlib.aclosing(events), asyncio.TaskGroup() as tasks:
            signs = tasks.create_task(_show_life(response))
            async for event in events:
                await response.write(b"data: " + msgspec.json.encode(event) + b"\n\n")
            signs.cancel()
    except* ConnectionError:
        pass  # it went away
    return response


async def _show_life(response: web.StreamResponse) -> None:
    while True:
        await asyncio.sleep(STREAM_SIGN_OF_LIFE_S)
        await response.write(b":\n\n")


def _serve_view(view: View) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        status = 200
        try:
            seen = view({**request.query, **request.match_info})
            if inspect.isawaitable(seen):
                seen = await seen
        except InputInvalid as error:
            status = 404 if isinstance(error, NotHere) else 400
            seen = {"code": status, "message": str(error)}
        if isinstance(seen, bytes):
            return web.Response(body=seen, content_type=BYTES_TYPE)
        return web.Response(
            body=msgspec.json.encode(seen), status=status, content_type="application/json"
        )

    return serve
