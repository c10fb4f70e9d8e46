"""What must hold of the states that simulated nodes prove and give, whatever happened before.

each proof holds     from the first block on, with those before it with which voters changed
one state a height   no two nodes prove different states of one block
what is given        is a state, and its digest that of the node's own block
nothing is hidden    a state that was written and read again has the same digest: else who restarts is on another chain
"""

from collections.abc import Sequence

from tetrarch.ledger.blocks import Block
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.state_chunks import chunks_of, digest_of, read_state
from tetrarch.ledger.state_digest import StateDigest
from tetrarch.ledger.state_giving import first_voters
from tetrarch.ledger.state_parts import CONTENTS
from tetrarch.ledger.state_proofs import check_proofs, decode_proof, needed_proofs
from tetrarch.ledger.state_taking import StateTaking
from tetrarch.ledger.store import LedgerStore
from tetrarch.ledger.tables import Base, first_layer
from tetrarch.network.overlay.profile import STATES
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.sim.ledger_checkers import Broken


async def check_states(
    chains: Sequence[LedgerChain], stores: Sequence[LedgerStore], block0: Block
) -> int:
    """Of all nodes; how many states were proven. Raises Broken, or what is wrong with a proof."""
    proven: dict[int, StateDigest] = {}
    for chain, store in zip(chains, stores, strict=True):
        await _check_proofs(store, block0, proven)
        await _check_given(chain, block0)
        _check_written(chain)
    return len(proven)


async def _check_proofs(store: LedgerStore, block0: Block, proven: dict[int, StateDigest]) -> None:
    first = first_voters(block0)
    proofs = [decode_proof(data) for data in await store.proofs(2**62)]
    for count in range(1, len(proofs) + 1):
        digest = check_proofs(needed_proofs(proofs[:count], first), first, block0.header.id)
        height = proofs[count - 1].state_height
        if proven.setdefault(height, digest) != digest:
            raise Broken(f"two states after the block of height {height}")


async def _check_given(chain: LedgerChain, block0: Block) -> None:
    taking = StateTaking(block0, first_voters(block0))
    contents = await chain.content(STATES, ItemId(CONTENTS))
    if contents is None:
        return
    taking.take(contents)
    taking.choose()
    for step in (taking.prove, taking.taken):
        for part in taking.wanted():
            content = await chain.content(STATES, ItemId(part))
            if content is None or not taking.take(content):
                raise Broken(f"part {part.hex()[:8]} of a state is not given")
        step()


def _check_written(chain: LedgerChain) -> None:
    layer, base = chain.tree.tip.layer, Base()
    base.take(read_state(chunks_of(layer)))
    if digest_of(first_layer(base)) != digest_of(layer):
        raise Broken("a state is another one once it was written and read")
