"""Goal: a link notices a dead peer by itself. Method: a stream of our own, on virtual time."""

import asyncio

import pytest

from tetrarch.network.clocks import SAMPLES_MIN, OffsetWindow
from tetrarch.network.faults import PeerSilent, StreamBroken
from tetrarch.network.frames import Ping, Pong, decode_frame, encode_ping, encode_pong
from tetrarch.network.link import (
    CHECK_INTERVAL_S,
    PING_INTERVAL_MAX_S,
    UNANSWERED_PINGS_MAX,
    Link,
)
from tetrarch.network.meters import PeerMeters
from tetrarch.observability.metrics import Metrics
from tetrarch.sim.loop import simulate


class LoopClock:
    def wall_s(self) -> float:
        return 1000.0 + asyncio.get_running_loop().time()


class Loopback:
    """Answers the first ``answers`` pings after ``delay_s``, with a clock 2 s ahead of ours."""

    def __init__(self, *, answers: int, delay_s: float = 0.2) -> None:
        self.pings = 0
        self._answers = answers
        self._delay_s = delay_s
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self) -> bytes:
        return await self._frames.get()

    def say(self, frame: bytes) -> None:
        self._frames.put_nowait(frame)

    async def write(self, frame: bytes) -> None:
        ping = decode_frame(frame)
        if isinstance(ping, Pong):
            return
        assert isinstance(ping, Ping)
        self.pings += 1
        if self.pings <= self._answers:
            loop = asyncio.get_running_loop()
            wall_us = int((LoopClock().wall_s() + self._delay_s / 2 + 2.0) * 1e6)
            loop.call_later(
                self._delay_s, self._frames.put_nowait, encode_pong(ping.sequence, wall_us)
            )


def make_link(stream: Loopback, window: OffsetWindow) -> Link:
    return Link(
        stream,
        meters=PeerMeters(Metrics(), "1"),
        window=window,
        clock=LoopClock(),
        deliver=lambda _topic, _payload: None,
    )


def test_silent_peer_is_left_and_measured_until_then() -> None:
    async def scenario() -> None:
        stream, window = Loopback(answers=7), OffsetWindow()
        with pytest.raises(PeerSilent):
            await make_link(stream, window).run()
        assert stream.pings == 7 + UNANSWERED_PINGS_MAX
        assert window.offset_s == pytest.approx(2.0, abs=1e-3)
        assert window.rtt_s == pytest.approx(0.2, abs=1e-3)

    simulate(scenario, seed=1)


def test_peer_that_answers_is_kept_until_closed() -> None:
    async def scenario() -> None:
        stream = Loopback(answers=10_000)
        link = make_link(stream, OffsetWindow())
        asyncio.get_running_loop().call_later(500, link.close, StreamBroken("stop", reason="test"))
        with pytest.raises(StreamBroken):
            await link.run()
        pings = 500 / CHECK_INTERVAL_S / 2  # the answer is heard: no ping at the next look
        assert pings - 1 <= stream.pings <= pings + 1

    simulate(scenario, seed=1)


def test_peer_that_is_heard_is_pinged_only_for_its_clock() -> None:
    async def scenario() -> None:
        stream = Loopback(answers=10_000)
        link = make_link(stream, OffsetWindow())
        for second in range(500):
            asyncio.get_running_loop().call_later(second, stream.say, encode_ping(second))
        asyncio.get_running_loop().call_later(500, link.close, StreamBroken("stop", reason="test"))
        with pytest.raises(StreamBroken):
            await link.run()
        pings = SAMPLES_MIN + 500 / PING_INTERVAL_MAX_S
        assert pings - 1 <= stream.pings <= pings + 1

    simulate(scenario, seed=1)


def test_clock_of_a_talkative_peer_is_known_within_seconds() -> None:
    """A cluster under load at its start hears much and would else ask for clocks rarely."""

    async def scenario() -> None:
        window = OffsetWindow()
        stream = Loopback(answers=10_000)
        link = make_link(stream, window)
        for second in range(20):
            asyncio.get_running_loop().call_later(second, stream.say, encode_ping(second))
        known_after_s = CHECK_INTERVAL_S * (SAMPLES_MIN - 1) + 0.5
        asyncio.get_running_loop().call_later(
            known_after_s, link.close, StreamBroken("stop", reason="test")
        )
        with pytest.raises(StreamBroken):
            await link.run()
        assert window.offset_s == pytest.approx(2.0, abs=1e-3)

    simulate(scenario, seed=1)


def test_talkative_peer_that_answers_no_ping_is_left() -> None:
    """What we say does not reach it, or it does not listen."""

    async def scenario() -> None:
        stream = Loopback(answers=0)
        for second in range(500):
            asyncio.get_running_loop().call_later(second, stream.say, encode_ping(second))
        with pytest.raises(PeerSilent):
            await make_link(stream, OffsetWindow()).run()
        assert stream.pings == UNANSWERED_PINGS_MAX

    simulate(scenario, seed=1)


def test_link_that_breaks_while_it_is_cancelled_is_cancelled() -> None:
    """Else whoever dials again in a loop would go on for ever: a node that does not stop."""

    class Breaking(Loopback):
        async def read(self) -> bytes:
            try:
                return await super().read()
            except asyncio.CancelledError:
                raise StreamBroken("use stream", reason="closed_by_peer") from None

    async def main() -> None:
        link = make_link(Breaking(answers=0), OffsetWindow())
        running = asyncio.get_running_loop().create_task(link.run())
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    simulate(main, seed=1)
