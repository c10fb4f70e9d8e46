"""Is what a store holds a chain, all of it, and its state what its blocks make of the first one?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import Place, apply_block, first_place
from tetrarch.ledger.blocks import Block, decode_block
from tetrarch.ledger.cells import TABLES
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import membership_of
from tetrarch.ledger.state_chunks import StateRefused, chunk_id, read_state, state_hash
from tetrarch.ledger.state_proofs import check_proofs, decode_proof, needed_proofs
from tetrarch.ledger.store import Finals, Kept, LedgerDamaged, LedgerStore
from tetrarch.ledger.tables import Base, first_layer

PROGRESS_BLOCKS: Final = 1000


@dataclass(frozen=True, slots=True)
class Checked:
    """``finals``: final blocks that are there, the first among them; ``lowest``: from which height on they are; ``opens``:
    blocks that are not final.
    """

    finals: int
    lowest: int
    opens: int
    final: Place


async def check_store(
    store: LedgerStore, block0: Block, *, on_progress: Callable[[int, int], None]
) -> Checked:
    """Apply all final blocks anew, and hold the state that is stored against what comes of it. Cost: 1 ms a block and more.

    From the first block on; where blocks are there from a later one on, from the oldest state that is kept, once its proofs
    hold. ``on_progress`` hears how many of how many are done, now and then.

    Raises:
        LedgerDamaged: what is wrong, and at which block.
        StorageCorrupt: a row is none.
    """
    kept = await store.load()
    if kept is None:
        raise LedgerDamaged("check ledger", reason="nothing is stored")
    finals = await store.finals()
    if kept.root.block0 != block0.header.id:
        raise LedgerDamaged("check ledger", reason="it is of another chain than the first block")
    if not finals.blocks or finals.blocks[-1] != kept.root.id:
        raise LedgerDamaged("check ledger", reason="the state is not that of the last final block")
    base = Base()
    place = await _begin(store, block0, finals, base)
    begin = place.header.chain_length
    rest = finals.blocks[begin - finals.lowest + 1 :]
    for height, identity in enumerate(rest, start=begin + 1):
        place = _next(place, await _read(store, identity, height), height)
        base.take(place.layer.changes)
        place = replace(place, layer=first_layer(base))
        if height % PROGRESS_BLOCKS == 0:
            on_progress(height - begin, len(rest))
    _compare(place, kept)
    _check_opens(kept)
    count = len(finals.blocks) + (finals.lowest > 0)
    return Checked(count, finals.lowest, len(kept.open_blocks), place)


async def _begin(store: LedgerStore, block0: Block, finals: Finals, base: Base) -> Place:
    """From where blocks are applied anew."""
    first = first_place(block0, base)
    if not finals.lowest:
        if finals.blocks[0] != block0.header.id:
            raise LedgerDamaged("check ledger", height=0, reason="it is another block")
        return first
    states = [each for each in await store.states() if each.height >= finals.lowest]
    if not states:
        raise LedgerDamaged(
            "check ledger", lowest_height=finals.lowest, reason="no state is kept to begin with"
        )
    state = states[0]
    block = await _read(store, state.block, state.height)
    proofs = await store.proofs(state.height)
    chunks = [await store.part(each) or b"" for each in state.chunks]
    try:
        voters = membership_of(first.layer).members
        needed = needed_proofs(map(decode_proof, proofs), voters)
        digest = check_proofs(needed, voters, block0.header.id)
        if digest.state != state_hash(map(chunk_id, chunks)):
            raise StateRefused("check ledger", reason="it is not what its proof says")
        base.replace(read_state(chunks))
    except PeerFault as fault:
        raise LedgerDamaged("check ledger", height=state.height, reason=fault) from None
    return Place(block0.header.id, block.header.id, block.header, first_layer(base))


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
