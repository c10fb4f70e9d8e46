"""The HTTP listener: turns requests into values, answers into responses, and hands the rest on."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from tetrarch.errors import InvariantBroken, ListenFailed, OperatorError, TetrarchError
from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeAnswerInvalid,
    BeaconNodeRefused,
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.beacon_node.ports import ProxyRequest
from tetrarch.observability.logs import Log
from tetrarch.validator_api.access import Access
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.holding import refuse_while_held
from tetrarch.validator_api.messages import (
    ApiAnswer,
    ApiError,
    ApiRequest,
    PassThrough,
    error_answer,
)
from tetrarch.validator_api.routes import PROXIED_SIZE_MAX, ROUTES, Route

LINE_SIZE_MAX = 64 * 1024  # validators by GET: 64 keys and more in the query
SHUTDOWN_TIMEOUT_S = 1  # open event streams never end by themselves
CLIENT_GONE = 499  # no status of HTTP: what nginx logs
OPEN_MEND = "set validator_api.token_file, or listen on 127.0.0.1 only"
EVENT_STREAM_PATH = "/eth/v1/events"

# Called after each answer: route (template, "proxy" or "events"), status, seconds, User-Agent
# and the type of the request's body, "" without one.
Answered: TypeAlias = Callable[[str, int, float, str, str], None]


def _ignore(route: str, status: int, duration_s: float, user_agent: str, content_type: str) -> None:
    del route, status, duration_s, user_agent, content_type


class ValidatorApiServer:
    """Serves ``api``. What stops the node stops it from inside a request too."""

    def __init__(
        self,
        api: ValidatorApi,
        *,
        host: str,
        port: int,
        log: Log,
        access: Access | None = None,
        answered: Answered = _ignore,
    ) -> None:
        """``access``: what is asked of clients, by default nothing."""
        self.bound_port = port  # the real one once listening, where ``port`` is 0
        self.listening = asyncio.Event()
        self._api = api
        self._host = host
        self._port = port
        self._log = log
        self._access = access or Access()
        self._answered = answered
        self._broken: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ListenFailed: the address cannot be bound.
            InvariantBroken: a request met one.
            OperatorError: a request met what a person must mend: the disk, a corrupt row.
        """
        self._broken = asyncio.get_running_loop().create_future()
        app = web.Application(client_max_size=0)  # bodies are read by ``_read_body``
        for route in ROUTES:
            app.router.add_route(route.method, route.path, self._endpoint(route))
        app.router.add_route("*", r"/{path:[\s\S]*}", self._endpoint(None))
        runner = web.AppRunner(
            app,
            access_log=None,
            max_line_size=LINE_SIZE_MAX,
            max_field_size=LINE_SIZE_MAX,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, ssl_context=self._access.tls)
            try:
                await site.start()
            except OSError as error:
                raise ListenFailed(
                    "open validator API listener",
                    address=f"{self._host}:{self._port}",
                    reason=error.strerror,
                ) from error
            self.bound_port = runner.addresses[0][1]
            self._tell()
            self.listening.set()
            await self._broken
        finally:
            await runner.cleanup()

    def _tell(self) -> None:
        has_token, has_tls = self._access.token is not None, self._access.tls is not None
        address = f"{self._host}:{self.bound_port}"
        asked = "token" if has_token else "none"
        self._log.info(
            "validator_api_listening", address=address, authentication=asked, tls=has_tls
        )
        if not has_token and not _is_loopback(self._host):
            self._log.warning("validator_api_open_to_network", address=address, mend=OPEN_MEND)

    def _endpoint(
        self, route: Route | None
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        name = "proxy" if route is None else route.path

        async def serve(request: web.Request) -> web.StreamResponse:
            loop = asyncio.get_running_loop()
            started_s = loop.time()
            response = await self._serve(route, request)
            user_agent = request.headers.get("User-Agent", "")[:128]
            called = "events" if request.path == EVENT_STREAM_PATH else name
            body_type = request.content_type if request.body_exists else ""
            duration_s = loop.time() - started_s
            self._answered(called, response.status, duration_s, user_agent, body_type)
            return response

        return serve

    async def _serve(self, route: Route | None, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(route, request)
        except ApiError as error:
            failure = error
        except BeaconNodeRefused as error:
            failure = ApiError(error.status, f"beacon node: {error.message}")
        except BeaconNodeUnreachable as error:
            failure = ApiError(503, str(error))
        except BeaconNodeAnswerInvalid as error:
            failure = ApiError(502, str(error))
        except OperatorError as error:
            self._end(error)
            failure = ApiError(500, str(error))
        except TetrarchError as error:
            self._log.error(
                "validator_api_failed", path=request.path, reason=str(error), code=error.code
            )
            failure = ApiError(500, str(error))
        except InvariantBroken as broken:
            self._end(broken)
            failure = ApiError(500, "the node stops: an invariant is broken")
        except ConnectionError:  # the client went away: nobody reads this
            failure = ApiError(CLIENT_GONE, "the client closed the connection")
        except Exception as error:  # noqa: BLE001 - the API's boundary
            self._log.error("validator_api_crashed", path=request.path, exc_info=error)
            failure = ApiError(500, "internal error, see the node's log")
        if failure.status < 500:
            self._log.debug("validator_api_refused", path=request.path, reason=failure.message)
        return _response(error_answer(failure))

    def _end(self, error: BaseException) -> None:
        """Have ``run`` raise ``error``: the node must stop."""
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def _answer(self, route: Route | None, request: web.Request) -> web.StreamResponse:
        if not self._access.admits(request.headers.get("Authorization", "")):
            raise ApiError(401, "a bearer token is needed: the one in validator_api.token_file")
        size_max = PROXIED_SIZE_MAX if route is None else route.body_max
        try:
            async with asyncio.timeout(self._api.limits.request_s):
                body = await _read_body(request, size_max)
        except TimeoutError:
            raise ApiError(408, "the request's body has not come in time") from None
        if route is not None:
            api_request = ApiRequest(
                method=request.method,
                target=request.raw_path,
                parameters=dict(request.match_info),
                query=tuple(request.query.items()),
                headers=request.headers,
                body=body,
            )
            refuse_while_held(route, self._api.ports)
            answer = await route.handler(self._api, api_request)
            if not isinstance(answer, PassThrough):
                return _response(answer)
        return await self._hand_on(request, body)

    async def _hand_on(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Stream the beacon node's answer. Headers must come within the request's time."""
        proxied = ProxyRequest(
            method=request.method, path=request.raw_path, headers=request.headers, body=body
        )
        context = self._api.ports.beacon_node.proxy(proxied)
        async with context as answer:
            response = web.StreamResponse(status=answer.status, headers=answer.headers)
            if request.path == EVENT_STREAM_PATH:
                response.headers["Cache-Control"] = "no-store"
            await response.prepare(request)
            try:
                async for chunk in answer.chunks():
                    await response.write(chunk)
                await response.write_eof()
            except BeaconNodeUnreachable as error:
                # Too late for an error body: cut the connection, so that nobody takes what came
                # for the whole answer.
                self._log.debug("proxied_answer_cut", path=request.path, reason=str(error))
                if request.transport is not None:
                    request.transport.abort()
            except ConnectionError:
                self._log.debug("validator_client_gone", path=request.path)
            return response


async def _read_body(request: web.Request, size_max: int) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413, it is longer than ``size_max``.
    """
    if (request.content_length or 0) > size_max:
        raise ApiError(413, f"the body is longer than {size_max} bytes")
    parts: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > size_max:
            raise ApiError(413, f"the body is longer than {size_max} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _response(answer: ApiAnswer) -> web.Response:
    headers = dict(answer.headers)
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if answer.content_type is not None:
        headers["Content-Type"] = answer.content_type
    return web.Response(status=answer.status, headers=headers, body=answer.body)
