"""Goal: who floods is named once a window, nobody else is, and nothing is kept back."""

import asyncio

from tetrarch.network.flood import MESSAGES_MAX, WINDOW_S, FloodWatch
from tetrarch.network.ports import MessageHandler, Topic
from tetrarch.sim.loop import simulate


class Bus:
    """Records what goes out and lets a test bring messages in."""

    own_index = 0
    peers = (1, 2, 3)

    def __init__(self) -> None:
        self.handlers: dict[Topic, MessageHandler] = {}
        self.sent: list[tuple[int | None, Topic, bytes]] = []

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        self.sent.append((peer, topic, payload))
        return peer != 3

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        self.sent.append((None, topic, payload))

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        self.handlers[topic] = handler


class World:
    """A watch on such a bus, with two topics in use."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.named: list[int] = []
        self.heard = 0
        self.watch = FloodWatch(self.bus, on_flood=self.named.append)
        for topic in (Topic.CONSENSUS, Topic.REQUESTS):
            self.watch.subscribe(topic, self._hear)

    async def _hear(self, _peer: int, _payload: bytes) -> None:
        self.heard += 1

    async def bring(self, peer: int, count: int) -> None:
        for number in range(count):
            topic = Topic.CONSENSUS if number % 2 else Topic.REQUESTS
            await self.bus.handlers[topic](peer, b"x")


def test_flooding_peer_is_named_once_a_window_whatever_the_topics() -> None:
    async def main() -> None:
        world = World()
        await world.bring(1, MESSAGES_MAX)
        await world.bring(2, MESSAGES_MAX)
        assert world.named == []
        await world.bring(2, MESSAGES_MAX)
        assert world.named == [2]
        assert world.heard == 3 * MESSAGES_MAX
        await asyncio.sleep(WINDOW_S)
        await world.bring(2, MESSAGES_MAX + 1)
        assert world.named == [2, 2]

    simulate(main, seed=1)


def test_as_many_messages_over_a_longer_time_are_no_flood() -> None:
    async def main() -> None:
        world = World()
        for _ in range(4):
            await world.bring(1, MESSAGES_MAX)
            await asyncio.sleep(WINDOW_S)
        assert world.named == []

    simulate(main, seed=1)


def test_what_goes_out_is_the_bus_s_own() -> None:
    world = World()
    assert (world.watch.own_index, world.watch.peers) == (0, (1, 2, 3))
    assert world.watch.send(1, Topic.ANSWERS, b"a")
    assert not world.watch.send(3, Topic.ANSWERS, b"b")
    world.watch.broadcast(Topic.PRIORITY, b"c")
    assert world.bus.sent == [
        (1, Topic.ANSWERS, b"a"),
        (3, Topic.ANSWERS, b"b"),
        (None, Topic.PRIORITY, b"c"),
    ]
