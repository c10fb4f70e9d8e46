"""Messages of all links on their way to the handler: within each node's pace, and the nodes in turn."""

import asyncio
from collections.abc import Callable

from tetrarch.network.overlay.inbox import FairInbox, Handler
from tetrarch.network.overlay.pace import Pace, cost
from tetrarch.network.overlay.profile import NodeId


class PacedInbox:
    """``flooded`` hears of each node that says more than it may, or more than is handled."""

    def __init__(self, handler: Handler, *, flooded: Callable[[NodeId], None]) -> None:
        self._flooded = flooded
        self._pace: Pace[NodeId] = Pace()
        self._inbox = FairInbox(handler, on_drop=lambda node, _: flooded(node))

    def deliver(self, node: NodeId, kind: int, payload: bytes) -> None:
        """One message of a linked node."""
        if self._is_in_pace(node, cost(kind, len(payload))):
            self._inbox.put(node, kind, payload)
        else:
            self._flooded(node)

    def count_frame(self, node: NodeId) -> None:
        """One frame came, whatever is in it."""
        if not self._is_in_pace(node, 1.0):
            self._flooded(node)

    def grant(self, node: NodeId, tokens: float) -> None:
        """We asked it for what costs so much."""
        self._pace.grant(node, tokens, now_s=_now_s())

    def forget(self, node: NodeId) -> None:
        """Its link is gone."""
        self._inbox.forget(node)
        self._pace.forget(node)

    async def run(self) -> None:
        """Until cancelled."""
        await self._inbox.run()

    def _is_in_pace(self, node: NodeId, tokens: float) -> bool:
        return self._pace.takes(node, tokens, now_s=_now_s())


def _now_s() -> float:
    return asyncio.get_running_loop().time()
