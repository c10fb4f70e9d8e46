"""Early start: votes need not wait for a third of the slot once the slot's block is there.

Not so in the first slot of an epoch: its block decides the target, and a node that has not seen
the block yet would refuse a value that is right.
"""

import asyncio

from tetrarch.duties.types import Duty, DutyType
from tetrarch.ethereum.spec.chain import ChainSpec

EARLY_TYPES = frozenset({DutyType.ATTESTER})
SLOTS_MAX = 4


class HeadStart:
    """Hears of heads, and lets duties of their slots begin."""

    def __init__(self, *, chain: ChainSpec, enabled: bool) -> None:
        self._chain = chain
        self._enabled = enabled
        self._arrived: dict[int, asyncio.Event] = {}  # by slot

    def note(self, slot: int, *, slot_now: int) -> None:
        """A block of ``slot`` is the head. Only that of the slot in progress is news."""
        if slot == slot_now:
            self._head_of(slot).set()

    async def wait(self, duty: Duty, wait_s: float) -> bool:
        """Wait for the head that lets ``duty`` begin, ``wait_s`` at most; whether it is there."""
        is_first = duty.slot == self._chain.first_slot(self._chain.epoch_of(duty.slot))
        if not self._enabled or duty.type not in EARLY_TYPES or is_first:
            await asyncio.sleep(wait_s)
            return False
        try:
            async with asyncio.timeout(wait_s):
                await self._head_of(duty.slot).wait()
        except TimeoutError:
            return False
        return True

    def _head_of(self, slot: int) -> asyncio.Event:
        arrived = self._arrived.setdefault(slot, asyncio.Event())
        while len(self._arrived) > SLOTS_MAX:
            del self._arrived[min(self._arrived)]
        return arrived
