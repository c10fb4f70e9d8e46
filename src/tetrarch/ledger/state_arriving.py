"""Begins a node with a state that others give, instead of with all blocks: an overlay's chain until it is here.

    every second   ask all linked nodes for contents, until some are chosen
    at once        ask for parts that are wanted, several at a time: proofs of all, each chunk of one; what does not come, of another
    at the end     write state, block and proofs; then the ledger opens as after a restart

What came before a crash is asked for again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final, Protocol

from tetrarch.errors import PeerFault
from tetrarch.ledger.blocks import Block
from tetrarch.ledger.ports import Compute
from tetrarch.ledger.state_chunks import StateRefused
from tetrarch.ledger.state_giving import first_voters
from tetrarch.ledger.state_parts import CONTENTS, PART_SIZE_BYTES_MAX
from tetrarch.ledger.state_taking import StateTaking
from tetrarch.ledger.store import LedgerStore
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.empty_chain import EmptyChain
from tetrarch.network.overlay.profile import STATES, NodeId, Topic
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.observability.logs import Log, error_fields

ROUND_S: Final = 1.0
GATHER_S: Final = 3.0  # for contents of several nodes, from the first on
AGAIN_S: Final = 3.0  # until a part is asked for once more
STUCK_S: Final = 20.0  # without a part: what was chosen is put aside
PROOFS_S: Final = 120.0  # for all proofs: who told of them may give them ever so slowly
AT_ONCE: Final = 8  # parts that are under way
WARN_S: Final = 30.0
NONE_GIVEN_MEND: Final = (
    "a chain has a state to begin with after its first epoch, if its blocks become final;"
    " else start this node without a state, and it takes all blocks"
)


class Giver(Protocol):
    """An overlay, as far as this goes."""

    @property
    def links(self) -> Iterable[NodeId]:
        """Who is linked."""
        ...

    def ask(self, node: NodeId, topic: Topic, item: ItemId) -> bool:
        """False: there is no link."""
        ...


class ArrivingChain(EmptyChain):
    """The first block alone, for the overlay."""

    @property
    def content_max_bytes(self) -> int:
        """A part of a state."""
        return PART_SIZE_BYTES_MAX

    def has(self, topic: Topic, item: ItemId) -> bool:
        """All: until it has a state, it asks nobody for blocks."""
        del topic, item
        return True


class StateArriving:
    """``run`` it beside an overlay whose chain is ``chain`` and that gives parts to ``take``; it ends when the store holds a state."""

    def __init__(
        self, store: LedgerStore, compute: Compute, block0: Block, log: Log, *, random: Random
    ) -> None:
        self.chain = ArrivingChain(block0.header.id)
        self._store, self._compute, self._block0, self._log = store, compute, block0, log
        self._random = random
        self._taking = StateTaking(block0, first_voters(block0))
        self._came = asyncio.Event()
        self._asked_s: dict[bytes, float] = {}
        self._latest_s = 0.0  # when something of use came

    async def run(self, giver: Giver) -> None:
        """Until a state is written."""
        taken = None
        while taken is None:
            await self._choose(giver)
            try:
                async with asyncio.timeout(PROOFS_S):
                    await self._fetch(giver)
                await self._compute.run(self._taking.prove)
                await self._fetch(giver)
                taken = await self._compute.run(self._taking.taken)
            except (PeerFault, TimeoutError) as error:
                self._log.warning("state_put_aside", **_fields(error))
                self._taking.aside()
        await self._store.begin_with(self._block0, taken.block, taken.cells, taken.proven)
        header = taken.block.header
        self._log.info(
            "state_taken",
            height=header.chain_length,
            date=str(header.date),
            block=header.id.hex(),
            cells=len(taken.cells),
        )

    def take(self, giver: NodeId, part: bytes) -> Verdict:
        """What ``giver`` sent."""
        try:
            is_of_use = self._taking.take(part, giver)
        except PeerFault as fault:
            self._log.debug("state_part_refused", **error_fields(fault))
            return Verdict.INVALID
        if is_of_use:
            self._latest_s = _now_s()
            self._came.set()
        return Verdict.NEW if is_of_use else Verdict.STALE

    async def _choose(self, giver: Giver) -> None:
        """The highest that some tell of; of several nodes, if there are."""
        first_s, warned_s = None, _now_s()
        while first_s is None or _now_s() - first_s < GATHER_S:
            nodes = tuple(giver.links)
            for node in nodes:
                giver.ask(node, STATES, ItemId(CONTENTS))
            await asyncio.sleep(ROUND_S)
            if first_s is None and self._taking.candidates:
                first_s = _now_s()
            if first_s is None and _now_s() - warned_s > WARN_S:
                warned_s = _now_s()
                self._log.warning("no_state_given", linked_nodes=len(nodes), mend=NONE_GIVEN_MEND)
        chosen = self._taking.choose()
        assert chosen is not None, "there were candidates"
        self._log.info("state_chosen", height=chosen.height, chunks=len(chosen.chunks))

    async def _fetch(self, giver: Giver) -> None:
        """All that is wanted. Raises StateRefused: nobody gives it."""
        self._latest_s = _now_s()
        self._asked_s.clear()
        while wanted := self._taking.wanted():
            if _now_s() - self._latest_s > STUCK_S:
                raise StateRefused("take state", missing=len(wanted), reason="nobody gives it")
            self._ask(giver, wanted)
            self._came.clear()
            try:
                async with asyncio.timeout(ROUND_S):
                    await self._came.wait()
            except TimeoutError:
                have, total = self._taking.progress()
                self._log.info("state_arriving", chunks=have, of=total)

    def _ask(self, giver: Giver, wanted: Sequence[bytes]) -> None:
        nodes, now_s = tuple(giver.links), _now_s()
        under_way = [part for part in wanted if now_s - self._asked_s.get(part, -AGAIN_S) < AGAIN_S]
        waiting = [part for part in wanted if part not in under_way] if nodes else []
        for part in waiting[: AT_ONCE - len(under_way)]:
            self._asked_s[part] = now_s
            # Proofs are each node's own, so that most have not this one; chunks are the same everywhere.
            chosen = [self._random.choice(nodes)] if self._taking.is_proven else nodes
            for node in chosen:
                giver.ask(node, STATES, ItemId(part))


def _fields(error: PeerFault | TimeoutError) -> dict[str, object]:
    if isinstance(error, PeerFault):
        return error_fields(error)
    return {"reason": "its proofs come too slowly", "limit_s": PROOFS_S}


def _now_s() -> float:
    return asyncio.get_running_loop().time()
