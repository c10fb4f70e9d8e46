"""The ledger as the overlay's chain: takes blocks and fragments, judges them, keeps what holds, and tells what there is.

    block      read, linked, its slot has begun, applied (in a thread), written, put on the tree   here
    fragment   read, its signature verified, put with those that wait                              ``pooling``
    tidings    of members: votes, certificates of them, changes of members, spans                  ``tidings``
    decided    which branch counts and what is final                                               ``deciding``

One block is taken at a time. It is on disk before anybody hears of it; a crash in between leaves a block that is applied again.
"""

import asyncio
from collections import Counter
from functools import partial
from typing import Final, Self

from tetrarch.errors import PeerFault
from tetrarch.ledger.answers import Answers
from tetrarch.ledger.applying import (
    BlockRefused,
    Place,
    apply_block,
    check_link,
    first_place,
)
from tetrarch.ledger.blocks import Block, Fragment, decode_block
from tetrarch.ledger.cells import TABLES
from tetrarch.ledger.checkpoints import standing_of
from tetrarch.ledger.deciding import Deciding
from tetrarch.ledger.elections import Election
from tetrarch.ledger.finality import Certificate
from tetrarch.ledger.fragment_log import FragmentLog
from tetrarch.ledger.headers import Header
from tetrarch.ledger.main_chain import MainChain
from tetrarch.ledger.membership import Change, is_change
from tetrarch.ledger.mempool import Mempool
from tetrarch.ledger.news import News
from tetrarch.ledger.opinion import Opinion
from tetrarch.ledger.pooling import Pooling
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.state_giving import StateGiving
from tetrarch.ledger.store import LedgerDamaged
from tetrarch.ledger.tables import Base, Cell
from tetrarch.ledger.tidings import Tidings
from tetrarch.ledger.tree import BRANCHING_MAX, Tree
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS, Topic
from tetrarch.network.overlay.spreading import ItemId

FULL_MEND: Final = "a quorum of the members must vote again; until then nothing more is taken"
# That a block's slot may begin later by our clock: clocks may be off by a slot each.
AHEAD_SLOTS_MAX: Final = 2


