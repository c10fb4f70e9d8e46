"""What counts and what is final: certificates and blocks go in, the tree's branches and the store follow.

Each step is on disk before anybody hears of it. One goes at a time: the caller sees to that.
"""

from collections.abc import Sequence
from typing import Final

from tetrarch.ledger.applying import Place, split_content
from tetrarch.ledger.blocks import Block, Fragment, decode_block
from tetrarch.ledger.checkpoints import decode_certificate, standing_of
from tetrarch.ledger.finality import Certificate, Checkpoint, VoteRefused
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.main_chain import MainChain
from tetrarch.ledger.news import News
from tetrarch.ledger.opinion import Opinion
from tetrarch.ledger.pooling import Pooling
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.proving import Proving
from tetrarch.ledger.state_store import STATES_KEPT, Proven
from tetrarch.ledger.tree import Switch, Tree

UNDONE_MAX: Final = 8192
PRUNED_MAX: Final = 256  # blocks at a time


class Deciding:
    """``opinion`` says what is justified; ``tree``, ``main`` and what waits in ``pooling`` follow."""

    def __init__(
        self,
        ports: LedgerPorts,
        *,
        tree: Tree,
        main: MainChain,
        opinion: Opinion,
        pooling: Pooling,
        news: News,
    ) -> None:
        self._ports, self._tree, self._main = ports, tree, main
        self._opinion, self._pooling, self._news = opinion, pooling, news
        # Of late: whoever is on them would be asked for them again and again.
        self._undone: dict[BlockId, None] = {}
        self._proving = Proving(ports)
        self._prune_below = 0

    async def place(self, block: Block, place: Place) -> None:
        """A block that holds is on the tree: what it makes count, justified and final, whichever branch it is on."""
        await self._switch(self._tree.add(place), block)
        before, certificates = self._opinion.justified, _certificates(block)
        self._opinion.note(place)
        await self.go_by(before, standing_of(place.layer).final.block, certificates)
        for certificate in self._opinion.waiting():
            await self.certify(certificate)

    async def certify(self, certificate: Certificate) -> None:
        """By votes that were verified. It is on disk before anybody votes upon it."""
        try:
            if not self._opinion.judge(certificate):
                return
        except VoteRefused as fault:
            self._ports.refused("certificate", fault)
            return
        await self._ports.store.certify(certificate)
        before, link = self._opinion.justified, certificate.link
        self._opinion.accept(certificate)
        final = link.source.block if link.makes_final else None
        await self.go_by(before, final, (certificate,))
        for waiting in self._opinion.waiting():
            await self.certify(waiting)

    async def go_by(
        self,
        before: Checkpoint,
        final: BlockId | None,
        certificates: Sequence[Certificate] = (),
    ) -> None:
        """What is justified may be another checkpoint than ``before``, and ``final`` may be news, by one of ``certificates``."""
        justified = self._opinion.justified
        if justified != before:
            if self._tree.get(justified.block) is not None:
                await self._switch(self._tree.justify(justified.block))
            self._news.on_justified.tell()
        place = None if final is None else self._tree.get(final)
        if place is not None and place.id != self._tree.final.id:
            await self._finalize(place, certificates)

    def is_undone(self, block: BlockId) -> bool:
        """Whether it stood on a branch that can never count any more, of late."""
        return block in self._undone

    def remember_undone(self, *blocks: BlockId) -> None:
        """They do, whether they were here or not."""
        self._undone.update(dict.fromkeys(blocks))
        while len(self._undone) > UNDONE_MAX:
            del self._undone[next(iter(self._undone))]

    async def _finalize(self, final: Place, certificates: Sequence[Certificate]) -> None:
        """On disk first. What does not stand upon it is dropped."""
        tree = self._tree
        finals, dropped = tree.plan(final.id)
        if any(each.id == tree.tip.id for each in finals[:-1]) or tree.tip.id in dropped:
            await self._switch(tree.justify(final.id))
        carried = self._opinion.carried_by(final)
        proven = await self._proven(finals, certificates)
        await self._ports.store.finalize(finals, dropped, carried, proven)
        await self._switch(tree.finalize(final.id)[1])
        self.remember_undone(*dropped)
        self._opinion.forget(carried)
        self._main.made_final(finals)
        self._news.on_final.tell(finals)
        if proven.state is not None:
            self._prune_below = await self._lowest_state()
        await self._prune()

    async def _proven(self, finals: Sequence[Place], certificates: Sequence[Certificate]) -> Proven:
        """The last of ``finals`` is final by one of ``certificates``."""
        checkpoint = finals[-1].checkpoint
        for certificate in certificates:
            link = certificate.link
            target = self._tree.get(link.target.block)
            if link.makes_final and link.source == checkpoint and target is not None:
                return await self._proving.proven((*finals, target), certificate)
        return Proven()

    async def _lowest_state(self) -> int:
        """Blocks from it on are kept in any case: who begins with it asks for them."""
        states = await self._ports.store.states()
        return states[0].height if len(states) == STATES_KEPT else 0

    async def _prune(self) -> None:
        """Some at a time, so that nothing waits for it."""
        if self._ports.prunes and self._main.lowest < self._prune_below:
            lowest = await self._ports.store.prune(self._prune_below, count_max=PRUNED_MAX)
            self._main.pruned(lowest)

    async def _switch(self, switch: Switch | None, block: Block | None = None) -> None:
        """``block``: one that came just now, so that it is not read again."""
        if switch is None:
            return
        self._main.switched(switch)
        places = (*switch.done, *switch.undone)
        paid = {place.id: await self._paid(place, block) for place in places}
        self._pooling.settle(switch, paid)
        self._news.on_switch.tell(switch)

    async def _paid(self, place: Place, block: Block | None) -> tuple[Fragment, ...]:
        """What accounts paid for in a block."""
        if not place.header.content_size_bytes:
            return ()
        if block is None or block.header.id != place.id:
            data = await self._ports.store.block(place.id)
            if data is None:
                return ()
            block = decode_block(data)
        return split_content(block).paid


def _certificates(block: Block) -> tuple[Certificate, ...]:
    """Of a block that holds."""
    return tuple(map(decode_certificate, split_content(block).certificates))
