"""A development chain behind HTTP, for tests, ``tetrarch devchain`` and ``tetrarch demo``."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web

from tetrarch.clock import Clock
from tetrarch.errors import InputInvalid, ListenFailed, invariant
from tetrarch.ethereum.devchain.chain import DevChain
from tetrarch.ethereum.devchain.config import DevChainConfig
from tetrarch.ethereum.devchain.http.answers import (
    BODY_MAX_BYTES,
    FACE,
    LINE_MAX_BYTES,
    Face,
    NotFound,
    WrongMediaType,
    error_answer,
)
from tetrarch.ethereum.devchain.http.control import FaultyShare, faults_middleware
from tetrarch.ethereum.devchain.http.routes import add_routes

TICK_MAX_S = 0.5
_STATUSES: tuple[tuple[type[InputInvalid], int], ...] = ((NotFound, 404), (WrongMediaType, 415))


@web.middleware
async def answer_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn refusals into the API's error bodies."""
    try:
        return await handler(request)
    except InputInvalid as error:
        status = next((code for kind, code in _STATUSES if isinstance(error, kind)), 400)
        return error_answer(status, str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_answer(error.status, error.reason)


class DevChainServer:
    """Serves one chain; ``async with`` it, or call ``start`` and ``stop``.

    ``chain`` may be looked at, and its ``faults`` set, between awaits.
    """

    def __init__(
        self, config: DevChainConfig, clock: Clock, *, also_ports: tuple[int, ...] = ()
    ) -> None:
        """``also_ports``: it listens there, too, as if it were several beacon nodes."""
        self.chain = DevChain(config)
        self._also_ports = also_ports
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._ticker: asyncio.Task[None] | None = None
        self.port = config.port

    @property
    def url(self) -> str:
        """Where it listens; known after ``start``."""
        return f"http://{self.chain.config.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, and let slots pass.

        Raises:
            ListenFailed: the address cannot be bound.
        """
        invariant(self._runner is None, "a chain is started once")
        config = self.chain.config
        app = web.Application(
            client_max_size=BODY_MAX_BYTES,
            middlewares=[answer_errors, faults_middleware(FaultyShare())],
        )
        app[FACE] = Face(self.chain, self._clock)
        add_routes(app)
        self._runner = web.AppRunner(
            app, access_log=None, max_line_size=LINE_MAX_BYTES, shutdown_timeout=1.0
        )
        await self._runner.setup()
        for port in (config.port, *self._also_ports):
            try:
                await web.TCPSite(self._runner, config.host, port).start()
            except OSError as error:
                await self._runner.cleanup()
                address = f"{config.host}:{port}"
                raise ListenFailed(
                    "open devchain listener", address=address, reason=error.strerror
                ) from error
        addresses = self._runner.addresses
        self.port = int(addresses[0][1])
        loop = asyncio.get_running_loop()
        # Outlives this call by design: ``stop`` ends it, ``run_until`` sees it fail.
        self._ticker = loop.create_task(self._tick(), name="devchain slots")

    async def run_until(self, stopped: asyncio.Event) -> None:
        """Return when ``stopped`` is set; raise what made slots stop passing."""
        invariant(self._ticker is not None, "the chain is started")
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch_ticker(), name="devchain watch")
            await stopped.wait()
            watching.cancel()

    async def _watch_ticker(self) -> None:
        if self._ticker is not None:
            await asyncio.shield(self._ticker)

    async def stop(self) -> None:
        """Stop listening; open event streams end. Calling it again does nothing."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _tick(self) -> None:
        """Advance the chain when it is due, even if nobody calls."""
        while True:
            now_s = self._clock.wall_s()
            self.chain.advance(now_s)
            wait_s = self.chain.next_due_s() - now_s
            await asyncio.sleep(min(max(wait_s, 0.005), TICK_MAX_S))
