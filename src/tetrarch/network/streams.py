"""The two ends of a gRPC stream behind one face, and the channel options of both.

grpcio answers a dead stream in many ways (EOF, three families of exceptions, and a
CancelledError that nobody asked for); here all become ``StreamBroken``.
"""

import asyncio
from typing import Any, NoReturn

import grpc
import grpc.aio

from tetrarch.network.faults import StreamBroken
from tetrarch.network.frames import FRAME_SIZE_MAX

PATH = "/tetrarch.Mesh/Exchange"
HELLO_TIMEOUT_S = 5.0

# Compression is off by default, TCP_NODELAY on. Liveness is our own ping's business.
_COMMON_OPTIONS: tuple[tuple[str, Any], ...] = (
    # Above our own bound, so that a peer that breaks ours is seen and counted, not just cut off.
    ("grpc.max_receive_message_length", 2 * FRAME_SIZE_MAX),
    ("grpc.max_send_message_length", FRAME_SIZE_MAX),
    ("grpc.max_metadata_size", 8192),
    ("grpc.enable_retries", 0),  # a stream is not repeatable
)
LISTENER_OPTIONS = (
    *_COMMON_OPTIONS,
    ("grpc.so_reuseport", 0),  # else a second node on the port would go unnoticed
    ("grpc.max_concurrent_streams", 4),
    ("grpc.server_handshake_timeout_ms", 5000),
)
DIALER_OPTIONS = (
    *_COMMON_OPTIONS,
    ("grpc.use_local_subchannel_pool", 1),  # two nodes in one process share nothing
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
)


class DialledStream:
    """The dialling end."""

    def __init__(self, call: grpc.aio.StreamStreamCall) -> None:
        self._call: grpc.aio.StreamStreamCall | None = call

    async def read(self) -> bytes:
        """The next frame."""
        call = self._open_call()
        try:
            data = await call.read()
            if data is grpc.aio.EOF:
                await _fail(call)
        except asyncio.CancelledError:
            if _is_stray_cancellation():
                await _fail(call)  # which knows what the other side said
            raise
        except (grpc.RpcError, grpc.aio.BaseError) as error:
            await _fail(call, error)
        return bytes(data)

    async def write(self, frame: bytes) -> None:
        """Send ``frame``; returns when gRPC has taken it, which is how a slow peer is felt."""
        call = self._open_call()
        try:
            await call.write(frame)
        except asyncio.CancelledError:
            if _is_stray_cancellation():
                await _fail(call)  # which knows what the other side said
            raise
        except asyncio.InvalidStateError as error:  # what grpcio raises on a finished call
            await _fail(call, error)
        except (grpc.RpcError, grpc.aio.BaseError) as error:
            await _fail(call, error)

    def close(self) -> None:
        """End the stream at once.

        The call is let go: its connection is open for as long as anything refers to it, such as the
        traceback of the error that ended the stream.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _open_call(self) -> grpc.aio.StreamStreamCall:
        if self._call is None:
            raise StreamBroken("use stream", reason="closed")
        return self._call


async def _fail(call: grpc.aio.StreamStreamCall, error: BaseException | None = None) -> NoReturn:
    if not call.done():
        call.cancel()
    code, details = await call.code(), await call.details()
    raise StreamBroken("use stream", reason=_reason(code, details), details=details) from error


class AcceptedStream:
    """The accepting end. gRPC runs our handler in a task of its own, which must outlive us."""

    def __init__(self, context: grpc.aio.ServicerContext) -> None:
        self._context = context

    async def read(self) -> bytes:
        """The next frame."""
        try:
            data = await self._context.read()
        except asyncio.CancelledError:
            _refuse_stray_cancellation()
            raise
        except (grpc.RpcError, grpc.aio.BaseError) as error:
            raise StreamBroken("use stream", reason="closed_by_peer") from error
        if data is grpc.aio.EOF:
            raise StreamBroken("use stream", reason="closed_by_peer")
        return bytes(data)

    async def write(self, frame: bytes) -> None:
        """Send ``frame``; returns when gRPC has taken it."""
        try:
            await self._context.write(frame)
        except asyncio.CancelledError:
            _refuse_stray_cancellation()
            raise
        except (grpc.RpcError, grpc.aio.BaseError) as error:
            raise StreamBroken("use stream", reason="closed_by_peer") from error


def _is_stray_cancellation() -> bool:
    """Whether a CancelledError is of grpcio's own making: a failure that someone must see."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


def _refuse_stray_cancellation() -> None:
    if _is_stray_cancellation():
        raise StreamBroken("use stream", reason="cancelled")


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Why a single call failed: of a bounded set of words, also a metric label."""
    return _reason(error.code(), error.details())


def _reason(code: grpc.StatusCode, details: str | None) -> str:
    """A bounded set of words, also a metric label."""
    text = details or ""
    if "CERTIFICATE_VERIFY_FAILED" in text or "andshake" in text:
        return "certificate_refused"
    if code is grpc.StatusCode.OK:
        return "closed_by_peer"
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return "refused"
    if "onnect" in text and "refused" in text:
        return "connection_refused"
    return str(code.name).lower()
