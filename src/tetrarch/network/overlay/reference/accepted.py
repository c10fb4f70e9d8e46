"""Links that nodes of the reference made with us: their handshakes, subscriptions and what they bring.

A connection is told by the caller's address and port. Its first subscription makes the link; when any of
the three ends, the link does. We cannot ask a dialer for blocks, so along its block subscription goes
what we want of it, and it calls ``PushHeaders`` and ``UploadBlocks``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tetrarch.errors import PeerFault
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.callers import Caller, Callers
from tetrarch.network.overlay.links import SHUT_OUT_REASONS
from tetrarch.network.overlay.meeting import Met
from tetrarch.network.overlay.messages import CONTENT_MAX_BYTES, PULLED_MAX, OverlayMessageInvalid
from tetrarch.network.overlay.profile import BLOCKS, NodeId
from tetrarch.network.overlay.reference.carrier import Fetch, Pull, ReferenceCarrier
from tetrarch.network.overlay.reference.handshakes import (
    NONCE_SIZE_BYTES,
    VERSION,
    Handshakes,
    check_nonce,
    check_proof,
)
from tetrarch.network.overlay.reference.subscriptions import (
    read_all,
    read_fragments,
    read_gossip,
    write_fragments,
    write_gossip,
)
from tetrarch.network.overlay.reference.wire import decode
from tetrarch.network.overlay.wires import Wires
from tetrarch.network.proto import node_pb2, types_pb2
from tetrarch.network.streams import AcceptedStream
from tetrarch.supervision import cause_of_end

SOLICITED_MAX = 32  # ids of one wish, as the reference does
FRAGMENT, BLOCK, GOSSIP = "fragment", "block", "gossip"

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class HandshakeMissing(PeerFault):
    """A caller subscribes before it showed who it is, or twice."""

    code = "overlay_handshake_missing"


@dataclass(slots=True)
class _Session:
    caller: Caller
    carrier: ReferenceCarrier
    subscribed: set[str] = field(default_factory=set)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)  # gRPC takes one write at a time


class AcceptedReferences:
    """All of them. ``met`` raises a PeerFault for a node that we do not talk with."""

    def __init__(
        self,
        wires: Wires,
        *,
        met: Callable[[Met], None],
        at_fault: Callable[[NodeId, PeerFault], None],
        callers: Callers,
        spawn: Spawn,
    ) -> None:
        self._wires = wires
        self._own = wires.introduction
        self._chain = wires.chain
        self._met = met
        self._at_fault = at_fault
        self._callers = callers
        self._spawn = spawn
        self._handshakes = Handshakes()
        self._sessions: dict[str, _Session] = {}

    # -- who it is ----------------------------------------------------------------------------------

    def handshake(self, caller: str, request: bytes) -> bytes:
        """Show who we are, and give what the caller is to sign.

        Raises:
            GreetingInvalid: its nonce is none.
        """
        nonce = check_nonce(decode(node_pb2.HandshakeRequest, request).nonce)
        own = self._own
        asked = own.entropy(NONCE_SIZE_BYTES)
        self._handshakes.begin(caller, asked)
        return node_pb2.HandshakeResponse(
            version=VERSION,
            block0=own.block0,
            node_id=own.node,
            signature=own.sign(nonce),
            nonce=asked,
        ).SerializeToString()

    def authenticate(self, caller: str, request: bytes) -> bytes:
        """See who the caller is.

        Raises:
            HandshakeMissing: there is no nonce that it could have signed.
            GreetingInvalid: it did not sign it. What ``met`` raises.
        """
        said = decode(node_pb2.ClientAuthRequest, request)
        nonce = self._handshakes.take_nonce(caller)
        if nonce is None:
            raise HandshakeMissing("authenticate", reason="nonce missing, perform handshake first")
        node = check_proof(said.node_id, said.signature, nonce)
        self._met(Met(node=node, is_extended=False, address=None))
        self._handshakes.proven(caller, node)
        return node_pb2.ClientAuthResponse().SerializeToString()

    # -- subscriptions ------------------------------------------------------------------------------

    async def blocks(self, caller: Caller, stream: AcceptedStream) -> None:
        """Headers come; headers and wishes go."""
        session = self._enter(caller, BLOCK)
        carrier = session.carrier

        async def hear(data: bytes) -> None:
            carrier.hear_header(decode(types_pb2.Header, data).content)

        await self._carry(
            session,
            read_all(stream, hear),
            self._write_headers(stream, session),
            self._write_wishes(stream, session),
        )

    async def fragments(self, caller: Caller, stream: AcceptedStream) -> None:
        """Fragments both ways."""
        session = self._enter(caller, FRAGMENT)
        await self._carry(
            session,
            read_fragments(stream, session.carrier),
            write_fragments(stream, session.carrier, self._chain),
        )

    async def gossip(self, caller: Caller, stream: AcceptedStream) -> None:
        """Profiles both ways."""
        session = self._enter(caller, GOSSIP)
        await self._carry(
            session,
            read_gossip(stream, session.carrier),
            write_gossip(stream, session.carrier),
        )

    def _enter(self, caller: Caller, subscription: str) -> _Session:
        connection = caller.origin.connection
        node = self._handshakes.node(connection)
        if node is None:
            raise HandshakeMissing("subscribe", reason="handshake not performed")
        session = self._sessions.get(connection)
        if session is None:
            session = self._begin(caller, node)
        if subscription in session.subscribed:
            raise HandshakeMissing("subscribe", reason="subscribed already")
        session.subscribed.add(subscription)
        return session

    def _begin(self, caller: Caller, node: NodeId) -> _Session:
        self._met(
            Met(node=node, is_extended=False, address=None)
        )  # it may have been put aside since
        self._callers.enter(caller)
        self._callers.prove(caller)
        carrier = self._wires.reference_carrier(node)
        session = self._sessions[caller.origin.connection] = _Session(caller, carrier)
        self._spawn(self._host(session), "overlay_link")
        return session

    async def _host(self, session: _Session) -> None:
        """Serve in a task of the node, so that a broken invariant stops it, not a call."""
        carrier = session.carrier
        try:
            await self._wires.links.carry(carrier.node, carrier, dialled=False)
        except StreamBroken as broken:
            carrier.close(broken)
            if broken.fields.get("reason") in SHUT_OUT_REASONS:
                self._callers.hold(session.caller)
        except PeerFault as fault:
            self._callers.hold(session.caller)
            self._at_fault(carrier.node, fault)
        finally:
            carrier.close(StreamBroken("use stream", reason="closed"))
            self._sessions.pop(session.caller.origin.connection, None)
            self._handshakes.forget(session.caller.origin.connection)
            self._callers.leave(session.caller)

    @staticmethod
    async def _carry(session: _Session, *work: Coroutine[Any, Any, None]) -> None:
        """Until this or any other subscription ends; then all do."""
        carrier = session.carrier
        try:
            async with asyncio.TaskGroup() as tasks:
                for each in work:
                    tasks.create_task(each, name="reference_subscription")
                await carrier.run()
        except BaseExceptionGroup as group:
            cause = cause_of_end(group)
            if isinstance(cause, StreamBroken | PeerFault):
                carrier.close(cause)
            raise cause from None
        finally:
            carrier.close(StreamBroken("use stream", reason="closed_by_peer"))

    async def _write_headers(self, stream: AcceptedStream, session: _Session) -> None:
        while True:
            item = await session.carrier.headers.next()
            async for header in self._chain.headers((item,)):
                announced = types_pb2.Header(content=header)
                async with session.writing:
                    event = node_pb2.BlockEvent(announce=announced)
                    await stream.write(event.SerializeToString())

    @staticmethod
    async def _write_wishes(stream: AcceptedStream, session: _Session) -> None:
        carrier = session.carrier
        while True:
            event = node_pb2.BlockEvent()
            match await carrier.wishes.next():
                case Fetch(items):
                    wanted = types_pb2.BlockIds(ids=items)
                    event = node_pb2.BlockEvent(solicit=wanted)
                case Pull(checkpoints):
                    if carrier.last is None:
                        continue  # it announced nothing: there is nothing to go to
                    missing = node_pb2.PullHeadersRequest(to=carrier.last.block)
                    getattr(missing, "from").extend(checkpoints)  # a word of Python
                    event = node_pb2.BlockEvent(missing=missing)
            async with session.writing:
                await stream.write(event.SerializeToString())

    # -- what it was asked for ------------------------------------------------------------------------

    async def push_headers(self, caller: str, requests: AsyncIterator[bytes]) -> bytes:
        """A part of its chain: blocks of it that are not here are asked for, from the first on.

        Raises:
            HandshakeMissing: it has no link with us. OverlayMessageInvalid: it is no part of a chain.
        """
        carrier = self._carrier(caller)
        headers: list[bytes] = []
        async for data in requests:
            headers.append(decode(types_pb2.Header, data).content)
            if len(headers) >= PULLED_MAX:
                break
        items = carrier.read_headers(headers)
        lacking = [item for item in items if not self._chain.has(BLOCKS, item)]
        for start in range(0, len(lacking), SOLICITED_MAX):
            carrier.wishes.put(Fetch(tuple(lacking[start : start + SOLICITED_MAX])))
        return node_pb2.PushHeadersResponse().SerializeToString()

    async def upload_blocks(self, caller: str, requests: AsyncIterator[bytes]) -> bytes:
        """Blocks that it was asked for; then we look whether its chain goes on.

        Raises:
            HandshakeMissing: it has no link with us. OverlayMessageInvalid: more than was asked for.
        """
        carrier = self._carrier(caller)
        count = size_bytes = 0
        async for data in requests:
            content = decode(types_pb2.Block, data).content
            count, size_bytes = count + 1, size_bytes + len(content)
            if count > PULLED_MAX:
                raise OverlayMessageInvalid("take blocks", blocks=count, maximum=PULLED_MAX)
            carrier.hear_block(content)
            if size_bytes >= CONTENT_MAX_BYTES:
                break
        carrier.hear_last()
        return node_pb2.UploadBlocksResponse().SerializeToString()

    def _carrier(self, caller: str) -> ReferenceCarrier:
        session = self._sessions.get(caller)
        if session is None:
            raise HandshakeMissing("take blocks", reason="handshake not performed")
        return session.carrier
