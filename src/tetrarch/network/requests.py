"""Questions to the other nodes and their answers, over the bus's one-way messages.

A question may go unanswered: the peer is away, knows nothing, or something was lost. Who asks
says how long to wait, and what silence means. Bytes on the wire, integers big-endian:

======== ===========================================================================
topic    payload
======== ===========================================================================
REQUESTS subject u8, number u64, body
ANSWERS  subject u8, number u64, known u8 (0: nothing to say, 1: the rest is it), body
======== ===========================================================================
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from tetrarch.entropy import Entropy
from tetrarch.errors import Transient, invariant
from tetrarch.network.ports import MessageBus, Topic
from tetrarch.observability.logs import Log

BODY_SIZE_BYTES_MAX = 1 << 20
WAITING_MAX = 256  # our questions under way
# What one peer may ask: so many at once, so many a second after that.
BURST_MAX = 64
PER_SECOND = 8.0

_REQUEST = struct.Struct(">BQ")
_ANSWER = struct.Struct(">BQB")
_NUMBER_SIZE_BYTES = 7  # the first of 2**56; there is room to count on


class Subject(IntEnum):
    """What a question is about. The number goes over the wire; never reuse one."""

    DUTY_STORY = 1
    HIGHEST_SIGNED = 2
    PRIORITY = 3
    PEER_INFO = 4
    OWN_STATEMENTS = 5
    OVERLAY_PROFILE = 6


class PeerSilent(Transient):
    """A peer did not answer in time, or has nothing to say."""

    code = "no_answer"


# Called with the asker's 0-based index and the body; None: nothing to say.
Answerer: TypeAlias = Callable[[int, bytes], Awaitable[bytes | None]]


@dataclass(slots=True)
class _Allowance:
    left: float
    at_s: float
    told: bool = False


class Requests:
    """Asks peers and answers them. Build it before the bus starts."""

    def __init__(self, bus: MessageBus, *, entropy: Entropy, log: Log) -> None:
        self._bus = bus
        self._log = log
        self._answerers: dict[int, Answerer] = {}
        self._waiting: dict[tuple[int, int, int], asyncio.Future[bytes | None]] = {}
        # Not from 0: an answer to a question from before a restart must match none of ours.
        self._number = int.from_bytes(entropy(_NUMBER_SIZE_BYTES))
        self._allowances: dict[int, _Allowance] = {}
        bus.subscribe(Topic.REQUESTS, self._on_request)
        bus.subscribe(Topic.ANSWERS, self._on_answer)

    def serve(self, subject: Subject, answerer: Answerer) -> None:
        """Answer questions about ``subject``, one at a time over all subjects.

        Like every handler of the bus it must not raise for what a peer asks.
        """
        invariant(subject not in self._answerers, "a subject has one answerer")
        self._answerers[subject] = answerer

    async def ask(self, peer: int, subject: Subject, body: bytes, *, timeout_s: float) -> bytes:
        """The answer of ``peer`` (0-based).

        Raises:
            PeerSilent: no answer within ``timeout_s``, or it has nothing to say.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise PeerSilent("ask peer", peer=peer, subject=subject.name, reason="too many asked")
        self._number += 1
        key = (peer, int(subject), self._number)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answer
        try:
            payload = _REQUEST.pack(subject, self._number) + body
            if not self._bus.send(peer, Topic.REQUESTS, payload):
                raise PeerSilent("ask peer", peer=peer, subject=subject.name, reason="away")
            async with asyncio.timeout(timeout_s):
                known = await answer
        except TimeoutError:
            reason = f"no answer within {timeout_s:g} s"
            raise PeerSilent("ask peer", peer=peer, subject=subject.name, reason=reason) from None
        finally:
            del self._waiting[key]
        if known is None:
            raise PeerSilent("ask peer", peer=peer, subject=subject.name, reason="nothing known")
        return known

    async def ask_all(self, subject: Subject, body: bytes, *, timeout_s: float) -> dict[int, bytes]:
        """The answers of all peers that gave one within ``timeout_s``, by peer."""
        answers = await asyncio.gather(
            *(self._ask_or_none(peer, subject, body, timeout_s) for peer in self._bus.peers)
        )
        return {
            peer: answer
            for peer, answer in zip(self._bus.peers, answers, strict=True)
            if answer is not None
        }

    async def _ask_or_none(
        self, peer: int, subject: Subject, body: bytes, timeout_s: float
    ) -> bytes | None:
        try:
            return await self.ask(peer, subject, body, timeout_s=timeout_s)
        except PeerSilent:
            return None

    async def _on_request(self, peer: int, payload: bytes) -> None:
        if not _REQUEST.size <= len(payload) <= _REQUEST.size + BODY_SIZE_BYTES_MAX:
            self._log.warning("request_refused", peer=peer, reason="size", size=len(payload))
            return
        subject, number = _REQUEST.unpack_from(payload)
        answerer = self._answerers.get(subject)
        if not self._allowed(peer):
            return
        known = None if answerer is None else await answerer(peer, payload[_REQUEST.size :])
        if known is not None and len(known) > BODY_SIZE_BYTES_MAX:
            self._log.warning("answer_too_large", peer=peer, subject=subject, size=len(known))
            known = None
        head = _ANSWER.pack(subject, number, known is not None)
        self._bus.send(peer, Topic.ANSWERS, head + (known or b""))

    def _allowed(self, peer: int) -> bool:
        """A bucket that refills: a flood of questions costs its sender answers, not us work."""
        now_s = asyncio.get_running_loop().time()
        allowance = self._allowances.setdefault(peer, _Allowance(BURST_MAX, now_s))
        grown = allowance.left + (now_s - allowance.at_s) * PER_SECOND
        allowance.left, allowance.at_s = min(float(BURST_MAX), grown), now_s
        if allowance.left >= BURST_MAX / 2:
            allowance.told = False
        if allowance.left >= 1:
            allowance.left -= 1
            return True
        if not allowance.told:
            allowance.told = True
            self._log.warning("requests_too_many", peer=peer, reason="it asks without end")
        return False

    async def _on_answer(self, peer: int, payload: bytes) -> None:
        if not _ANSWER.size <= len(payload) <= _ANSWER.size + BODY_SIZE_BYTES_MAX:
            self._log.warning("answer_refused", peer=peer, reason="size", size=len(payload))
            return
        subject, number, known = _ANSWER.unpack_from(payload)
        waiting = self._waiting.get((peer, subject, number))
        if waiting is not None and not waiting.done():
            waiting.set_result(payload[_ANSWER.size :] if known else None)
