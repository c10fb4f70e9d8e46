"""A beacon node that answers rubbish, of every kind, and one that does so for a while only."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import aiohttp
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
JSON = "application/json"
GENESIS = {
    "genesis_time": "1700000000",
    "genesis_validators_root": "0x" + "11" * 32,
    "genesis_fork_version": "0x00000001",
}


async def _not_json(_: web.Request) -> web.StreamResponse:
    return web.Response(text='{"data": {"genesis', content_type=JSON)


async def _wrong_types(_: web.Request) -> web.StreamResponse:
    return web.json_response({"data": {name: [{}] for name in (*GENESIS, "SLOTS_PER_EPOCH")}})


async def _no_object(_: web.Request) -> web.StreamResponse:
    return web.json_response([None, 1e400, "data"])


async def _deep(_: web.Request) -> web.StreamResponse:
    return web.Response(text="[" * 100_000, content_type=JSON)


async def _absurd_numbers(request: web.Request) -> web.StreamResponse:
    if "genesis" in request.path:
        return web.json_response({"data": {**GENESIS, "genesis_time": "9" * 400}})
    spec = {"SLOTS_PER_EPOCH": "0", "SECONDS_PER_SLOT": "-1", "PRESET_BASE": "minimal"}
    return web.json_response({"data": spec})


async def _huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": JSON})
    await response.prepare(request)
    for _ in range(20):
        await response.write(b" " * 1_000_000)
    return response


async def _html(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html><body>It works!</body></html>", content_type="text/html")


async def _binary(_: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(range(256)) * 64, content_type="application/octet-stream")


async def _status_500(_: web.Request) -> web.StreamResponse:
    return web.json_response({"code": 500, "message": "line\nbreak \x1b[31m"}, status=500)


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(request.path)


async def _never(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def _hangs_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


KINDS: dict[str, Answer] = {
    "not_json": _not_json,
    "wrong_types": _wrong_types,
    "no_object": _no_object,
    "deep": _deep,
    "absurd_numbers": _absurd_numbers,
    "huge": _huge,
    "html": _html,
    "binary": _binary,
    "status_500": _status_500,
    "redirect": _redirect,
    "never": _never,
    "hangs_up": _hangs_up,
}


def _lie(kind: str, data: dict[str, Any], slots_per_epoch: int = 8) -> dict[str, Any]:
    """Attestation data that is well-formed and wrong."""
    epoch, root = int(data["slot"]) // slots_per_epoch, "0x" + "ab" * 32
    changes: dict[str, dict[str, Any]] = {
        "wrong_head": {"beacon_block_root": root},
        "future_slot": {"slot": str(int(data["slot"]) + 1)},
        "another_fork": {
            "beacon_block_root": root,
            "source": {"epoch": str(max(epoch - 1, 0)), "root": root},
            "target": {"epoch": str(epoch), "root": root},
        },
        "slashable_source": {"source": {"epoch": "0", "root": "0x" + "00" * 32}},
    }
    return {**data, **changes[kind]}


LIES = ("wrong_head", "future_slot", "another_fork", "slashable_source")


class RubbishNode:
    """Answers by ``kind``; while that is None, hands requests to the beacon node ``behind``.

    With one of ``LIES`` it does so, too, but for attestation data.
    """

    def __init__(self, kind: str | None, behind: str | None) -> None:
        self.kind = kind
        self.url = ""
        self._behind = behind
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        kind = self.kind
        if kind is not None and kind not in LIES:
            return await KINDS[kind](request)
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
        lies = kind in LIES and request.path.endswith("/attestation_data")
        if lies:
            headers["Accept"] = JSON
        async with self._session.request(
            request.method,
            f"{self._behind}{request.path_qs}",
            data=await request.read(),
            headers=headers,
        ) as got:
            if lies and kind is not None and got.status == 200:
                return web.json_response({"data": _lie(kind, (await got.json())["data"])})
            kept = ("Content-Type", "Eth-Consensus-Version", "Eth-Execution-Payload-Blinded")
            shown = {name: got.headers[name] for name in kept if name in got.headers}
            return web.Response(status=got.status, body=await got.read(), headers=shown)

    async def run(self, started: Future[int], stopped: asyncio.Event) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(auto_decompress=True) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            started.set_result(runner.addresses[0][1])
            await stopped.wait()
            await runner.cleanup()


@contextmanager
def running_rubbish(kind: str | None = None, *, behind: str | None = None) -> Iterator[RubbishNode]:
    """A node in a thread of its own; its ``kind`` may be changed while it runs."""
    node = RubbishNode(kind, behind)
    started: Future[int] = Future()
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(node.run(started, stopped)), daemon=True
    )
    thread.start()
    try:
        node.url = f"http://127.0.0.1:{started.result(10)}"
        yield node
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)
        loop.close()
