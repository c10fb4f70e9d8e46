"""The accepting side of the overlay: anybody may knock, a bounded number at a time."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import grpc
import grpc.aio

from tetrarch.errors import ListenFailed, PeerFault
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.callers import Callers
from tetrarch.network.overlay.dialling import TALK_PATH
from tetrarch.network.overlay.identity import OverlayIdentity
from tetrarch.network.overlay.links import SHUT_OUT_REASONS, LinkedAlready, Links
from tetrarch.network.overlay.meeting import Introduction, Met, meet_as_listener
from tetrarch.network.overlay.messages import RECEIVED_MAX_BYTES
from tetrarch.network.overlay.profile import NodeId
from tetrarch.network.overlay.settings import OverlaySettings
from tetrarch.network.streams import LISTENER_OPTIONS, AcceptedStream
from tetrarch.observability.logs import Log

STOP_GRACE_S = 0.5
# What one connection may cost.
OPTIONS = (
    *(option for option in LISTENER_OPTIONS if option[0] != "grpc.max_concurrent_streams"),
    # A node of the reference has three subscriptions and some questions at once on its connection.
    ("grpc.max_concurrent_streams", 16),
    ("grpc.max_receive_message_length", RECEIVED_MAX_BYTES),
    ("grpc.max_connection_idle_ms", 10_000),  # since its last stream, or since it began
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
OtherCalls: TypeAlias = Callable[[str], grpc.RpcMethodHandler | None]


class OverlayListener:
    """One gRPC server on all addresses that the operator named."""

    def __init__(
        self,
        settings: OverlaySettings,
        identity: OverlayIdentity,
        introduction: Introduction,
        *,
        links: Links,
        met: Callable[[Met], None],
        other_calls: Callable[[Callers, Spawn], OtherCalls],
        log: Log,
    ) -> None:
        """``other_calls`` makes the handlers of what is not our own service."""
        self._settings = settings
        self._identity = identity
        self._introduction = introduction
        self._links = links
        self._met = met
        self._other_calls = other_calls
        self._log = log
        self._callers = Callers(settings.doors, log, proxies=settings.proxies)
        self._server: grpc.aio.Server | None = None
        self.addresses: tuple[Address, ...] = settings.listen

    async def start(self, spawn: Spawn) -> None:
        """Open the listener. ``spawn`` starts a task of the node.

        Raises:
            ListenFailed: an address cannot be bound.
        """
        self._spawn = spawn
        server = grpc.aio.server(options=OPTIONS)
        others = self._other_calls(self._callers, spawn)
        server.add_generic_rpc_handlers((_Router(self._accept, others),))
        identity = self._identity
        credentials = grpc.ssl_server_credentials(
            [(identity.private_key_pem, identity.certificate_pem)]
        )
        bound: list[Address] = []
        for address in self._settings.listen:
            _try_bind(address)
            try:
                if self._settings.secured:
                    port = server.add_secure_port(str(address), credentials)
                else:
                    port = server.add_insecure_port(str(address))
            except RuntimeError as error:  # taken since we tried
                raise ListenFailed(
                    "open overlay listener", address=str(address), reason="bind"
                ) from error
            bound.append(Address(address.ip, int(port)))
        await server.start()
        self._server = server
        self.addresses = tuple(bound)
        spawn(self._callers.watch({address.port for address in bound}), "overlay_callers")
        self._log.info("overlay_listening", addresses=", ".join(map(str, bound)))

    async def stop(self) -> None:
        """Stop accepting; open streams are cut."""
        if self._server is not None:
            await self._server.stop(STOP_GRACE_S)

    async def _accept(self, _requests: object, context: grpc.aio.ServicerContext) -> None:
        async with self._callers.received(context) as caller:
            stream = AcceptedStream(context)
            try:
                theirs = await meet_as_listener(stream, self._introduction, observed=caller.text)
                self._callers.prove(caller)
                node = NodeId(theirs.node)
                self._met(
                    Met(
                        node=node,
                        is_extended=True,
                        address=caller.address,
                        observed=theirs.observed,
                    )
                )
                await self._host(node, stream)
            except (LinkedAlready, StreamBroken) as broken:
                self._log.debug("overlay_link_ended", address=caller.text, reason=str(broken))
                if broken.fields.get("reason") in SHUT_OUT_REASONS:
                    self._callers.hold(caller)
            except PeerFault as fault:
                self._callers.hold(caller)
                await self._callers.refuse(caller, str(fault))
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, fault.code)

    async def _host(self, node: NodeId, stream: AcceptedStream) -> None:
        """Serve in a task of the node, so that a broken invariant stops it, not a call."""
        ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            outcome: Exception | None = None
            try:
                await self._links.serve(node, stream, dialled=False)
            except (StreamBroken, PeerFault) as error:
                outcome = error
            finally:
                if not ended.done():
                    ended.set_result(outcome)

        task = self._spawn(serve(), "overlay_link")
        try:
            outcome = await ended
        except asyncio.CancelledError:  # the caller hung up, or gRPC stops
            task.cancel()
            raise
        if outcome is not None:
            raise outcome


class _Router(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio has no types
    """Knows our own method and ``others``; gRPC answers UNIMPLEMENTED to the rest."""

    def __init__(
        self, accept: Callable[..., Coroutine[Any, Any, None]], others: OtherCalls
    ) -> None:
        self._handler = grpc.stream_stream_rpc_method_handler(accept)
        self._others = others

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method == TALK_PATH:
            return self._handler
        return self._others(str(details.method))


def _try_bind(address: Address) -> None:
    """Bind and let go again, for the system's own words: gRPC's error names no reason."""
    family = socket.AF_INET6 if address.ip.version == 6 else socket.AF_INET
    try:
        socket.create_server((str(address.ip), address.port), family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ListenFailed("open overlay listener", address=str(address), reason=reason) from error
