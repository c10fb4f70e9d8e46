"""The reference's two services as gRPC calls: who may make them, how many at once, for how long, and errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import NoReturn, TypeVar

import grpc
import grpc.aio

from tetrarch.errors import PeerFault
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.callers import Caller, Callers
from tetrarch.network.overlay.doors import CallerRefused, DoorLimits, Doors, Refused
from tetrarch.network.overlay.greeting import GreetingInvalid
from tetrarch.network.overlay.messages import OverlayMessageInvalid
from tetrarch.network.overlay.pace import Pace
from tetrarch.network.overlay.reference.accepted import AcceptedReferences, HandshakeMissing
from tetrarch.network.overlay.reference.answers import Answer, Answers, NotHere
from tetrarch.network.overlay.reference.watching import ReaderLags, Watchers
from tetrarch.network.overlay.reference.wire import NODE
from tetrarch.network.streams import AcceptedStream

_T = TypeVar("_T")
ANSWER_TIMEOUT_S = 3600.0  # of a whole chain, as the reference does
# Questions need no handshake, so places for them are few. Readers of Watch stay; they have their own.
QUESTION_LIMITS = DoorLimits(
    callers_max=64,
    of_address_max=8,
    unproven_max=64,
    unproven_of_address_max=8,
    unproven_held_s=0.0,
)
# A question costs some 0.5 ms, so one address can have a hundredth of a processor for good.
QUESTIONS_PER_S = 25.0
QUESTIONS_AT_ONCE = 500.0
WATCH_LIMITS = replace(QUESTION_LIMITS, of_address_max=4, unproven_of_address_max=4)
_STATUS: tuple[tuple[type[PeerFault], grpc.StatusCode], ...] = (
    (OverlayMessageInvalid, grpc.StatusCode.INVALID_ARGUMENT),
    (GreetingInvalid, grpc.StatusCode.INVALID_ARGUMENT),
    (NotHere, grpc.StatusCode.NOT_FOUND),
    (ReaderLags, grpc.StatusCode.ABORTED),
    (CallerRefused, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (HandshakeMissing, grpc.StatusCode.FAILED_PRECONDITION),
)


class ReferenceCalls:
    """Gives gRPC a handler for each method."""

    def __init__(
        self,
        accepted: AcceptedReferences,
        answers: Answers,
        watchers: Watchers,
        *,
        callers: Callers,
    ) -> None:
        self._callers = callers
        self._pace: Pace[str] = Pace(tokens_per_s=QUESTIONS_PER_S, tokens_max=QUESTIONS_AT_ONCE)
        questions, readers = Doors(QUESTION_LIMITS), Doors(WATCH_LIMITS)
        self._handlers: dict[str, grpc.RpcMethodHandler] = {
            f"{NODE}Handshake": self._unary(accepted.handshake, questions),
            f"{NODE}ClientAuth": self._unary(accepted.authenticate, questions),
            f"{NODE}BlockSubscription": self._subscription(accepted.blocks),
            f"{NODE}FragmentSubscription": self._subscription(accepted.fragments),
            f"{NODE}GossipSubscription": self._subscription(accepted.gossip),
            f"{NODE}PushHeaders": self._upload(accepted.push_headers, questions),
            f"{NODE}UploadBlocks": self._upload(accepted.upload_blocks, questions),
        }
        single = (f"{NODE}Tip", f"{NODE}Peers")
        for path, answer in answers.methods().items():
            make = self._single if path in single else self._stream
            self._handlers[path] = make(answer, questions)
        for path, answer in watchers.methods().items():
            self._handlers[path] = self._stream(answer, readers)

    def handler(self, path: str) -> grpc.RpcMethodHandler | None:
        """Of one method; None: there is no such."""
        return self._handlers.get(path)

    # -- the four kinds of calls ----------------------------------------------------------------------

    def _unary(self, answer: Callable[[str, bytes], bytes], doors: Doors) -> grpc.RpcMethodHandler:
        async def handle(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            async def work(caller: Caller) -> bytes:
                return answer(caller.origin.connection, request)

            return await self._guarded(context, doors, work)

        return grpc.unary_unary_rpc_method_handler(handle)

    def _single(self, answer: Answer, doors: Doors) -> grpc.RpcMethodHandler:
        async def handle(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            async def work(_: Caller) -> bytes:
                return await anext(answer(request))

            return await self._guarded(context, doors, work)

        return grpc.unary_unary_rpc_method_handler(handle)

    def _stream(self, answer: Answer, doors: Doors) -> grpc.RpcMethodHandler:
        async def handle(request: bytes, context: grpc.aio.ServicerContext) -> None:
            async def work(_: Caller) -> None:
                stream = AcceptedStream(context)
                async with aclosing(answer(request)) as answers:
                    async for each in answers:
                        await stream.write(each)

            await self._guarded(context, doors, work)

        return grpc.unary_stream_rpc_method_handler(handle)

    def _upload(
        self, take: Callable[[str, AsyncIterator[bytes]], Awaitable[bytes]], doors: Doors
    ) -> grpc.RpcMethodHandler:
        async def handle(
            requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext
        ) -> bytes:
            return await self._guarded(
                context, doors, lambda caller: take(caller.origin.connection, requests)
            )

        return grpc.stream_unary_rpc_method_handler(handle)

    def _subscription(
        self, serve: Callable[[Caller, AcceptedStream], Awaitable[None]]
    ) -> grpc.RpcMethodHandler:
        """Its places are those of links."""

        async def handle(_requests: object, context: grpc.aio.ServicerContext) -> None:
            caller = self._callers.identify(context)
            try:
                with self._callers.talking(caller):
                    await serve(caller, AcceptedStream(context))
            except StreamBroken:
                return
            except PeerFault as fault:
                await self._callers.refuse(caller, str(fault))
                await _abort(context, fault)

        return grpc.stream_stream_rpc_method_handler(handle)

    def _enter(self, caller: Caller, doors: Doors) -> None:
        """Give it a place. Raises CallerRefused: there is none, or its address asks too often."""
        now_s = caller.entered_s
        in_pace = self._pace.takes(caller.door, 1.0, now_s=now_s)
        refused = doors.enter(caller.door, now_s=now_s) if in_pace else Refused.TOO_OFTEN
        if refused is not None:
            raise CallerRefused("take call", reason=refused.value)

    async def _guarded(
        self,
        context: grpc.aio.ServicerContext,
        doors: Doors,
        work: Callable[[Caller], Awaitable[_T]],
    ) -> _T:
        caller = self._callers.identify(context)
        try:
            self._enter(caller, doors)
            try:
                with self._callers.talking(caller):
                    async with asyncio.timeout(ANSWER_TIMEOUT_S):
                        return await work(caller)
            finally:
                doors.leave(caller.door, proven=False, entered_s=caller.entered_s)
        except StreamBroken:
            await _end(context, grpc.StatusCode.CANCELLED, "closed by the caller")
        except TimeoutError:
            await _end(context, grpc.StatusCode.DEADLINE_EXCEEDED, "it took too long")
        except NotHere as fault:
            await _abort(context, fault)
        except PeerFault as fault:
            await self._callers.refuse(caller, str(fault))
            await _abort(context, fault)


async def _abort(context: grpc.aio.ServicerContext, fault: PeerFault) -> NoReturn:
    status = next(
        (status for kind, status in _STATUS if isinstance(fault, kind)),
        grpc.StatusCode.FAILED_PRECONDITION,
    )
    await _end(context, status, str(fault)[:256])


async def _end(
    context: grpc.aio.ServicerContext, status: grpc.StatusCode, details: str
) -> NoReturn:
    await context.abort(status, details)  # raises what gRPC alone understands
    raise AssertionError
