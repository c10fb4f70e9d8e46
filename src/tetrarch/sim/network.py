"""A network between simulated nodes that loses, delays, repeats, reorders and parts as told.

``SimBus`` is one node's end and satisfies ``network.ports.MessageBus``. It is harsher than the
real mesh: with ``Faults`` set, order does not hold and messages repeat.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Self

from tetrarch.errors import invariant
from tetrarch.network.ports import MessageHandler, Topic
from tetrarch.sim.trace import Trace

INBOX_MAX = 4_096  # messages that wait for one node's handler; more are dropped


class SimRunaway(BaseException):
    """The cluster talks without end: a storm is a bug, not a slow test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Strength of each fault of the network; the default is a good network."""

    loss: float = 0.0
    repeat: float = 0.0
    reorder: bool = False
    delay_s: tuple[float, float] = (0.001, 0.010)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Swarm testing: each seed switches every fault on or off, then picks its strength."""
        return cls(
            loss=rng.choice([0.0, 0.0, 0.05, 0.2, 0.5]),
            repeat=rng.choice([0.0, 0.0, 0.2]),
            reorder=rng.random() < 0.5,
            delay_s=rng.choice([(0.001, 0.005), (0.001, 0.1), (0.05, 0.3), (0.001, 2.0)]),
        )


class SimNetwork:
    """Carries messages between ``node_count`` nodes."""

    def __init__(
        self, *, node_count: int, faults: Faults, rng: Random, trace: Trace, messages_max: int
    ) -> None:
        self.faults = faults
        self.sent_count = 0
        self.describe: Callable[[Topic, bytes], str] = _describe
        self.taps: list[Callable[[int, Topic, bytes], None]] = []  # see all that is sent
        self.arrival_taps: list[Callable[[int, int, Topic, bytes], None]] = []  # and what arrives
        self._rng = rng
        self._trace = trace
        self._messages_max = messages_max
        self._node_count = node_count
        self._buses: dict[int, SimBus] = {}
        self._blocked: set[tuple[int, int]] = set()  # looked up only, never iterated
        self._latest_s: dict[tuple[int, int], float] = {}

    def bus(self, node: int) -> "SimBus":
        """A fresh end for ``node``, which replaces one from before a crash."""
        self._buses[node] = SimBus(
            self, node, tuple(n for n in range(self._node_count) if n != node)
        )
        return self._buses[node]

    def detach(self, node: int) -> None:
        """``node`` has crashed: what is under way to it is lost."""
        self._buses.pop(node, None)

    def block(self, source: int, target: int) -> None:
        """From now on nothing of ``source`` reaches ``target``."""
        self._blocked.add((source, target))

    def heal(self, faults: Faults | None = None) -> None:
        """End all partitions; from now on ``faults`` hold, none by default."""
        self._blocked.clear()
        self.faults = faults or Faults()

    def carry(self, source: int, target: int, topic: Topic, payload: bytes) -> None:
        """Send one message, as the faults have it."""
        self.sent_count += 1
        if self.sent_count > self._messages_max:
            raise SimRunaway(self.sent_count)
        for tap in self.taps:
            tap(source, topic, payload)
        if (source, target) in self._blocked:
            self._trace.note(f"{source}>{target} parted {self.describe(topic, payload)}")
            return
        copies = 1 + (self._rng.random() < self.faults.repeat)
        for _ in range(copies):
            if self._rng.random() < self.faults.loss:
                self._trace.note(f"{source}>{target} lost {self.describe(topic, payload)}")
            else:
                self._schedule(source, target, topic, payload)

    def _schedule(self, source: int, target: int, topic: Topic, payload: bytes) -> None:
        loop = asyncio.get_running_loop()
        arrival_s = loop.time() + self._rng.uniform(*self.faults.delay_s)
        if not self.faults.reorder:
            # The loop shifts timers by less than this, so order holds.
            arrival_s = max(arrival_s, self._latest_s.get((source, target), 0.0) + 2e-6)
            self._latest_s[source, target] = arrival_s
        loop.call_at(arrival_s, self._arrive, self._buses.get(target), source, topic, payload)

    def _arrive(self, bus: "SimBus | None", source: int, topic: Topic, payload: bytes) -> None:
        if bus is None or self._buses.get(bus.own_index) is not bus:
            return  # crashed meanwhile
        self._trace.note(f"{source}>{bus.own_index} {self.describe(topic, payload)}")
        for tap in self.arrival_taps:
            tap(source, bus.own_index, topic, payload)
        bus.arrive(source, topic, payload)


class SimBus:
    """One node's end of the network. ``run`` serves its handlers, one message at a time each."""

    def __init__(self, network: SimNetwork, own_index: int, peers: tuple[int, ...]) -> None:
        self._network = network
        self._own_index = own_index
        self._peers = peers
        self._handlers: dict[Topic, MessageHandler] = {}
        self._inboxes: dict[Topic, asyncio.Queue[tuple[int, bytes]]] = {}

    @property
    def own_index(self) -> int:
        """See ``MessageBus``."""
        return self._own_index

    @property
    def peers(self) -> tuple[int, ...]:
        """See ``MessageBus``."""
        return self._peers

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        """See ``MessageBus``."""
        self._network.carry(self._own_index, peer, topic, payload)
        return True

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        """See ``MessageBus``."""
        for peer in self._peers:
            self.send(peer, topic, payload)

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """See ``MessageBus``."""
        invariant(topic not in self._handlers, "one handler per topic")
        self._handlers[topic] = handler
        self._inboxes[topic] = asyncio.Queue(INBOX_MAX)

    def arrive(self, source: int, topic: Topic, payload: bytes) -> None:
        """A message is here; dropped when the node is too slow or does not listen."""
        inbox = self._inboxes.get(topic)
        if inbox is not None and not inbox.full():
            inbox.put_nowait((source, payload))

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for topic in sorted(self._handlers):
                tasks.create_task(self._serve(topic), name=f"bus-{self._own_index}-{topic}")

    async def _serve(self, topic: Topic) -> None:
        while True:
            await self._handlers[topic](*await self._inboxes[topic].get())


def _describe(topic: Topic, payload: bytes) -> str:
    return f"{topic.name.lower()} {len(payload)}B {sha256(payload).hexdigest()[:12]}"
