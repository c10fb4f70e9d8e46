"""Nodes take turns; who floods loses its own oldest messages only."""

import asyncio

import pytest
from tests.network.overlay.support import node_id

from tetrarch.network.overlay import inbox
from tetrarch.network.overlay.inbox import FairInbox
from tetrarch.network.overlay.profile import NodeId

A, B = node_id(1), node_id(2)


class Handled:
    """An inbox, and what was handled and dropped."""

    def __init__(self) -> None:
        self.messages: list[tuple[NodeId, int, bytes]] = []
        self.dropped: list[tuple[NodeId, int]] = []
        self.inbox = FairInbox(self._handle, on_drop=lambda *each: self.dropped.append(each))

    async def _handle(self, node: NodeId, kind: int, payload: bytes) -> None:
        self.messages.append((node, kind, payload))

    async def run(self) -> None:
        task = asyncio.create_task(self.inbox.run())
        await asyncio.sleep(0.02)
        task.cancel()


def test_nodes_take_turns_and_each_keeps_its_order() -> None:
    async def main() -> None:
        handled = Handled()
        for number in range(3):
            handled.inbox.put(A, number, b"")
        handled.inbox.put(B, 9, b"")
        await handled.run()
        assert [(node, kind) for node, kind, _ in handled.messages] == [
            *((A, 0), (B, 9), (A, 1), (A, 2)),
        ]

    asyncio.run(main())


def test_who_floods_loses_its_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MESSAGES_MAX", 3)
    monkeypatch.setattr(inbox, "BYTES_MAX", 100)

    async def main() -> None:
        handled = Handled()
        for number in range(5):
            handled.inbox.put(A, number, b"")
        handled.inbox.put(B, 7, bytes(60))
        handled.inbox.put(B, 8, bytes(60))
        assert handled.dropped == [(A, 0), (A, 1), (B, 7)]
        await handled.run()
        assert [kind for _, kind, _ in handled.messages] == [2, 8, 3, 4]

    asyncio.run(main())


def test_of_all_together_who_has_most_loses_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "TOTAL_BYTES_MAX", 100)

    async def main() -> None:
        handled = Handled()
        handled.inbox.put(A, 1, bytes(50))
        handled.inbox.put(B, 2, bytes(30))
        handled.inbox.put(B, 3, bytes(30))
        assert handled.dropped == [(B, 2)]
        handled.inbox.put(B, 4, bytes(101))
        assert handled.dropped == [(B, 2), (B, 3), (B, 4)]
        await handled.run()
        assert [kind for _, kind, _ in handled.messages] == [1]
        assert handled.inbox._total_bytes == 0

    asyncio.run(main())


def test_of_a_node_that_is_gone_nothing_more_is_handled() -> None:
    async def main() -> None:
        handled = Handled()
        handled.inbox.put(A, 1, b"")
        handled.inbox.put(B, 2, b"")
        handled.inbox.forget(A)
        handled.inbox.forget(A)
        await handled.run()
        assert [kind for _, kind, _ in handled.messages] == [2]
        handled.inbox.put(A, 3, b"")
        await handled.run()
        assert [kind for _, kind, _ in handled.messages] == [2, 3]

    asyncio.run(main())
