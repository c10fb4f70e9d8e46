"""The ledger as the overlay's chain: takes blocks and fragments, judges them, keeps what holds, and tells what there is.

    block        read, linked, its slot has begun, applied (in a thread), written, put on the tree
    fragment     read, its signature verified, put with those that wait
    vote         read, its signature verified, put with the others
    span         asked for by a holder of keys that may have copies, or granted to it: verified, told to who deals with it
    certificate  of votes: written; the branches that count, and what is final, go by it; also told by others

One block is taken at a time. It is on disk before anybody hears of it; a crash in between leaves a block that is applied again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, Self, TypeVar

from tetrarch.clock import Clock
from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.answers import Answers
from tetrarch.ledger.applying import (
    BlockRefused,
    Place,
    apply_block,
    check_link,
    first_place,
    split_content,
)
from tetrarch.ledger.ballots import Contradiction
from tetrarch.ledger.blocks import Block, Fragment, decode_block, fragment_id
from tetrarch.ledger.cells import TABLES
from tetrarch.ledger.checkpoints import decode_certificate, is_certificate, standing_of
from tetrarch.ledger.finality import Certificate, Checkpoint, VoteRefused, decode_vote, is_vote
from tetrarch.ledger.fragments.kind import Where, where_upon
from tetrarch.ledger.fragments.signed import (
    SignedFragment,
    apply_fragment,
    check_signature,
    decode_fragment,
)
from tetrarch.ledger.headers import BlockId, Header
from tetrarch.ledger.main_chain import MainChain
from tetrarch.ledger.membership import (
    Change,
    ChangeRefused,
    apply_change,
    decode_change,
    is_change,
)
from tetrarch.ledger.mempool import Mempool, NotPooled, check_waiting
from tetrarch.ledger.opinion import Opinion
from tetrarch.ledger.reservations import (
    Request,
    Span,
    decode_receipt,
    decode_request,
    is_receipt,
    is_request,
)
from tetrarch.ledger.span_desk import SpanDesk
from tetrarch.ledger.store import LedgerDamaged, LedgerStore
from tetrarch.ledger.tables import Base, Cell
from tetrarch.ledger.tree import BRANCHING_MAX, Switch, Tree
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS, Topic
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.observability.logs import Log, error_fields

FULL_MEND: Final = "a quorum of the members must vote again; until then nothing more is taken"
UNDONE_MAX: Final = 8192
TOLD_MAX: Final = 256
AHEAD_SLOTS_MAX: Final = (
    2  # that a block's slot may begin later by our clock: clocks may be off by a slot each
)
_T = TypeVar("_T")


class Compute(Protocol):
    """Threads, as far as this goes (``compute``)."""

    async def run(self, function: Callable[[], _T], /) -> _T:
        """What ``function`` gives."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPorts:
    """The world, as a ledger sees it."""

    store: LedgerStore
    compute: Compute
    clock: Clock
    log: Log


