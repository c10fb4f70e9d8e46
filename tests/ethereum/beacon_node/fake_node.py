"""A beacon node that answers from a table, on a real socket, and judges every request strictly."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tests.openapi import BeaconApi

JSON = "application/json"
SSZ = "application/octet-stream"


@dataclass(frozen=True)
class Reply:
    """One answer. ``value`` is sent as JSON, ``body`` as it is."""

    value: Any = None
    body: bytes | None = None
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0
    cut_after: int | None = None  # drop the connection after so many bytes


@dataclass(frozen=True)
class Stream:
    """Server-sent events, written chunk by chunk; ``hold`` keeps the connection open."""

    chunks: tuple[bytes, ...]
    hold: asyncio.Event | None = None
    last: bytes = b""


@dataclass(frozen=True)
class Seen:
    """One request that came."""

    method: str
    path: str
    query: dict[str, str]
    query_string: str
    headers: dict[str, str]
    body: bytes


def refusal(status: int, message: str = "refused") -> Reply:
    return Reply({"code": status, "message": message}, status=status)


class FakeBeaconNode:
    """``answers`` maps "GET /path" to a reply, or to a list of replies used one after another.

    Unknown endpoints get 404. Requests to endpoints of the beacon API must be as it says;
    what is not stands in ``violations``.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Reply | Stream | list[Reply]] = {}
        self.seen: list[Seen] = []
        self.violations: list[str] = []
        self.judges = True
        self.url = ""
        self._api = BeaconApi()

    def paths(self) -> list[str]:
        return [f"{seen.method} {seen.path}" for seen in self.seen]

    def last(self, path: str) -> Seen:
        return next(seen for seen in reversed(self.seen) if seen.path == path)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeBeaconNode"]:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, max_line_size=1 << 16)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()
        assert self.violations == []

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(
            Seen(
                request.method,
                request.path,
                dict(request.query),
                request.raw_path.partition("?")[2],
                dict(request.headers),
                body,
            )
        )
        self._judge(request, body)
        answer = self.answers.get(f"{request.method} {request.path}")
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Stream):
            return await self._stream(request, answer)
        return await self._reply(request, answer or refusal(404, "unknown endpoint"))

    def _judge(self, request: web.Request, body: bytes) -> None:
        if not self.judges or not self._api.knows(request.method, request.path):
            return
        if request.headers.get("Content-Type") == SSZ and not body:
            return
        try:
            self._api.check_request(
                request.method,
                request.path,
                headers=request.headers,
                body=body,
                query=request.query,
            )
        except (AssertionError, ValueError) as error:
            self.violations.append(str(error))

    async def _reply(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        body = reply.body
        if body is None:
            body = b"" if reply.value is None else json.dumps(reply.value).encode()
        headers = {"Content-Type": reply.content_type, **reply.headers}
        if reply.cut_after is None:
            return web.Response(status=reply.status, headers=headers, body=body)
        response = web.StreamResponse(status=reply.status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: reply.cut_after])
        assert request.transport is not None
        request.transport.close()
        return response

    async def _stream(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in stream.chunks:
            await response.write(chunk)
        if stream.hold is not None:
            await stream.hold.wait()
        await response.write(stream.last)
        return response


GENESIS_ROOT = "0x" + "44" * 32


def genesis(time_s: int = 1_000) -> Reply:
    return Reply(
        {
            "data": {
                "genesis_time": str(time_s),
                "genesis_validators_root": GENESIS_ROOT,
                "genesis_fork_version": "0x00000001",
            }
        }
    )


def config(**changes: object) -> Reply:
    """``config/spec`` of a minimal chain that is in Electra since epoch 2; None drops a name."""
    values: dict[str, object] = {
        "PRESET_BASE": "minimal",
        "SECONDS_PER_SLOT": "2",
        "SLOTS_PER_EPOCH": "8",
        "BLOB_SCHEDULE": [],
        "GENESIS_FORK_VERSION": "0x00000001",
        "ALTAIR_FORK_EPOCH": "0",
        "ALTAIR_FORK_VERSION": "0x01000001",
        "ELECTRA_FORK_EPOCH": "2",
        "ELECTRA_FORK_VERSION": "0x05000001",
        "FULU_FORK_EPOCH": str(2**64 - 1),
        "FULU_FORK_VERSION": "0x06000001",
        **changes,
    }
    return Reply({"data": {name: value for name, value in values.items() if value is not None}})
