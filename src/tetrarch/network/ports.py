"""What components see of the network: topics, and a bus to the cluster's other nodes.

Pure. ``network.mesh`` implements the bus over gRPC, ``sim.network`` over virtual time.
"""

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Protocol, TypeAlias


class Topic(IntEnum):
    """What a message is about. The number goes over the wire, one byte; never reuse one."""

    CONSENSUS = 1
    PARTIAL_SIGNATURES = 2
    PEER_INFO = 3
    PRIORITY = 4
    REQUESTS = 5
    ANSWERS = 6
    ELECTION = 7


# Called with the sender's 0-based index, as its certificate proves it, and the payload.
MessageHandler: TypeAlias = Callable[[int, bytes], Awaitable[None]]


class MessageBus(Protocol):
    """Best-effort messages to the other nodes of the cluster.

    Order holds per peer and topic. A message may be lost (peer away, queue full) but is never
    altered; one connection never delivers it twice. Who needs more resends.
    """

    @property
    def own_index(self) -> int:
        """The 0-based position of this node in the cluster."""
        ...

    @property
    def peers(self) -> tuple[int, ...]:
        """The 0-based indices of the *other* nodes, ascending."""
        ...

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        """Queue ``payload`` for ``peer`` without waiting. False: it was dropped."""
        ...

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        """``send`` to every other node. A node does not hear its own broadcast."""
        ...

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """Await ``handler`` for every message of ``topic``, one at a time.

        One handler per topic, set before the bus starts. The handler must not raise for bad
        bytes of a peer: it counts and drops them. Any exception out of it stops the node.
        """
        ...
