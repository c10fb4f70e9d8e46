"""What happens on a node's chain, as it happens: blocks that come to count, or do so no more, and those that are final."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from tetrarch.clock import Clock
from tetrarch.ledger.applying import Place
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.tree import Switch
from tetrarch.observability.monitoring import Stream

WAITING_MAX: Final = 1024  # events of one listener; who is slower is told that it missed some


class LedgerEvents:
    """Of one chain, for any number of listeners."""

    def __init__(self, chain: LedgerChain, clock: Clock) -> None:
        self._chain = chain
        self._clock = clock
        self._listeners: list[Callable[[dict[str, Any]], None]] = []
        chain.news.on_switch(self._switched)
        chain.news.on_final(self._finalized)

    def streams(self) -> dict[str, Stream]:
        """By the paths at which the monitoring listener serves them."""
        return {"ledger/events": self.listen}

    async def listen(self) -> AsyncGenerator[dict[str, Any], None]:
        """The end of the branch and the last final block, then all that happens."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING_MAX)

        def hear(event: dict[str, Any]) -> None:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait({"event": "missed"})
            queue.put_nowait(event)

        self._listeners.append(hear)
        try:
            tree = self._chain.tree
            yield self._event("final", tree.final)
            yield self._event("block", tree.tip)
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(hear)

    def _switched(self, switch: Switch) -> None:
        self._tell("undone", switch.undone)
        self._tell("block", switch.done)

    def _finalized(self, places: tuple[Place, ...]) -> None:
        self._tell("final", places)

    def _tell(self, event: str, places: tuple[Place, ...]) -> None:
        if self._listeners:
            for place in places:
                told = self._event(event, place)
                for hear in tuple(self._listeners):
                    hear(told)

    def _event(self, event: str, place: Place) -> dict[str, Any]:
        maker = place.header.maker
        return {
            "event": event,
            "height": place.header.chain_length,
            "block": place.id.hex(),
            "date": str(place.header.date),
            "maker": None if maker is None else maker.hex(),
            "after_slot_s": round(since_slot_s(place, self._clock), 4),
        }


def since_slot_s(place: Place, clock: Clock) -> float:
    """How long ago its slot began."""
    return clock.wall_s() - place.settings.frame.starts_s(place.slot)
