"""``tetrarch run`` by an operator who means harm: the first argument is how.

The node holds its real key and share and serves its own duties, so that its peers cannot simply
ignore it; only what it says to them is false.

* ``flood``: a thousand messages a second to each peer: old ones again, garbage, and well signed
  votes for rounds that nobody is in.
* ``equivocate``: of each vote and proposal one half of the peers hears something else.
* ``partials``: its partial signatures are points of the right group, but of other validators.
* ``partials_twice``: after each right partial signature it sends such a one for the same duty.
"""

import asyncio
import os
import sys
from collections import deque
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

from tetrarch import launch
from tetrarch.cli.main import main
from tetrarch.consensus.codec import Codec, Item, ValueItem, hash_value
from tetrarch.consensus.messages import ROUNDS_MAX, Envelope, MessageType
from tetrarch.duties.partials_codec import decode_partials, encode_partials
from tetrarch.duties.types import PartialSet, ShareIndex
from tetrarch.network.ports import MessageBus, Topic
from tetrarch.network.wrapped_bus import WrappedBus
from tetrarch.node import Node
from tetrarch.node_ports import NodePorts, NodeShape

KINDS = ("flood", "equivocate", "partials", "partials_twice")
FLOOD_INTERVAL_S = 0.02
FLOOD_AT_ONCE = 20  # for each peer
CAPTURED_MAX = 256
VOTES = (MessageType.PREPARE, MessageType.COMMIT)


class HostileBus(WrappedBus):
    """Satisfies ``MessageBus``; what goes out through it is changed."""

    def __init__(self, bus: MessageBus, codec: Codec, kind: str) -> None:
        super().__init__(bus)
        self._codec = codec
        self._kind = kind
        self._rng = Random(1)
        self._captured: deque[tuple[Topic, bytes]] = deque(maxlen=CAPTURED_MAX)
        self._points: deque[tuple[bytes, bytes]] = deque(maxlen=CAPTURED_MAX)
        self._values: dict[bytes, bytes] = {}

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        for peer in self.peers:
            self.send(peer, topic, payload)

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        self._captured.append((topic, payload))
        if self._kind == "equivocate" and topic is Topic.CONSENSUS and peer % 2:
            payload = self._contradicted(payload)
        if self._kind == "partials" and topic is Topic.PARTIAL_SIGNATURES:
            payload = self._false_partials(payload)
        if self._kind == "partials_twice" and topic is Topic.PARTIAL_SIGNATURES:
            self._bus.send(peer, topic, payload)
            payload = self._false_partials(payload)
        return self._bus.send(peer, topic, payload)

    async def flood(self) -> None:
        """Never ends."""
        while True:
            await asyncio.sleep(FLOOD_INTERVAL_S)
            for peer in self.peers:
                for _ in range(FLOOD_AT_ONCE):
                    self._bus.send(peer, *self._rubbish())

    def _rubbish(self) -> tuple[Topic, bytes]:
        rng = self._rng
        topic = rng.choice([Topic.CONSENSUS, Topic.PARTIAL_SIGNATURES, Topic.REQUESTS])
        if not self._captured or rng.random() < 0.3:
            return topic, rng.randbytes(rng.choice([1, 100, 10_000]))
        topic, payload = rng.choice(self._captured)
        if topic is not Topic.CONSENSUS or rng.random() < 0.5:
            return topic, payload
        return topic, self._codec.encode([self._other_round(i) for i in self._read(payload)])

    def _other_round(self, item: Item) -> Item:
        if not isinstance(item, Envelope):
            return item
        message = replace(
            item.message,
            type=self._rng.choice(VOTES),
            round=self._rng.randint(1, ROUNDS_MAX),
            value_hash=hash_value(self._rng.randbytes(8)),
        )
        return Envelope(self._codec.sign(message), ())

    def _contradicted(self, payload: bytes) -> bytes:
        return self._codec.encode([self._contradict(item) for item in self._read(payload)])

    def _contradict(self, item: Item) -> Item:
        if isinstance(item, ValueItem):
            return ValueItem(item.duty, _other_value(item.value))
        if not isinstance(item, Envelope) or item.message.source != self.own_index:
            return item
        if item.message.type not in (*VOTES, MessageType.PRE_PREPARE):
            return item
        other = hash_value(self._values.get(item.message.value_hash, b"another"))
        message = replace(item.message, value_hash=other)
        return Envelope(self._codec.sign(message), item.justification)

    def _read(self, payload: bytes) -> tuple[Item, ...]:
        items = tuple(self._codec.decode(payload))
        for item in items:
            if isinstance(item, ValueItem):
                self._values[hash_value(item.value)] = _other_value(item.value)
        while len(self._values) > CAPTURED_MAX:
            del self._values[next(iter(self._values))]
        return items

    def _false_partials(self, payload: bytes) -> bytes:
        partial_set, answer = decode_partials(payload, share_index=ShareIndex(self.own_index + 1))
        self._points.extend((each.signature, each.ordinate) for each in partial_set.partials)
        spoiled = []
        for partial in partial_set.partials:
            signature, ordinate = self._rng.choice(self._points)
            spoiled.append(replace(partial, signature=signature, ordinate=ordinate))
        partials = tuple(spoiled)
        return encode_partials(PartialSet(duty=partial_set.duty, partials=partials), answer=answer)


def _other_value(value: bytes) -> bytes:
    """Of the same form, nearly: one byte in its middle differs."""
    at = len(value) // 2
    return value[:at] + sha256(value).digest()[:1] + value[at + 1 :]


class HostileNode(Node):
    """Honest inside; only its bus is not."""

    kind = ""

    def __init__(self, shape: NodeShape, ports: NodePorts, **rest: Any) -> None:
        count = shape.keys.share_count
        codec = Codec(identity=ports.identity, cluster_id=shape.cluster_id, node_count=count)
        self._spawner = ports.spawner
        self._bus = HostileBus(ports.bus, codec, self.kind)
        super().__init__(shape, replace(ports, bus=self._bus), **rest)

    def start(self) -> None:
        """And begin to harm."""
        super().start()
        if self.kind == "flood":
            self._spawner.spawn(self._bus.flood(), name="flood")


if __name__ == "__main__":
    os.nice(19)  # its own work must not be taken from its victims on the same machine
    HostileNode.kind = sys.argv.pop(1)
    setattr(launch, "Node", HostileNode)  # noqa: B010 - the checker guards real names
    main()
