"""A flooding peer fills its own account only; own events always get in."""

import asyncio

from tetrarch.consensus.events import TimerFired
from tetrarch.consensus.inbox import (
    PEER_PAYLOADS_MAX,
    PEER_PENDING_MAX,
    PEER_PENDING_MAX_BYTES,
    FromPeer,
    Inbox,
)


def test_pending_messages_of_a_peer_are_bounded() -> None:
    async def main() -> None:
        inbox = Inbox(4)
        for _ in range(PEER_PENDING_MAX):
            assert inbox.offer(FromPeer(2, (), 10)) is None
        assert inbox.offer(FromPeer(2, (), 10)) == "inbox_full"
        assert inbox.offer(FromPeer(1, (), 10)) is None, "others are not harmed"
        inbox.put(TimerFired(1))
        await inbox.get()
        assert inbox.offer(FromPeer(2, (), 10)) is None

    asyncio.run(main())


def test_pending_bytes_of_a_peer_are_bounded() -> None:
    async def main() -> None:
        inbox = Inbox(4)
        assert inbox.offer(FromPeer(2, (), PEER_PENDING_MAX_BYTES)) is None
        assert inbox.offer(FromPeer(2, (), 1)) == "inbox_full"
        assert inbox.get_ready() is not None
        assert inbox.get_ready() is None
        assert inbox.offer(FromPeer(2, (), 1)) is None

    asyncio.run(main())


def test_messages_of_a_peer_in_all_are_bounded() -> None:
    async def main() -> None:
        inbox = Inbox(4)
        for _ in range(PEER_PAYLOADS_MAX):
            assert inbox.offer(FromPeer(2, (), 1)) is None
            inbox.get_ready()
        assert inbox.offer(FromPeer(2, (), 1)) == "peer_budget"

    asyncio.run(main())