class LedgerChain(Answers):
    """Implements ``ChainPort``; see the module. ``open`` makes one."""

    def __init__(self, ports: LedgerPorts, tree: Tree, main: MainChain, mempool: Mempool) -> None:
        """``tree`` and ``main`` have what was stored."""
        super().__init__(ports.store, tree, main, mempool)
        self.opinion = Opinion(tree)
        self._ports = ports
        self._taking = asyncio.Lock()
        # Of late: whoever is on them would be asked for them again and again.
        self._undone: dict[BlockId, None] = {}
        self._change: Change | None = None  # that waits for a block
        self._on_switch: list[Callable[[Switch], None]] = []
        self._on_final: list[Callable[[tuple[Place, ...]], None]] = []
        self._on_justified: list[Callable[[], None]] = []
        self._on_behind: list[Callable[[int], None]] = []
        self.desk = SpanDesk()
        self._on_span_asked: list[Callable[[Request], None]] = []
        self._on_span_granted: list[Callable[[Span], None]] = []

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
        if not finals or finals[-1] != kept.root.id:
            raise LedgerDamaged("open ledger", reason="its final blocks are not all there")
        tree = Tree(kept.base, kept.root, blocks_max=blocks_max)
        chain = cls(ports, tree, MainChain(tree, finals), mempool or Mempool())
        for block in kept.open_blocks:
            await chain._apply_again(block)
        for certificate in kept.certificates:
            chain.opinion.accept(certificate)  # it held when it was written
        await chain._go_by(standing_of(kept.root.layer).justified, None)
        return chain

    def on_switch(self, handler: Callable[[Switch], None]) -> None:
        """Call ``handler`` when another block is the end of the branch that counts."""
        self._on_switch.append(handler)

    def on_final(self, handler: Callable[[tuple[Place, ...]], None]) -> None:
        """Call ``handler`` with blocks that are final from now on, oldest first."""
        self._on_final.append(handler)

    def on_justified(self, handler: Callable[[], None]) -> None:
        """Call ``handler`` when a quorum voted for a later checkpoint."""
        self._on_justified.append(handler)

    def on_behind(self, handler: Callable[[int], None]) -> None:
        """Call ``handler`` with the height that a voter knows to be justified, when we know of a higher one."""
        self._on_behind.append(handler)

    def on_span_asked(self, handler: Callable[[Request], None]) -> None:
        """Call ``handler`` with what a voter asks to be reserved for it."""
        self._on_span_asked.append(handler)

    def on_span_granted(self, handler: Callable[[Span], None]) -> None:
        """Call ``handler`` with a span that a voter keeps for its holder; ``desk`` has the receipts."""
        self._on_span_granted.append(handler)

    # -- what comes -------------------------------------------------------------------------------

    async def take(self, topic: Topic, content: bytes) -> Verdict:
        """See ``ChainPort``."""
        if topic != BLOCKS:
            return await self._taker_of(content)(content)
        async with self._taking:
            return await self._take_block(content)

    async def _take_block(self, content: bytes) -> Verdict:
        try:
            block = decode_block(content)
        except PeerFault as fault:
            return self._refused("block_unreadable", fault)
        header = block.header
        if self.height_of(ItemId(header.id)) is not None:
            return Verdict.KNOWN
        parent = self.tree.get(header.parent)
        if parent is None:
            return self._without_parent(header)
        if self.tree.is_full:  # before it is written: else the disk fills, and a start takes long
            self._ports.log.warning("block_not_taken", blocks=len(self.tree), mend=FULL_MEND)
            return Verdict.STALE
        try:
            check_link(parent, header)  # its slot is one of its epoch
            self._check_time(parent, block)
            place = await self._ports.compute.run(partial(apply_block, parent, block))
        except PeerFault as fault:
            return self._refused("block_refused", fault, block=header.id.hex())
        return await self._keep(block, place)

    def _without_parent(self, header: Header) -> Verdict:
        """It may stand upon a block that has not come yet; not upon one that is undone for good."""
        is_undone = header.chain_length <= self.tree.final.header.chain_length
        if not (is_undone or self.main.is_final(header.parent) or header.parent in self._undone):
            return Verdict.ORPHAN
        self._remember_undone(header.id)
        return Verdict.STALE

    def _remember_undone(self, *blocks: BlockId) -> None:
        self._undone.update(dict.fromkeys(blocks))
        while len(self._undone) > UNDONE_MAX:
            del self._undone[next(iter(self._undone))]

    async def _keep(self, block: Block, place: Place) -> Verdict:
        await self._ports.store.add(block)
        await self._switched_if(self.tree.add(place))
        await self._note_standing(place)
        return Verdict.NEW

    def _taker_of(self, content: bytes) -> Callable[[bytes], Awaitable[Verdict]]:
        if is_vote(content):
            return self._take_vote
        if is_change(Fragment(content)):
            return self._take_change
        if is_request(content):
            return self._take_request
        if is_receipt(content):
            return self._take_receipt
        return self._take_certificate if is_certificate(Fragment(content)) else self._take_fragment

    async def _take_fragment(self, content: bytes) -> Verdict:
        data = Fragment(content)
        if fragment_id(data) in self.mempool:
            return Verdict.KNOWN
        try:
            fragment = decode_fragment(data)
            await self._ports.compute.run(partial(check_signature, fragment, BlockId(self.block0)))
        except PeerFault as fault:
            return self._refused("fragment_refused", fault)
        return self._pool(data, fragment)

    async def _take_vote(self, content: bytes) -> Verdict:
        if fragment_id(Fragment(content)) in self.ballots:
            return Verdict.KNOWN
        try:
            vote = decode_vote(content)
            await self._ports.compute.run(partial(vote.check, self.tree.final.block0))
        except PeerFault as fault:
            return self._refused("vote_refused", fault)
        height_now = self.tree.tip.header.chain_length
        try:
            result = self.ballots.add(vote, height_now=height_now, voters=self.opinion.voters)
        except VoteRefused as fault:  # it may have been of use where, or when, it was signed
            self._ports.log.debug("vote_not_taken", **error_fields(fault))
            return Verdict.STALE
        if isinstance(result, Contradiction):
            heights = (result.first.link.target.height, result.second.link.target.height)
            self._ports.log.warning(
                "voter_contradicts_itself", voter=vote.voter.hex(), heights=heights
            )
            return Verdict.STALE
        if result is not None:
            async with self._taking:
                await self._certify(result)
        elif vote.link.source.height < self.opinion.justified.height:
            for handler in self._on_behind:
                handler(vote.link.source.height)
        return Verdict.NEW

    async def _take_certificate(self, content: bytes) -> Verdict:
        """Told by who saw that others do not know it. Each is told on once, known or not."""
        identity = fragment_id(Fragment(content))
        if identity in self.told:
            return Verdict.KNOWN
        try:
            certificate = decode_certificate(content)
        except PeerFault as fault:
            return self._refused("certificate_refused", fault)
        try:  # before its signatures: so it costs no more than as many as may vote
            certificate.check_weight(*self.opinion.voters)
        except VoteRefused as fault:  # it may be a quorum's where the members are others
            self._ports.log.debug("certificate_not_taken", **error_fields(fault))
            return Verdict.STALE
        try:
            checking = partial(certificate.check_signatures, self.tree.final.block0)
            await self._ports.compute.run(checking)
        except PeerFault as fault:
            return self._refused("certificate_refused", fault)
        self._remember_told(Fragment(content))
        async with self._taking:
            await self._certify(certificate)
        return Verdict.NEW

    async def _take_change(self, content: bytes) -> Verdict:
        """Other members: it waits for a block. The next change takes its place."""
        identity = fragment_id(Fragment(content))
        if identity in self.told:
            return Verdict.KNOWN
        try:
            change = decode_change(content)
            checking = partial(change.check_signatures, self.tree.final.block0)
            await self._ports.compute.run(checking)
            self._try_change(change, self.tree.tip)
        except ChangeRefused as fault:  # it may have been of use where it was taken
            self._ports.log.debug("change_not_taken", **error_fields(fault))
            return Verdict.STALE
        except PeerFault as fault:
            return self._refused("change_refused", fault)
        self._remember_told(Fragment(content))
        self._change = change
        return Verdict.NEW

    async def _take_request(self, content: bytes) -> Verdict:
        identity = fragment_id(Fragment(content))
        if identity in self.told:
            return Verdict.KNOWN
        try:
            request = decode_request(content)
            await self._ports.compute.run(partial(request.check, self.tree.final.block0))
        except PeerFault as fault:
            return self._refused("request_refused", fault)
        slot = self.tree.tip.settings.frame.slot_at(self._ports.clock.wall_s()) or 0
        if not self.desk.add_request(request, slot=slot, voters=self.opinion.voters):
            return Verdict.STALE
        self._remember_told(Fragment(content))
        for handler in self._on_span_asked:
            handler(request)
        return Verdict.NEW

    async def _take_receipt(self, content: bytes) -> Verdict:
        identity = fragment_id(Fragment(content))
        if identity in self.told:
            return Verdict.KNOWN
        try:
            receipt = decode_receipt(content)
            await self._ports.compute.run(partial(receipt.check, self.tree.final.block0))
        except PeerFault as fault:
            return self._refused("receipt_refused", fault)
        if not self.desk.add_receipt(receipt, voters=self.opinion.voters):
            return Verdict.STALE
        self._remember_told(Fragment(content))
        for handler in self._on_span_granted:
            handler(receipt.span)
        return Verdict.NEW

    def change_for(self, parent: Place) -> Change | None:
        """The change of members that waits, if it holds in a block upon ``parent``."""
        if self._change is not None:
            with contextlib.suppress(ChangeRefused):
                self._try_change(self._change, parent)
                return self._change
        return None

    def _try_change(self, change: Change, parent: Place) -> None:
        apply_change(parent.layer.draft(), change, height=parent.header.chain_length + 1)

    def _remember_told(self, content: Fragment) -> None:
        self.told[fragment_id(content)] = content
        while len(self.told) > TOLD_MAX:
            del self.told[next(iter(self.told))]

    def check_fragment(self, data: Fragment) -> None:
        """Whether a fragment could wait here now, and be in the next block after those of its payer that wait.

        Raises:
            PeerFault: it could not, and why.
        """
        if is_change(data):
            change = decode_change(data)
            change.check_signatures(self.tree.final.block0)
            self._try_change(change, self.tree.tip)
            return
        fragment = decode_fragment(data)
        check_signature(fragment, self.tree.final.block0)
        tip = self.tree.tip
        where = self._where_waiting()
        check_waiting(data, fragment, tip.layer, where)
        draft, waiting = tip.layer.draft(), self.mempool.waiting_of(fragment.payer)
        for counter in range(account_of(draft, fragment.payer).counter, fragment.counter):
            earlier = waiting.get(counter)
            if earlier is None:
                return  # nobody can say yet
            with contextlib.suppress(PeerFault):
                size_bytes = len(earlier.data)
                apply_fragment(draft, earlier.fragment, size_bytes=size_bytes, where=where)
        apply_fragment(draft, fragment, size_bytes=len(data), where=where)

    def _pool(self, data: Fragment, fragment: SignedFragment) -> Verdict:
        tip = self.tree.tip
        try:
            self.mempool.add(data, fragment, view=tip.layer, where=self._where_waiting())
        except NotPooled as fault:  # it may have been of use where it was taken
            self._ports.log.debug("fragment_not_pooled", **error_fields(fault))
            return Verdict.STALE
        return Verdict.NEW

    def _where_waiting(self) -> Where:
        """A block after the end of the branch; of its date, as the next one's is not known."""
        tip = self.tree.tip
        height = tip.header.chain_length + 1
        return where_upon(tip.layer, tip.header.date, height=height, block0=tip.block0)

    def _refused(self, event: str, fault: PeerFault, **fields: object) -> Verdict:
        self._ports.log.debug(event, **error_fields(fault), **fields)
        return Verdict.INVALID

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

    # -- what is final ----------------------------------------------------------------------------

    async def _note_standing(self, place: Place) -> None:
        """What a block's certificates make justified and final, whichever branch it is on."""
        before = self.opinion.justified
        self.opinion.note(place)
        await self._go_by(before, standing_of(place.layer).final.block)
        for certificate in self.opinion.waiting():
            await self._certify(certificate)

    async def _certify(self, certificate: Certificate) -> None:
        """A certificate by votes that were verified. It is on disk before anybody votes upon it."""
        try:
            if not self.opinion.judge(certificate):
                return
        except VoteRefused as fault:
            self._ports.log.warning("certificate_refused", **error_fields(fault))
            return
        await self._ports.store.certify(certificate)
        before, link = self.opinion.justified, certificate.link
        self.opinion.accept(certificate)
        await self._go_by(before, link.source.block if link.makes_final else None)
        for waiting in self.opinion.waiting():
            await self._certify(waiting)

    async def _go_by(self, before: Checkpoint, final: BlockId | None) -> None:
        """What is justified may be another checkpoint than ``before``, and ``final`` may be news."""
        justified = self.opinion.justified
        if justified != before:
            if self.tree.get(justified.block) is not None:
                await self._switched_if(self.tree.justify(justified.block))
            for handler in self._on_justified:
                handler()
        place = None if final is None else self.tree.get(final)
        if place is not None and place.id != self.tree.final.id:
            await self._finalize(place)

    async def _finalize(self, final: Place) -> None:
        """On disk first. What does not stand upon it is dropped."""
        finals, dropped = self.tree.plan(final.id)
        if any(each.id == self.tree.tip.id for each in finals[:-1]) or self.tree.tip.id in dropped:
            await self._switched_if(self.tree.justify(final.id))
        carried = self.opinion.carried_by(final)
        await self._ports.store.finalize(finals, dropped, carried)
        await self._switched_if(self.tree.finalize(final.id)[1])
        self._remember_undone(*dropped)
        self.opinion.forget(carried)
        self.main.made_final(finals)
        for handler in self._on_final:
            handler(finals)

    async def _switched_if(self, switch: Switch | None) -> None:
        if switch is not None:
            await self._switched(switch)

    # -- what counts ------------------------------------------------------------------------------

    async def _switched(self, switch: Switch) -> None:
        self.main.switched(switch)
        await self._settle(switch)
        for handler in self._on_switch:
            handler(switch)

    async def _settle(self, switch: Switch) -> None:
        """What is in a block waits no more; what is in none any more waits again."""
        tip = self.tree.tip
        self.mempool.expire(tip.header.date.epoch)
        payers = set()
        for place in switch.done:
            for data in await self._paid(place):
                payers.add(decode_fragment(data).payer)
                self.mempool.remove(fragment_id(data))
        self.mempool.settle(payers, tip.layer)
        for place in reversed(switch.undone):
            for data in await self._paid(place):
                if fragment_id(data) not in self.mempool:
                    self._pool(data, decode_fragment(data))

    async def _paid(self, place: Place) -> tuple[Fragment, ...]:
        """What accounts paid for in a block."""
        if not place.header.content_size_bytes:
            return ()
        data = await self._ports.store.block(place.id)
        return () if data is None else split_content(decode_block(data))[2]

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
        await self._switched_if(self.tree.add(place))
        await self._note_standing(place)


def _all_cells(root: Place) -> dict[Cell, object]:
    return {(table.name, key): value for table in TABLES for key, value in table.items(root.layer)}
