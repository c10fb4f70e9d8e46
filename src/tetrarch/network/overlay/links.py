"""The links of a node: one to each node that it talks with, whoever dialled, and however it talks."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tetrarch.clock import Clock
from tetrarch.network.clocks import OffsetWindow
from tetrarch.network.faults import StreamBroken
from tetrarch.network.link import Link, LinkMeters, Stream
from tetrarch.network.overlay.profile import NodeId
from tetrarch.network.queues import fits


class Carrier(Protocol):
    """Carries messages to one node until it is closed. ``latency_s``: the last round trip, if measured."""

    @property
    def latency_s(self) -> float | None: ...  # noqa: D102
    @property
    def backlog_bytes(self) -> int: ...  # noqa: D102
    def put(self, kind: int, payload: bytes) -> None: ...  # noqa: D102
    def close(self, why: StreamBroken) -> None: ...  # noqa: D102
    async def run(self) -> None: ...  # noqa: D102


class _Framed:
    """The carrier between nodes of this program: one stream of frames."""

    def __init__(self, link: Link, window: OffsetWindow) -> None:
        self._link = link
        self._window = window
        self.close = link.close
        self.run = link.run
        self.put = link.outbox.put

    @property
    def latency_s(self) -> float | None:
        return self._window.rtt_s

    @property
    def backlog_bytes(self) -> int:
        return self._link.outbox.size_bytes


@dataclass(slots=True)
class _Linked:
    carrier: Carrier
    dialled: bool  # by us
    since_s: float


class LinkedAlready(StreamBroken):
    """Two nodes dialled each other at once: the stream that the lower id dialled stays."""

    code = "overlay_linked_already"


QUARANTINED, BANNED, ERRED = "quarantined", "banned", "erred"
SHUT_OUT_REASONS = (QUARANTINED, BANNED, ERRED)  # why we end the link of who did wrong


class _Counted:
    """The meters of all links, and what is done at each frame of one."""

    def __init__(self, meters: LinkMeters, on_frame: Callable[[], None]) -> None:
        self._on_frame = on_frame
        self.count_sent_frame = meters.count_sent_frame
        self.count_received = meters.count_received
        self.count_sent = meters.count_sent
        self.count_dropped = meters.count_dropped
        self.show_outbox = meters.show_outbox
        self.show_pong = meters.show_pong
        self._count_received_frame = meters.count_received_frame

    def count_received_frame(self, size_bytes: int) -> None:
        """One frame came."""
        self._count_received_frame(size_bytes)
        self._on_frame()


class Links:
    """Serves streams of nodes that have shown who they are, and sends along them."""

    def __init__(
        self,
        own: NodeId,
        *,
        meters: LinkMeters,
        clock: Clock,
        deliver: Callable[[NodeId, int, bytes], None],
        on_up: Callable[[NodeId], None],
        on_down: Callable[[NodeId], None],
        on_frame: Callable[[NodeId], None] = lambda _: None,
    ) -> None:
        self._own = own
        self._meters = meters
        self._clock = clock
        self._deliver = deliver
        self._on_up = on_up
        self._on_down = on_down
        self._on_frame = on_frame
        self._links: dict[NodeId, _Linked] = {}

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[NodeId]:
        return iter(tuple(self._links))

    def __contains__(self, node: object) -> bool:
        return node in self._links

    def latency_s(self, node: NodeId) -> float | None:
        """The last round trip; None while there is no link or it was not measured yet."""
        linked = self._links.get(node)
        return linked.carrier.latency_s if linked is not None else None

    def dialled(self) -> list[NodeId]:
        """Those that we dialled, oldest link first."""
        ours = [(each.since_s, node) for node, each in self._links.items() if each.dialled]
        return [node for _, node in sorted(ours)]

    def backlog_bytes(self, node: NodeId) -> int:
        """What was queued for a node and has not left yet."""
        linked = self._links.get(node)
        return linked.carrier.backlog_bytes if linked is not None else 0

    def send(self, node: NodeId, kind: int, payload: bytes) -> bool:
        """Queue a message of a ``messages.Kind`` without waiting. False: no link, or too large."""
        linked = self._links.get(node)
        if linked is None or not fits(payload):
            self._meters.count_dropped(kind, "away" if linked is None else "oversize")
            return False
        linked.carrier.put(kind, payload)
        return True

    async def serve(self, node: NodeId, stream: Stream, *, dialled: bool) -> None:
        """Carry messages over ``stream`` until it ends; then the caller closes it.

        Raises:
            LinkedAlready: another stream with it stays.
            StreamBroken: it ended. PeerFault: the node broke the protocol.
        """
        window = OffsetWindow()
        link = Link(
            stream,
            meters=_Counted(self._meters, lambda: self._on_frame(node)),
            window=window,
            clock=self._clock,
            deliver=lambda kind, payload: self._deliver(node, kind, payload),
        )
        before = self._links.get(node)
        if (
            before is not None
            and self._is_preferred(node, before.dialled)
            and not self._is_preferred(node, dialled)
        ):
            raise LinkedAlready("serve node", reason="linked_already")
        await self.carry(node, _Framed(link, window), dialled=dialled)

    async def carry(self, node: NodeId, carrier: Carrier, *, dialled: bool) -> None:
        """The same along ``carrier``, which takes the place of a link that is there."""
        before = self._links.get(node)
        if before is not None:
            before.carrier.close(LinkedAlready("serve node", reason="replaced"))
        now_s = asyncio.get_running_loop().time()
        mine = self._links[node] = _Linked(carrier, dialled, now_s)
        if before is None:
            self._on_up(node)
        try:
            await carrier.run()
        finally:
            if self._links.get(node) is mine:
                del self._links[node]
                self._on_down(node)

    def close(self, node: NodeId, reason: str) -> None:
        """End the link with ``node``, if there is one."""
        linked = self._links.get(node)
        if linked is not None:
            linked.carrier.close(StreamBroken("use stream", reason=reason))

    def _is_preferred(self, node: NodeId, dialled: bool) -> bool:  # noqa: FBT001
        """Whether the stream is the one that both sides keep: the lower id dialled it."""
        return dialled == (self._own < node)