class LedgerChain(Answers):
    """Implements ``ChainPort``; see the module. ``open`` makes one."""

    def __init__(self, ports: LedgerPorts, tree: Tree, main: MainChain, mempool: Mempool) -> None:
        """``tree`` and ``main`` have what was stored."""
        self.opinion = Opinion(tree)
        self.news = News()
        self.taken: Counter[tuple[str, Verdict]] = (
            Counter()
        )  # blocks and fragments that came, since the start
        self._ports = ports
        self._taking = asyncio.Lock()
        self._pooling = Pooling(ports, tree, mempool)
        self._deciding = Deciding(
            ports,
            tree=tree,
            main=main,
            opinion=self.opinion,
            pooling=self._pooling,
            news=self.news,
        )
        tidings = Tidings(ports, tree, self.opinion, self.news, self._certify)
        giving = StateGiving(ports.store, ports.compute, main.block0)
        super().__init__(ports.store, tree, main, mempool, tidings, giving=giving)

    @classmethod
    async def open(
        cls,
        ports: LedgerPorts,
        block0: Block,
        *,
        mempool: Mempool | None = None,
        blocks_max: int = BRANCHING_MAX,
    ) -> Self:
        """As it was left, or begun with ``block0``.

        Raises:
            LedgerDamaged: what is stored is no chain, or another's; GenesisInvalid: ``block0`` begins none.
        """
        kept = await ports.store.load()
        if kept is None:
            base = Base()
            root = first_place(block0, base)
            await ports.store.begin(block0, _all_cells(root))
            kept = await ports.store.load()
        if kept is None or kept.root.block0 != block0.header.id:
            raise LedgerDamaged("open ledger", reason="it is of another chain than the first block")
        finals = await ports.store.finals()
        if not finals.blocks or finals.blocks[-1] != kept.root.id:
            raise LedgerDamaged("open ledger", reason="its final blocks are not all there")
        tree = Tree(kept.base, kept.root, blocks_max=blocks_max)
        main = MainChain(tree, finals.blocks, lowest=finals.lowest)
        chain = cls(ports, tree, main, mempool or Mempool())
        for block in kept.open_blocks:
            await chain._apply_again(block)
        for certificate in kept.certificates:
            chain.opinion.accept(certificate)  # it held when it was written
        await chain._deciding.go_by(standing_of(kept.root.layer).justified, None)
        return chain

    # -- what comes -------------------------------------------------------------------------------

    async def take(self, topic: Topic, content: bytes) -> Verdict:
        """See ``ChainPort``."""
        if topic == BLOCKS:
            async with self._taking:
                verdict = await self._take_block(content)
            self.taken["block", verdict] += 1
            return verdict
        taking = self.tidings.take(Fragment(content))
        if taking is not None:
            return await taking
        verdict = await self._pooling.take(content)
        self.taken["fragment", verdict] += 1
        return verdict

    @property
    def fragment_log(self) -> FragmentLog:
        """What became of fragments."""
        return self._pooling.log

    def change_for(self, parent: Place) -> Change | None:
        """The change of members that waits, if it holds in a block upon ``parent``."""
        return self.tidings.change_for(parent)

    def election_for(self, parent: Place) -> Election | None:
        """The certified leader that waits, if it is news in a block upon ``parent``."""
        return self.tidings.election_for(parent)

    def check_fragment(self, data: Fragment) -> None:
        """Whether a fragment could wait here now, and be in the next block after those of its payer that wait.

        Raises:
            PeerFault: it could not, and why.
        """
        if is_change(data):
            self.tidings.check_change(data)
        else:
            self._pooling.check(data)

    async def _take_block(self, content: bytes) -> Verdict:
        try:
            block = decode_block(content)
        except PeerFault as fault:
            return self._ports.refused("block", fault)
        header = block.header
        if self.height_of(ItemId(header.id)) is not None:
            return Verdict.KNOWN
        parent = self.tree.get(header.parent)
        if parent is None:
            return self._without_parent(header)
        if self.tree.is_full:  # before it is written: else the disk fills, and a start takes long
            self._ports.log.warning("ledger_full", blocks=len(self.tree), mend=FULL_MEND)
            return Verdict.STALE
        try:
            check_link(parent, header)  # its slot is one of its epoch
            self._check_time(parent, block)
            place = await self._ports.compute.run(partial(apply_block, parent, block))
        except PeerFault as fault:
            return self._ports.refused("block", fault, block=header.id.hex())
        await self._ports.store.add(block)
        await self._place(block, place)
        return Verdict.NEW

    async def _place(self, block: Block, place: Place) -> None:
        self.tidings.note_block(block)
        await self._deciding.place(block, place)

    def _without_parent(self, header: Header) -> Verdict:
        """It may stand upon a block that has not come yet; not upon one that is undone for good."""
        is_late = header.chain_length <= self.tree.final.header.chain_length
        is_undone = self._deciding.is_undone(header.parent)
        if not (is_late or is_undone or self.main.is_final(header.parent)):
            return Verdict.ORPHAN
        self._deciding.remember_undone(header.id)
        return Verdict.STALE

    def _check_time(self, parent: Place, block: Block) -> None:
        settings = parent.settings
        starts_s = settings.frame.starts_s(settings.era.slot(block.header.date))
        ahead_s = starts_s - self._ports.clock.wall_s()
        if ahead_s > AHEAD_SLOTS_MAX * settings.frame.slot_duration_s:
            raise BlockRefused(
                "take block",
                date=str(block.header.date),
                ahead_s=round(ahead_s, 3),
                reason="its slot has not begun",
            )

    async def _certify(self, certificate: Certificate) -> None:
        async with self._taking:
            await self._deciding.certify(certificate)

    # -- from disk --------------------------------------------------------------------------------

    async def _apply_again(self, block: Block) -> None:
        parent = self.tree.get(block.header.parent)
        if parent is None:
            return  # what it stood upon did not hold, or is undone
        try:
            place = await self._ports.compute.run(partial(apply_block, parent, block))
        except PeerFault as fault:
            raise LedgerDamaged(
                "open ledger", block=block.header.id.hex(), reason=str(fault)
            ) from None
        await self._place(block, place)


def _all_cells(root: Place) -> dict[Cell, object]:
    return {(table.name, key): value for table in TABLES for key, value in table.items(root.layer)}
