"""The HTTP listener of the signer API."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
from aiohttp import web

from tetrarch.errors import ListenFailed
from tetrarch.observability.logs import Log
from tetrarch.remote_signer.requests import PUBLIC_KEYS_PATH, SIGN_PATH, UPCHECK_PATH
from tetrarch.signer_api.api import SLASHING_STATUS, Reply, SignerApi
from tetrarch.signer_api.guard import Guard

HEALTH_PATH = "/healthcheck"
BODY_SIZE_MAX = 2 << 20  # a whole block before Bellatrix
SHUTDOWN_TIMEOUT_S = 1
_OPEN_PATHS = (UPCHECK_PATH, HEALTH_PATH)  # they tell nothing but that somebody is here


class Meter(Protocol):
    """Counts; metrics in production."""

    def answered(self, kind: str, status: int, duration_s: float) -> None:
        """One signing request was answered."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where and how to listen."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    guard: Guard


class SignerServer:
    """Serves ``api`` until cancelled."""

    def __init__(
        self,
        api: SignerApi,
        *,
        listen: Listen,
        log: Log,
        meter: Meter,
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``trouble``: why nothing can be signed now, for the health check."""
        self.bound_port = listen.port  # the real one once listening, where it is 0
        self.listening = asyncio.Event()
        self._api = api
        self._listen = listen
        self._log = log
        self._meter = meter
        self._trouble = trouble

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ListenFailed: the address cannot be bound.
        """
        app = web.Application(client_max_size=BODY_SIZE_MAX, middlewares=[self._admit])
        app.router.add_post(SIGN_PATH + "{identifier}", self._sign)
        app.router.add_get(PUBLIC_KEYS_PATH, self._public_keys)
        app.router.add_get(UPCHECK_PATH, self._upcheck)
        app.router.add_get(HEALTH_PATH, self._health)
        await serve(app, self._listen, self._on_listening)

    def _on_listening(self, port: int) -> None:
        self.bound_port = port
        scheme = "http" if self._listen.tls is None else "https"
        self._log.info("signer_api_listening", address=f"{scheme}://{self._listen.host}:{port}")
        self.listening.set()

    @web.middleware
    async def _admit(
        self, request: web.Request, handler: Callable[..., object]
    ) -> web.StreamResponse:
        if request.path not in _OPEN_PATHS:
            refused = refusal(self._listen.guard, request)
            if refused is not None:
                return refused
        response: web.StreamResponse = await handler(request)  # type: ignore[misc]  # aiohttp's own handler type is private
        return response

    async def _sign(self, request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        body = await request.read()  # 413 by the application's limit
        reply = await self._api.sign(request.match_info["identifier"], body)
        self._meter.answered(reply.kind, reply.status, loop.time() - started_s)
        if reply.status == SLASHING_STATUS:
            share = request.match_info["identifier"][:16]
            self._log.warning("signing_denied", share=share, kind=reply.kind, reason=reply.message)
        return _response(reply, accept=request.headers.get("Accept", ""))

    async def _public_keys(self, _request: web.Request) -> web.Response:
        return _json(self._api.public_keys())

    async def _upcheck(self, _request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _health(self, _request: web.Request) -> web.Response:
        trouble = self._trouble()
        state = "UP" if trouble is None else "DOWN"
        check = {"id": "enclave", "status": state, "reason": trouble or ""}
        answer = {"status": state, "checks": [check], "outcome": state}
        return _json(answer, status=200 if trouble is None else 503)


async def serve(app: web.Application, listen: Listen, on_listening: Callable[[int], None]) -> None:
    """Serve ``app`` until cancelled; ``on_listening`` gets the port once it is open.

    Raises:
        ListenFailed: the address cannot be bound.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port, ssl_context=listen.tls)
        try:
            await site.start()
        except OSError as error:
            raise ListenFailed(
                "open listener", address=f"{listen.host}:{listen.port}", reason=error.strerror
            ) from error
        on_listening(runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def refusal(guard: Guard, request: web.Request) -> web.Response | None:
    """The answer to a caller who may not go on."""
    host = request.headers.get("Host", "")
    authorization = request.headers.get("Authorization", "")
    refused = guard.refusal(host=host, authorization=authorization)
    return None if refused is None else _json({"message": refused[1]}, status=refused[0])


def _response(reply: Reply, *, accept: str) -> web.Response:
    """JSON, but plain text for who asks for that alone: what Web3Signer does, and clients take."""
    if reply.signature is None:
        return _json({"message": reply.message}, status=reply.status)
    text = "0x" + reply.signature.hex()
    wants_text = "text/plain" in accept and "json" not in accept
    return web.Response(text=text) if wants_text else _json({"signature": text})


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
