"""Gives the newest proven state to nodes that would begin with it, part by part (``state_parts``)."""

from functools import partial
from typing import Final

from tetrarch.ledger.applying import first_place
from tetrarch.ledger.blocks import Block, decode_block
from tetrarch.ledger.finality import Voters
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import membership_of
from tetrarch.ledger.ports import Compute
from tetrarch.ledger.state_chunks import hash_of
from tetrarch.ledger.state_parts import (
    CONTENTS,
    PART_SIZE_BYTES_MAX,
    Contents,
    encode_block_part,
    encode_contents,
)
from tetrarch.ledger.state_proofs import decode_proof, needed_proofs
from tetrarch.ledger.state_store import STATES_KEPT, StateListed
from tetrarch.ledger.store import LedgerStore
from tetrarch.ledger.tables import Base

NO_VOTERS: Final = Voters({})


class StateGiving:
    """Of the states that ``store`` keeps; ``block0``: the chain's first block."""

    def __init__(self, store: LedgerStore, compute: Compute, block0: BlockId) -> None:
        self._store = store
        self._compute = compute
        self._block0 = block0
        self._first: Voters | None = None
        self._contents: dict[int, Contents] = {}  # by height, of those asked for of late

    async def part(self, part: bytes) -> bytes | None:
        """By its hash; the contents of the newest by ``CONTENTS``."""
        if part == CONTENTS:
            contents = await self.contents()
            return None if contents is None else encode_contents(contents)
        for each in self._contents.values():
            if each.block_part == part:
                return await self._block_part(each.block)
        return await self._store.part(part)

    async def contents(self) -> Contents | None:
        """Of the newest state that can be proven to who has the first block."""
        for state in reversed(await self._store.states()):
            if state.height not in self._contents:
                contents = await self._contents_of(state)
                if contents is None:
                    continue
                self._contents[state.height] = contents
                while len(self._contents) > STATES_KEPT:
                    del self._contents[min(self._contents)]
            return self._contents[state.height]
        return None

    async def _contents_of(self, state: StateListed) -> Contents | None:
        block_part = await self._block_part(state.block)
        encoded = await self._store.proofs(state.height)
        first = await self._first_voters()
        needed = await self._compute.run(partial(_needed, encoded, first, state.height))
        if block_part is None or not needed or len(block_part) > PART_SIZE_BYTES_MAX:
            return None
        return Contents(
            height=state.height,
            block=state.block,
            block_part=hash_of(block_part),
            proofs=tuple(map(hash_of, needed)),
            chunks=state.chunks,
        )

    async def _block_part(self, block: BlockId) -> bytes | None:
        data = await self._store.block(block)
        return None if data is None else encode_block_part(decode_block(data))

    async def _first_voters(self) -> Voters:
        """Of the first block, which is always there."""
        if self._first is None:
            data = await self._store.block(self._block0)
            self._first = NO_VOTERS if data is None else first_voters(decode_block(data))
        return self._first


def first_voters(block0: Block) -> Voters:
    """Who votes from a chain's beginning on."""
    return membership_of(first_place(block0, Base()).layer).members


def _needed(encoded: tuple[bytes, ...], first: Voters, height: int) -> list[bytes]:
    """Of all proofs up to a state those that prove it; none: its own is not among them."""
    proofs = list(map(decode_proof, encoded))
    if not proofs or proofs[-1].state_height != height:
        return []
    data_of = {proof.state_height: data for proof, data in zip(proofs, encoded, strict=True)}
    return [data_of[proof.state_height] for proof in needed_proofs(proofs, first)]
