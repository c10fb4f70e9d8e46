"""The garbage collector's long pauses, kept out of the way of duties.

A full collection walks every object and holds the event loop meanwhile: with a thousand validators
some 60 ms of processor time. Automatic ones come at any moment; these come every fourth slot, late in
the slot, when its votes, blocks and aggregates are done and those of the next not begun, and walk
only what those four slots made.
"""

import asyncio
import gc
from collections.abc import Callable
from itertools import count

from tetrarch.clock import Clock
from tetrarch.ethereum.spec.chain import ChainSpec

QUIET_MS_SHARE = 11 / 12  # of the slot: aggregates begin at 2/3, the next slot's work at its start
NEVER = 1_000_000_000
EVERY_SLOTS = 4  # a thousand validators' duties leave some 2 ms of walking a slot
WHOLE_EVERY_COLLECTIONS = 1_800  # a day on mainnet


def freeze_start() -> None:
    """What the start made lives as long as the node: full collections need not walk it.

    One that walks its 100,000 objects pauses the event loop, and so a duty, for some 60 ms. So
    none is made here either: it finds nothing.
    """
    gc.freeze()


async def collect_quietly(
    chain: ChainSpec, clock: Clock, *, collect: Callable[[], object] = gc.collect
) -> None:
    """Collect every few slots until cancelled; meanwhile nothing else collects all generations.

    What lives after one is frozen, so each walks only what those slots made: walking all that a
    thousand validators keep, or that an epoch of their duties makes, would hold the loop for more
    than 20 ms. What was frozen and dies in a cycle stays, so once a day all is walked.
    """
    young, middle, full = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)
    try:
        for number in count(1):
            await _quiet_moment(chain, clock)
            if number % WHOLE_EVERY_COLLECTIONS == 0:
                gc.unfreeze()
            collect()
            gc.freeze()
    finally:
        gc.set_threshold(young, middle, full)


async def _quiet_moment(chain: ChainSpec, clock: Clock) -> None:
    """Sleep until late in the next slot of every fourth, none of which is an epoch's last."""
    after = max(chain.slot_at(clock.wall_s()), 0) + 1
    slot = after + (EVERY_SLOTS // 2 - after) % EVERY_SLOTS
    moment_s = chain.slot_start_s(slot) + QUIET_MS_SHARE * chain.slot_duration_ms / 1000
    # The wall clock may be set while we sleep: look again at least once a slot.
    while (left_s := moment_s - clock.wall_s()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left_s, chain.slot_duration_ms / 1000))
