"""The monitoring listener: /metrics for Prometheus, /livez and /readyz for whoever restarts us."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from tetrarch.errors import ListenFailed
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

# None: ready. Else the reason in a few words, as an operator reads it.
ReadinessCheck: TypeAlias = Callable[[], str | None]

# A part of the node's state as JSON, asked with the query's parameters.
View: TypeAlias = Callable[[Mapping[str, str]], object]


class Monitoring:
    """Serves a node's state. Holds no secret and changes nothing, but is meant for own eyes only.

    ``checks`` are asked in order, on each request; all reasons are reported.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        metrics: Metrics,
        checks: Mapping[str, ReadinessCheck],
        log: Log,
        views: Mapping[str, View] | None = None,
    ) -> None:
        self.bound_port = port  # the real one once listening, where ``port`` is 0
        self.listening = asyncio.Event()
        self._host = host
        self._port = port
        self._metrics = metrics
        self._checks = dict(checks)
        self._views = dict(views or {})
        self._log = log

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ListenFailed: the address cannot be bound.
        """
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/livez", self._serve_livez)
        app.router.add_get("/readyz", self._serve_readyz)
        for name, view in self._views.items():
            app.router.add_get(f"/{name}", _serve_view(view))
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

    def reasons(self) -> tuple[str, ...]:
        """Why the node is not ready, as "check: reason"; empty when it is."""
        answers = ((name, check()) for name, check in self._checks.items())
        return tuple(f"{name}: {reason}" for name, reason in answers if reason is not None)

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        self._metrics.gauge("node_ready").set(not self.reasons())
        # In a thread: some thousand series would hold up the loop, and with it the duties.
        body = await asyncio.to_thread(self._metrics.exposition)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _serve_livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _serve_readyz(self, _request: web.Request) -> web.Response:
        reasons = self.reasons()
        if reasons:
            return web.Response(status=503, text="\n".join(reasons) + "\n")
        return web.Response(text="ready\n")


def _serve_view(view: View) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        body = msgspec.json.encode(view(request.query))
        return web.Response(body=body, content_type="application/json")

    return serve
