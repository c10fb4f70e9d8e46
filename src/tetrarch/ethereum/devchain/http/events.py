"""Server-sent events."""

import asyncio
import json

from aiohttp import web

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.events import ChainEvent
from tetrarch.ethereum.devchain.http.answers import Face, query_items

QUEUE_MAX = 1024
TOPICS_MAX = 64
KEEP_ALIVE_S = 10.0


async def events(face: Face, request: web.Request) -> web.StreamResponse:
    """GET /eth/v1/events?topics=...: until the caller goes, or reads too slowly."""
    topics = set(query_items(request, "topics"))
    if not 0 < len(topics) <= TOPICS_MAX:
        raise InputInvalid("read query", field="topics", reason="missing or too many")
    queue: asyncio.Queue[ChainEvent] = asyncio.Queue(QUEUE_MAX)
    overflown = asyncio.Event()

    def listen(event: ChainEvent) -> None:
        if event.topic not in topics:
            return
        try:
            queue.put_nowait(event)
        except asyncio.QueueFull:
            overflown.set()

    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    )
    face.chain.listeners.append(listen)
    try:
        await response.prepare(request)
        await response.write(b":\n\n")
        while not overflown.is_set():
            await response.write(await _next(queue))
    except ConnectionError:
        pass  # the caller has gone
    finally:
        face.chain.listeners.remove(listen)
    return response


async def _next(queue: asyncio.Queue[ChainEvent]) -> bytes:
    try:
        async with asyncio.timeout(KEEP_ALIVE_S):
            event = await queue.get()
    except TimeoutError:
        return b":\n\n"
    data = json.dumps(dict(event.data), separators=(",", ":"))
    return f"event: {event.topic}\ndata: {data}\n\n".encode()
