"""The accepting side of the mesh: a TLS server that lets in pinned certificates only.

Two gates. TLS itself refuses whoever cannot prove one of the cluster's certificates (or a chain
to one); that happens inside gRPC, so such callers never reach Python, and only their own side
can count them. Then the leaf certificate must equal a pinned one byte for byte.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import grpc
import grpc.aio

from tetrarch.errors import ListenFailed, PeerFault
from tetrarch.network.certificates import CertificateUnusable, to_der, to_pem
from tetrarch.network.faults import (
    CertificateUnknown,
    DirectionWrong,
    HelloMissing,
    ProtocolVersionDiffers,
    StreamBroken,
)
from tetrarch.network.frames import Hello, encode_hello
from tetrarch.network.peer import FaultLog, Peer, check_hello
from tetrarch.network.streams import (
    HELLO_TIMEOUT_S,
    LISTENER_OPTIONS,
    PATH,
    AcceptedStream,
)
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

STOP_GRACE_S = 0.5

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Listener:
    """Accepts the streams of peers with a lower index and serves each in a task of the mesh."""

    def __init__(
        self,
        *,
        own: Hello,
        peers: Mapping[int, Peer],
        metrics: Metrics,
        log: Log,
        spawn: Spawn,
    ) -> None:
        self._own = own
        self._by_certificate = {p.identity.certificate_der: p for p in peers.values()}
        self._faults = metrics.counter("mesh_faults_total")
        self._fault_log = FaultLog(log)
        self._spawn = spawn
        self._server: grpc.aio.Server | None = None

    async def start(self, *, host: str, port: int, key_pem: bytes, certificate_pem: bytes) -> int:
        """Open the listener; returns its port.

        Raises:
            ListenFailed: the address cannot be bound.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        _try_bind(host, port, address)
        roots = b"".join(to_pem(der) for der in self._by_certificate)
        credentials = grpc.ssl_server_credentials(
            [(key_pem, certificate_pem)], root_certificates=roots, require_client_auth=True
        )
        server = grpc.aio.server(options=LISTENER_OPTIONS)
        server.add_generic_rpc_handlers((_Router(self._accept),))
        try:
            bound = server.add_secure_port(address, credentials)
        except RuntimeError as error:  # taken since we tried
            raise ListenFailed("open mesh listener", address=address, reason="bind") from error
        await server.start()
        self._server = server
        return int(bound)

    async def stop(self) -> None:
        """Stop accepting; open streams should have been closed before."""
        if self._server is not None:
            await self._server.stop(STOP_GRACE_S)

    async def _accept(self, _requests: object, context: grpc.aio.ServicerContext) -> None:
        stream = AcceptedStream(context)
        fault: PeerFault | None
        try:
            peer = self._identify(context)
        except PeerFault as stranger:
            self._faults.labels("unknown", stranger.code).inc()
            self._fault_log.note("caller_refused", stranger, address=context.peer())
            fault = stranger
        else:
            try:
                hello = await self._greet(peer, stream)
            except StreamBroken:
                return
            except PeerFault as impolite:
                peer.note_fault(impolite)
                fault = impolite
            else:
                fault = await self._host(peer, stream, hello)
        if fault is not None:
            # The code tells the other side's operator why.
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, fault.code)

    def _identify(self, context: grpc.aio.ServicerContext) -> Peer:
        proven = context.auth_context().get("x509_pem_cert", ())
        try:
            peer = self._by_certificate.get(to_der(proven[0])) if proven else None
        except CertificateUnusable:
            peer = None
        if peer is None:
            raise CertificateUnknown("identify caller")
        return peer

    async def _greet(self, peer: Peer, stream: AcceptedStream) -> Hello:
        if peer.identity.index > self._own.index:
            raise DirectionWrong("greet peer", rule="the lower index dials")
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                frame = await stream.read()
                try:
                    hello = check_hello(frame, own=self._own, index=peer.identity.index)
                except ProtocolVersionDiffers:  # the other side is to know why, too
                    await stream.write(encode_hello(self._own))
                    raise
                await stream.write(encode_hello(self._own))
        except TimeoutError:
            raise HelloMissing("greet peer", waited_s=HELLO_TIMEOUT_S) from None
        return hello

    async def _host(self, peer: Peer, stream: AcceptedStream, hello: Hello) -> PeerFault | None:
        """Serve in a task of the mesh, so that a broken invariant stops the node, not a call."""
        ended: asyncio.Future[PeerFault | None] = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            fault = None
            try:
                fault = await peer.serve(stream, hello)
            finally:
                if not ended.done():
                    ended.set_result(fault)

        task = self._spawn(serve(), f"peer-{peer.identity.index}")
        try:
            return await ended
        except asyncio.CancelledError:  # the caller hung up, or gRPC stops
            task.cancel()
            raise


class _Router(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio has no types
    """Knows one method; gRPC answers UNIMPLEMENTED to others."""

    def __init__(self, accept: Callable[..., Coroutine[Any, Any, None]]) -> None:
        self._handler = grpc.stream_stream_rpc_method_handler(accept)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handler if details.method == PATH else None


def _try_bind(host: str, port: int, address: str) -> None:
    """Bind and let go again, for the system's own words: gRPC's error names no reason."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ListenFailed("open mesh listener", address=address, reason=reason) from error
