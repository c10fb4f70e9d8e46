"""The garbage collector's long pauses, kept out of the way of duties.

A full collection walks every object and holds the event loop meanwhile: with a thousand validators
some 26 ms of processor time. Automatic ones come at any moment; these come once an epoch, late in a
slot, when votes, blocks and aggregates of the slot are done and those of the next not begun.
"""

import asyncio
import gc
from collections.abc import Callable
from itertools import count

from tetrarch.clock import Clock
from tetrarch.ethereum.spec.chain import ChainSpec

QUIET_MS_SHARE = 11 / 12  # of the slot: aggregates begin at 2/3, the next slot's work at its start
NEVER = 1_000_000_000
WHOLE_EVERY_EPOCHS = 225  # a day on mainnet


def freeze_start() -> None:
    """What the start made lives as long as the node: full collections need not walk it.

    One that walks its 100,000 objects pauses the event loop, and so a duty, for some 60 ms.
    """
    gc.collect()
    gc.freeze()


async def collect_quietly(
    chain: ChainSpec, clock: Clock, *, collect: Callable[[], object] = gc.collect
) -> None:
    """Collect once an epoch until cancelled; meanwhile nothing else collects all generations.

    What lives after one is frozen, so each walks only what the last epoch made: walking all that a
    thousand validators keep would hold the loop for more than 20 ms. What was frozen and dies
    in a cycle stays, so once a day all is walked.
    """
    young, middle, full = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)
    try:
        for epoch in count(1):
            await _quiet_moment(chain, clock)
            if epoch % WHOLE_EVERY_EPOCHS == 0:
                gc.unfreeze()
            collect()
            gc.freeze()
    finally:
        gc.set_threshold(young, middle, full)


async def _quiet_moment(chain: ChainSpec, clock: Clock) -> None:
    """Sleep until late in the next slot that is in the middle of an epoch."""
    after = max(chain.slot_at(clock.wall_s()), 0) + 1
    middle = chain.slots_per_epoch // 2
    slot = after + (middle - after) % chain.slots_per_epoch
    moment_s = chain.slot_start_s(slot) + QUIET_MS_SHARE * chain.slot_duration_ms / 1000
    # The wall clock may be set while we sleep: look again at least once a slot.
    while (left_s := moment_s - clock.wall_s()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left_s, chain.slot_duration_ms / 1000))
