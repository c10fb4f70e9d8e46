"""What is proven once blocks are final: a proof for each state digest, and the newest state whole.

It is made before the blocks are written as final, and written with them.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Final

from tetrarch.ledger.applying import Place
from tetrarch.ledger.blocks import decode_block
from tetrarch.ledger.finality import Certificate
from tetrarch.ledger.membership import membership_of
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.state_chunks import chunks_of
from tetrarch.ledger.state_digest import was_digested
from tetrarch.ledger.state_parts import PART_SIZE_BYTES_MAX
from tetrarch.ledger.state_proofs import HEADERS_MAX, StateProof, encode_proof
from tetrarch.ledger.state_store import Proven, StateKept

NOT_PROVEN_MEND: Final = (
    "the next epoch's state can be proven again; until then nodes begin with an older one"
)


class Proving:
    """Reads blocks from the store of ``ports``."""

    def __init__(self, ports: LedgerPorts) -> None:
        self._ports = ports

    async def proven(self, line: Sequence[Place], certificate: Certificate) -> Proven:
        """By a certificate that makes all blocks of ``line`` final but the last, its target; oldest first.

        Cost: if one of them begins an epoch, that of writing the state.
        """
        found: list[tuple[int, bytes]] = []
        newest: Place | None = None
        for number, (state, place) in enumerate(pairwise(line), start=2):
            if not was_digested(place.layer.changes):
                continue
            proof = await self._proof(state, place, line[number:], certificate)
            if proof is None:
                continue
            found.append((state.header.chain_length, proof))
            if place.header.date.epoch > state.header.date.epoch:
                newest = state
        if newest is None:
            return Proven(tuple(found))
        chunks = await self._ports.compute.run(partial(_chunks, newest))
        return Proven(tuple(found), StateKept(newest.header.chain_length, newest.id, chunks))

    async def _proof(
        self, state: Place, place: Place, above: Sequence[Place], certificate: Certificate
    ) -> bytes | None:
        data = await self._ports.store.block(place.id)
        if data is None or len(above) > HEADERS_MAX:
            return None
        headers = tuple(each.header for each in above)
        voters = membership_of(state.layer).members
        proof = encode_proof(StateProof(decode_block(data), headers, certificate, voters))
        if len(proof) > PART_SIZE_BYTES_MAX:
            self._ports.log.warning(
                "state_not_proven",
                height=state.header.chain_length,
                bytes=len(proof),
                maximum=PART_SIZE_BYTES_MAX,
                mend=NOT_PROVEN_MEND,
            )
            return None
        return proof


def _chunks(state: Place) -> tuple[bytes, ...]:
    return tuple(chunks_of(state.layer))
