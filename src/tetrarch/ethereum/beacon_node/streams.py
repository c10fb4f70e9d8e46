"""Answers that are not read as a whole: server-sent events, and the pass-through."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.beacon_node.http import Call, Exchange, reading
from tetrarch.ethereum.beacon_node.ports import BeaconEvent, ProxyRequest
from tetrarch.ethereum.beacon_node.sse import EventParser

EVENTS_PATH = "/eth/v1/events"
CHUNK_SIZE_BYTES = 64 * 1024
# RFC 9110 section 7.6.1, and what belongs to one connection or is set anew.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
        "authorization",  # ours is for the client, the beacon node's is for it
        "cookie",
        "set-cookie",
    }
)


def end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may be handed on."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    drop = HOP_BY_HOP | named
    return {name: value for name, value in headers.items() if name.lower() not in drop}


async def events(exchange: Exchange, topics: tuple[str, ...]) -> AsyncGenerator[BeaconEvent, None]:
    """Events until the node ends the stream.

    An idle stream has no time limit here: it lasts as long as slots are empty. The caller, who
    knows the slot time, wraps the wait.
    """
    call = Call(
        method="GET",
        path=EVENTS_PATH + "?" + "&".join(f"topics={topic}" for topic in topics),
        timeout_s=0,
        headers={"Accept": "text/event-stream"},
    )
    parser = EventParser()
    async with exchange.open(call, idle_s=None) as response:
        if response.status != 200:
            raise BeaconNodeRefused(
                "open event stream", status=response.status, message=response.reason or ""
            )
        with exchange.failures(EVENTS_PATH):
            async for chunk in response.content.iter_any():
                with reading(EVENTS_PATH):
                    raw_events = parser.feed(chunk)
                for raw in raw_events:
                    yield _decode(raw.name, raw.data)


def _decode(topic: str, data: str) -> BeaconEvent:
    try:
        value = msgspec.json.decode(data)
    except UNDECODABLE:
        value = None
    if not isinstance(value, dict):
        raise BeaconNodeAnswerInvalid(
            "read beacon node's event", path=EVENTS_PATH, topic=topic[:32], reason="no JSON object"
        )
    return BeaconEvent(topic=topic, data=value)


class StreamedAnswer:
    """A ``ProxyResponse`` over an open HTTP response."""

    def __init__(self, exchange: Exchange, path: str, response: aiohttp.ClientResponse) -> None:
        self._exchange = exchange
        self._path = path
        self._response = response

    @property
    def status(self) -> int:
        """HTTP status code."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """End-to-end headers."""
        return end_to_end(self._response.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, still compressed if the node compressed it."""
        with self._exchange.failures(self._path):
            async for chunk in self._response.content.iter_chunked(CHUNK_SIZE_BYTES):
                yield chunk


@asynccontextmanager
async def proxy(exchange: Exchange, request: ProxyRequest) -> AsyncIterator[StreamedAnswer]:
    """Hand ``request`` on. Event streams may be silent for ever, other answers may not.

    Raises:
        InputInvalid: the path is not one.
    """
    if not request.path.startswith("/") or "\\" in request.path:
        raise InputInvalid("hand request on", field="path")
    is_stream = request.path.partition("?")[0] == EVENTS_PATH
    call = Call(
        method=request.method,
        path=request.path,
        timeout_s=0,
        headers=end_to_end(request.headers),
        body=request.body or None,
    )
    idle_s = None if is_stream else exchange.timeouts.proxy_idle_s
    async with exchange.open(call, idle_s=idle_s) as response:
        yield StreamedAnswer(exchange, request.path, response)
