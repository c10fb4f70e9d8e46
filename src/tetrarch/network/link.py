"""One open, introduced stream to one peer: a reader, a writer and a pinger. Knows no gRPC."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from tetrarch.clock import Clock
from tetrarch.network.clocks import OffsetWindow
from tetrarch.network.faults import FrameInvalid, PeerSilent, StreamBroken
from tetrarch.network.frames import (
    Batch,
    Hello,
    Ping,
    Pong,
    decode_frame,
    encode_ping,
    encode_pong,
)
from tetrarch.network.queues import Outbox
from tetrarch.supervision import cause_of_end

CHECK_INTERVAL_S = 2.0  # what was heard since the last check shows that the peer is alive
PING_INTERVAL_MAX_S = 10.0  # of a peer that is heard: clocks and round trips are wanted, too
UNANSWERED_PINGS_MAX = 3


class Stream(Protocol):
    """Either end of a gRPC stream. Both methods raise ``StreamBroken`` once it has ended."""

    async def read(self) -> bytes: ...  # noqa: D102
    async def write(self, frame: bytes) -> None: ...  # noqa: D102


class LinkMeters(Protocol):
    """What a link tells of itself."""

    def count_received_frame(self, size_bytes: int) -> None: ...  # noqa: D102
    def count_sent_frame(self, size_bytes: int) -> None: ...  # noqa: D102
    def count_received(self, topic: int) -> None: ...  # noqa: D102
    def count_sent(self, topic: int) -> None: ...  # noqa: D102
    def count_dropped(self, topic: int, reason: str) -> None: ...  # noqa: D102
    def show_outbox(self, messages: int) -> None: ...  # noqa: D102
    def show_pong(self, *, rtt_s: float, offset_s: float | None) -> None: ...  # noqa: D102


class Link:
    """Carries messages both ways until the stream ends, the peer errs or ``close`` is called."""

    def __init__(
        self,
        stream: Stream,
        *,
        meters: LinkMeters,
        window: OffsetWindow,
        clock: Clock,
        deliver: Callable[[int, bytes], None],
    ) -> None:
        self.outbox = Outbox(on_drop=meters.count_dropped)
        self._stream = stream
        self._meters = meters
        self._window = window
        self._clock = clock
        self._deliver = deliver  # topic, payload; must not block
        self._closed: asyncio.Future[StreamBroken] = asyncio.get_running_loop().create_future()
        self._ping_sequence = 0
        self._ping_sent_s = 0.0  # loop time
        self._ping_sent_wall_s = 0.0
        self._pings_unanswered = 0
        self._heard = False  # anything, since the last check

    def close(self, why: StreamBroken) -> None:
        """Make ``run`` end with ``why``; returns at once."""
        if not self._closed.done():
            self._closed.set_result(why)

    async def run(self) -> None:
        """Never returns.

        Raises:
            StreamBroken: the stream ended, or ``close`` was called.
            PeerFault: the peer broke the protocol; the caller closes the stream.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(), name="link-read")
                tasks.create_task(self._write(), name="link-write")
                tasks.create_task(self._ping(), name="link-ping")
                raise await self._closed
        except BaseExceptionGroup as group:
            raise cause_of_end(group) from None
        finally:
            # Another, for its result has a traceback, which has all that this link was.
            self._closed = asyncio.get_running_loop().create_future()
            self._closed.cancel()
            self.outbox.clear()

    async def _read(self) -> None:
        read, meters = self._stream.read, self._meters
        while True:
            data = await read()
            self._heard = True
            meters.count_received_frame(len(data))
            match decode_frame(data):
                case Batch(messages):
                    for topic, payload in messages:
                        meters.count_received(topic)
                        self._deliver(topic, payload)
                case Ping(sequence):
                    wall_us = int(self._clock.wall_s() * 1e6)
                    self.outbox.put_pong(encode_pong(sequence, wall_us))
                case Pong() as pong:
                    self._note_pong(pong)
                case Hello():
                    raise FrameInvalid("read stream", reason="a second hello")

    async def _write(self) -> None:
        write, meters, outbox = self._stream.write, self._meters, self.outbox
        while True:
            frame, messages = await outbox.next_frame()
            await write(frame)
            meters.count_sent_frame(len(frame))
            for topic, _ in messages:
                meters.count_sent(topic)

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # Counted per ping that we sent, not per second: a stall of ours blames nobody.
            if self._pings_unanswered >= UNANSWERED_PINGS_MAX:
                raise PeerSilent("ping", unanswered=self._pings_unanswered)
            if self._is_ping_due(loop.time()):
                self._ping_sequence += 1
                self._pings_unanswered += 1
                self._ping_sent_s = loop.time()
                self._ping_sent_wall_s = self._clock.wall_s()
                self.outbox.put_ping(encode_ping(self._ping_sequence))
            self._heard = False
            self._meters.show_outbox(len(self.outbox))
            await asyncio.sleep(CHECK_INTERVAL_S)

    def _is_ping_due(self, now_s: float) -> bool:
        if not self._heard or now_s - self._ping_sent_s >= PING_INTERVAL_MAX_S:
            return True
        # A new stream: whose clock is wrong should be known before the first duties go wrong.
        return self._window.offset_s is None and not self._pings_unanswered

    def _note_pong(self, pong: Pong) -> None:
        if pong.sequence > self._ping_sequence:
            raise FrameInvalid("read pong", reason="answers a ping that was not sent")
        if pong.sequence < self._ping_sequence or not self._pings_unanswered:
            return  # too late or repeated: says nothing about now
        self._pings_unanswered = 0
        rtt_s = asyncio.get_running_loop().time() - self._ping_sent_s
        # The peer read its clock about half a round trip after we read ours.
        offset_s = pong.wall_us / 1e6 - (self._ping_sent_wall_s + rtt_s / 2)
        self._window.add(rtt_s=rtt_s, offset_s=offset_s)
        self._meters.show_pong(rtt_s=rtt_s, offset_s=self._window.offset_s)
