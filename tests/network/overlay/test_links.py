"""Two nodes that dial each other keep one link, and both the same."""

import asyncio

from tests.network.overlay.support import node_id
from tests.network.overlay.world import Meters

from tetrarch.clock import SystemClock
from tetrarch.errors import TetrarchError
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.links import LinkedAlready, Links

LOW, HIGH = node_id(1), node_id(2)


class Silent:
    """A stream on which nothing comes, until it is closed."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def read(self) -> bytes:
        await asyncio.get_running_loop().create_future()
        raise StreamBroken("use stream", reason="closed")

    async def write(self, frame: bytes) -> None:
        self.written.append(frame)


class Side:
    """The links of one node, and what it heard of them."""

    def __init__(self, own, other) -> None:
        self.events: list[str] = []
        self.other = other
        self.links = Links(
            own,
            meters=Meters(),
            clock=SystemClock(),
            deliver=lambda *_: None,
            on_up=lambda _: self.events.append("up"),
            on_down=lambda _: self.events.append("down"),
        )

    def serve(self, *, dialled: bool) -> "asyncio.Task[TetrarchError | None]":
        async def served() -> TetrarchError | None:
            try:
                await self.links.serve(self.other, Silent(), dialled=dialled)
            except StreamBroken as error:
                return error
            return None

        return asyncio.create_task(served())


def test_the_link_that_the_lower_dialled_stays_whichever_came_first() -> None:
    async def main() -> None:
        for own, other in ((LOW, HIGH), (HIGH, LOW)):
            for low_first in (True, False):
                side = Side(own, other)
                by_low = own == LOW  # dialled by us, on the lower side
                order = (by_low, not by_low) if low_first else (not by_low, by_low)
                tasks = []
                for dialled in order:
                    tasks.append(side.serve(dialled=dialled))
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                kept, lost = tasks if low_first else reversed(tasks)
                assert isinstance(await lost, LinkedAlready)
                assert not kept.done()
                assert side.links.dialled() == ([other] if by_low else [])
                assert side.events == ["up"], "it was up all the time"
                side.links.close(other, "test")
                assert isinstance(await kept, StreamBroken)
                assert side.events == ["up", "down"]
                assert len(side.links) == 0

    asyncio.run(main())


def test_a_newer_link_of_the_same_side_replaces_the_older() -> None:
    async def main() -> None:
        side = Side(LOW, HIGH)
        first = side.serve(dialled=True)
        await asyncio.sleep(0)
        second = side.serve(dialled=True)
        assert isinstance(await first, LinkedAlready)
        assert HIGH in side.links
        assert side.links.send(HIGH, 1, b"payload")
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert not side.links.send(HIGH, 1, b"payload")

    asyncio.run(main())
