"""Is what a store holds a chain, all of it, and its state what its blocks make of the first one?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import Place, apply_block, first_place
from tetrarch.ledger.blocks import Block, decode_block
from tetrarch.ledger.cells import TABLES
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.store import Kept, LedgerDamaged, LedgerStore
from tetrarch.ledger.tables import Base, first_layer

PROGRESS_BLOCKS: Final = 1000


@dataclass(frozen=True, slots=True)
class Checked:
    """``finals``: final blocks, the first among them; ``opens``: blocks that are not final."""

    finals: int
    opens: int
    final: Place


async def check_store(
    store: LedgerStore, block0: Block, *, on_progress: Callable[[int, int], None]
) -> Checked:
    """Apply all final blocks anew, and hold the state that is stored against what comes of it. Cost: 1 ms a block and more.

    ``on_progress`` hears how many of how many are done, now and then.

    Raises:
        LedgerDamaged: what is wrong, and at which block.
        StorageCorrupt: a row is none.
    """
    kept = await store.load()
    if kept is None:
        raise LedgerDamaged("check ledger", reason="nothing is stored")
    finals = await store.finals()
    if kept.root.block0 != block0.header.id or finals[0] != block0.header.id:
        raise LedgerDamaged("check ledger", reason="it is of another chain than the first block")
    if finals[-1] != kept.root.id:
        raise LedgerDamaged("check ledger", reason="the state is not that of the last final block")
    base = Base()
    place = first_place(block0, base)
    for height, identity in enumerate(finals[1:], start=1):
        place = _next(place, await _read(store, identity, height), height)
        base.take(place.layer.changes)
        place = replace(place, layer=first_layer(base))
        if height % PROGRESS_BLOCKS == 0:
            on_progress(height, len(finals) - 1)
    _compare(place, kept)
    _check_opens(kept)
    return Checked(len(finals), len(kept.open_blocks), place)


async def _read(store: LedgerStore, identity: BlockId, height: int) -> Block:
    data = await store.block(identity)
    try:
        block = None if data is None else decode_block(data)
    except PeerFault as fault:
        raise LedgerDamaged("check ledger", height=height, reason=fault) from None
    if block is None or block.header.id != identity:
        raise LedgerDamaged("check ledger", height=height, reason="it is missing, or another block")
    return block


def _next(place: Place, block: Block, height: int) -> Place:
    try:
        return apply_block(place, block)
    except PeerFault as fault:
        raise LedgerDamaged("check ledger", height=height, reason=fault) from None


def _compare(place: Place, kept: Kept) -> None:
    for table in TABLES:
        if dict(table.items(place.layer)) != dict(table.items(kept.root.layer)):
            raise LedgerDamaged(
                "check ledger", table=table.name, reason="it is not what the blocks make"
            )


def _check_opens(kept: Kept) -> None:
    places = {kept.root.id: kept.root}
    for block in kept.open_blocks:
        parent = places.get(block.header.parent)
        if parent is not None:
            place = _next(parent, block, block.header.chain_length)
            places[place.id] = place
