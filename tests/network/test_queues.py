"""Goal: both queues are bounded, drop the oldest, and never let one peer starve another."""

import asyncio

from tests.network.mesh_world import until

from tetrarch.network.frames import Batch, decode_frame
from tetrarch.network.queues import (
    BATCH_SIZE_GOAL,
    INBOX_BYTES_MAX,
    INBOX_MESSAGES_MAX,
    OUTBOX_BYTES_MAX,
    OUTBOX_MESSAGES_MAX,
    Inbox,
    Outbox,
)


def test_outbox_coalesces_what_waits_and_sends_pongs_first() -> None:
    async def main() -> None:
        outbox = Outbox(on_drop=lambda *_: None)
        outbox.put(1, b"a")
        outbox.put(2, b"b")
        outbox.put_ping(b"ping")
        outbox.put_pong(b"old pong")
        outbox.put_pong(b"pong")
        assert await outbox.next_frame() == (b"pong", ())
        assert await outbox.next_frame() == (b"ping", ())
        frame, messages = await outbox.next_frame()
        assert decode_frame(frame) == Batch(messages)
        assert messages == ((1, b"a"), (2, b"b"))
        assert len(outbox) == 0

    asyncio.run(main())


def test_outbox_splits_batches_so_that_later_messages_need_not_wait() -> None:
    async def main() -> None:
        outbox = Outbox(on_drop=lambda *_: None)
        for payload in (bytes(BATCH_SIZE_GOAL), b"small", bytes(BATCH_SIZE_GOAL // 2)):
            outbox.put(1, payload)
        sizes = [[len(p) for _, p in (await outbox.next_frame())[1]] for _ in range(2)]
        assert sizes == [[BATCH_SIZE_GOAL], [5, BATCH_SIZE_GOAL // 2]]

    asyncio.run(main())


def test_full_outbox_drops_the_oldest_by_count_and_by_size() -> None:
    async def main() -> None:
        dropped: list[tuple[int, str]] = []
        outbox = Outbox(on_drop=lambda *drop: dropped.append(drop))
        for number in range(OUTBOX_MESSAGES_MAX + 3):
            outbox.put(1, b"%d" % number)
        assert dropped == [(1, "outbox_full")] * 3
        assert (await outbox.next_frame())[1][0] == (1, b"3")
        outbox.put(2, bytes(OUTBOX_BYTES_MAX))
        assert len(outbox) == 1
        outbox.clear()
        assert dropped[-1] == (2, "link_lost")

    asyncio.run(main())


def test_inbox_takes_peers_in_turn_and_a_flood_drops_its_own_messages_only() -> None:
    async def main() -> None:
        handled: list[int] = []
        dropped: list[int] = []

        async def handle(peer: int, _payload: bytes) -> None:
            handled.append(peer)

        inbox = Inbox(handle, on_drop=dropped.append)
        for _ in range(INBOX_MESSAGES_MAX + 7):
            inbox.put(1, b"flood")
        inbox.put(2, b"honest")
        inbox.put(2, b"honest")
        inbox.put(3, b"old")
        inbox.put(3, bytes(INBOX_BYTES_MAX))
        task = asyncio.get_running_loop().create_task(inbox.run())
        await until(lambda: len(handled) == INBOX_MESSAGES_MAX + 2 + 1)
        task.cancel()
        assert handled[:5] == [1, 2, 3, 1, 2]
        assert dropped == [1] * 7 + [3]

    asyncio.run(main())
