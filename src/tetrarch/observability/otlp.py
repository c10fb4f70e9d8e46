"""Traces for OpenTelemetry: spans, and their export over OTLP/HTTP as JSON.

Written here rather than taken from the OpenTelemetry SDK: see ADR 16. Ending a span costs an append
to a bounded queue; a batch leaves every ``INTERVAL_S``, and what does not leave is dropped and
counted. Nothing ever waits for the receiver.

Source: OpenTelemetry protocol 1.x (opentelemetry-proto), JSON encoding: ids in hexadecimal,
64-bit integers as strings.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiohttp
import msgspec

from tetrarch.errors import ConfigInvalid
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

Attribute: TypeAlias = str | int | bool
QUEUE_MAX = 8192
BATCH_MAX = 512
INTERVAL_S = 2.0
TIMEOUT_S = 5.0
LAST_TIMEOUT_S = 1.0  # for what is left when the node stops
KIND_INTERNAL = 1
STATUS_ERROR = 2
PATH = "/v1/traces"

_FNV_OFFSET = 0x6C62272E07BB014262B821756295C58D
_FNV_PRIME = 0x0000000001000000000000000000013B


def fnv_128a(data: bytes) -> bytes:
    """The FNV-1a hash of 128 bits, big endian. Not for secrets: it only spreads ids."""
    value = _FNV_OFFSET
    for byte in data:
        value = ((value ^ byte) * _FNV_PRIME) % (1 << 128)
    return value.to_bytes(16, "big")


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened inside a span."""

    at_s: float
    name: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One piece of work. ``error``: why it failed, a code; None when it did not."""

    trace_id: bytes  # 16 bytes
    span_id: bytes  # 8 bytes
    parent_id: bytes | None
    name: str
    start_s: float  # wall clock, as ``end_s``
    end_s: float
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    error: str | None = None


def encode_spans(spans: Sequence[Span], resource: Mapping[str, Attribute]) -> bytes:
    """The body of an export request."""
    scope = {"scope": {"name": "tetrarch"}, "spans": [_span(span) for span in spans]}
    whole = {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}
    return msgspec.json.encode({"resourceSpans": [whole]})


def _span(span: Span) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "name": span.name,
        "kind": KIND_INTERNAL,
        "startTimeUnixNano": _nanoseconds(span.start_s),
        "endTimeUnixNano": _nanoseconds(span.end_s),
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "timeUnixNano": _nanoseconds(event.at_s),
                "name": event.name,
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
    }
    if span.parent_id is not None:
        told["parentSpanId"] = span.parent_id.hex()
    if span.error is not None:
        told["status"] = {"code": STATUS_ERROR, "message": span.error}
    return told


def _attributes(values: Mapping[str, Attribute]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Attribute) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": value}


def _nanoseconds(wall_s: float) -> str:
    return str(int(wall_s * 1_000_000) * 1_000)


class SpanExporter:
    """Sends spans to a collector. ``add`` never waits; ``run`` sends."""

    def __init__(
        self, endpoint: str, resource: Mapping[str, Attribute], *, metrics: Metrics, log: Log
    ) -> None:
        """``endpoint`` is the collector's base, as "http://127.0.0.1:4318".

        Raises:
            ConfigInvalid: it is no http(s) URL.
        """
        if not endpoint.startswith(("http://", "https://")):
            raise ConfigInvalid("read tracing.endpoint", expected="http(s)://host:port")
        self._url = endpoint.rstrip("/") + ("" if endpoint.rstrip("/").endswith(PATH) else PATH)
        self._resource = dict(resource)
        self._spans: deque[Span] = deque()
        self._counter = metrics.counter("trace_spans_total")
        self._log = log.bind(topic="tracing")
        self._failing = False
        self._before_last: Callable[[], None] = lambda: None

    def add(self, span: Span) -> None:
        """Queue ``span``; the oldest makes room."""
        self._spans.append(span)
        if len(self._spans) > QUEUE_MAX:
            self._spans.popleft()
            self._counter.labels("dropped").inc()

    def on_last(self, before_last: Callable[[], None]) -> None:
        """Call ``before_last`` when the node stops: it may add what is still open."""
        self._before_last = before_last

    async def run(self) -> None:
        """Send until cancelled, then once more what is left."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                while True:
                    await asyncio.sleep(INTERVAL_S)
                    await self._send_all(session)
            finally:
                self._before_last()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LAST_TIMEOUT_S):
                        await self._send_all(session)

    async def _send_all(self, session: aiohttp.ClientSession) -> None:
        while self._spans:
            count = min(len(self._spans), BATCH_MAX)
            batch = [self._spans.popleft() for _ in range(count)]
            body = await asyncio.to_thread(encode_spans, batch, self._resource)
            if not await self._send(session, body):
                self._counter.labels("dropped").inc(count)
                return
            self._counter.labels("sent").inc(count)

    async def _send(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        headers = {"Content-Type": "application/json"}
        try:
            async with session.post(self._url, data=body, headers=headers) as answer:
                reason = "" if answer.status < 300 else f"status {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = type(error).__name__
        if reason and not self._failing:
            self._log.warning(
                "traces_not_sent", reason=reason, mend="start the collector at tracing.endpoint"
            )
        elif self._failing and not reason:
            self._log.info("traces_sent_again")
        self._failing = bool(reason)
        return not reason
