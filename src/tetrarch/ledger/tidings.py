"""What members tell one another between blocks, each kind by its first byte, each taken in the same steps:

    read, weighed (of no use here: no signature is verified for it), verified in a thread, taken, told on once

    vote         put with the others; a quorum's are a certificate
    certificate  of votes: told by who saw that others do not know it, told on whether it is news here or not
    change       of members: waits for a block; the next takes its place
    election     of a leader: waits for a block; that of a higher term takes its place, though it comes in a block
    request      of a holder of keys that may have copies, for a span
    receipt      of a voter that keeps the span for it

What waits is forgotten at the end of the process: who told it tells it again.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import Place, split_content
from tetrarch.ledger.ballots import Ballots, Contradiction
from tetrarch.ledger.blocks import Block, Fragment, FragmentId, fragment_id
from tetrarch.ledger.checkpoints import decode_certificate, is_certificate
from tetrarch.ledger.elections import (
    Election,
    ElectionRefused,
    apply_election,
    decode_election,
    elected_of,
    is_election,
)
from tetrarch.ledger.finality import (
    Certificate,
    Vote,
    VoteRefused,
    decode_vote,
    encode_vote,
    is_vote,
)
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import (
    Change,
    ChangeRefused,
    apply_change,
    decode_change,
    is_change,
)
from tetrarch.ledger.news import News
from tetrarch.ledger.opinion import Opinion
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.reservations import (
    Receipt,
    Request,
    decode_receipt,
    decode_request,
    is_receipt,
    is_request,
)
from tetrarch.ledger.span_desk import SpanDesk
from tetrarch.ledger.tree import Tree
from tetrarch.network.overlay.chain import Verdict

TOLD_MAX: Final = 256
AGAIN_SLOTS: Final = 8.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Tiding(Generic[_T]):
    """How one kind is taken."""

    name: str
    is_one: Callable[[Fragment], bool]  # by its first byte
    read: Callable[[bytes], _T]
    verify: Callable[[_T, BlockId], None]
    take: Callable[[_T], Awaitable[bool]]  # whether it is news
    weigh: Callable[[_T], None] = lambda _: None  # a PeerFault: of no use here
    is_told: bool = True  # kept for others who ask for it; who takes a vote keeps it himself
    is_told_again: bool = False  # after a while, to whom it did not come


class Tidings:
    """``tree`` and ``opinion`` are what they are about."""

    def __init__(
        self,
        ports: LedgerPorts,
        tree: Tree,
        opinion: Opinion,
        news: News,
        certify: Callable[[Certificate], Awaitable[None]],
    ) -> None:
        """``certify`` goes by a certificate whose signatures are right."""
        self.ballots = Ballots()
        self.desk = SpanDesk()
        self._told: dict[FragmentId, tuple[Fragment, float]] = {}  # of late, and when
        self._ports, self._tree, self._opinion, self._news = ports, tree, opinion, news
        self._certify = certify
        self._change: Change | None = None  # that waits for a block
        self._election: Election | None = None  # the same
        self._kinds: tuple[Tiding[Any], ...] = (
            Tiding("vote", is_vote, decode_vote, Vote.check, self._take_vote, is_told=False),
            Tiding(
                "certificate",
                is_certificate,
                decode_certificate,
                Certificate.check_signatures,
                self._take_certificate,
                weigh=lambda found: found.check_weight(*opinion.voters),
                is_told_again=True,
            ),
            Tiding(
                "change",
                is_change,
                decode_change,
                Change.check_signatures,
                self._take_change,
                weigh=lambda found: self._try(found, tree.tip),
            ),
            Tiding(
                "election",
                is_election,
                lambda data: decode_election(data, tree.tip.layer),
                Election.check_signatures,
                self._take_election,
                weigh=self._weigh_election,
                is_told_again=True,
            ),
            Tiding("request", is_request, decode_request, Request.check, self._take_request),
            Tiding("receipt", is_receipt, decode_receipt, Receipt.check, self._take_receipt),
        )

    def __contains__(self, item: object) -> bool:
        return item in self._told or item in self.ballots

    def get(self, item: FragmentId) -> bytes | None:
        """As it came."""
        vote = self.ballots.get(item)
        told, _ = self._told.get(item, (None, 0.0))
        return told if vote is None else encode_vote(vote)

    def take(self, content: Fragment) -> Awaitable[Verdict] | None:
        """From whoever sent it; None: it is none of these."""
        kind = next((each for each in self._kinds if each.is_one(content)), None)
        return None if kind is None else self._hear(kind, content)

    def change_for(self, parent: Place) -> Change | None:
        """The change of members that waits, if it holds in a block upon ``parent``."""
        if self._change is not None:
            with contextlib.suppress(ChangeRefused):
                self._try(self._change, parent)
                return self._change
        return None

    def election_for(self, parent: Place) -> Election | None:
        """The certified leader that waits, if it is news in a block upon ``parent``."""
        known = elected_of(parent.layer)
        waiting = self._election
        is_news = waiting is not None and (known is None or waiting.term > known.term)
        return waiting if is_news else None

    def note_block(self, block: Block) -> None:
        """A block holds, on whichever branch: whoever it proves to lead may have to be proven again on another."""
        for data in split_content(block).elections:
            self._wait(decode_election(data, self._tree.tip.layer))

    def check_change(self, data: Fragment) -> None:
        """Whether a change could be in the next block.

        Raises:
            PeerFault: it could not, and why.
        """
        change = decode_change(data)
        change.check_signatures(self._tree.final.block0)
        self._try(change, self._tree.tip)

    async def _hear(self, kind: Tiding[_T], content: Fragment) -> Verdict:
        identity = fragment_id(content)
        if identity in self and not (kind.is_told_again and self._is_old(identity)):
            return Verdict.KNOWN
        try:
            found = kind.read(content)
        except PeerFault as fault:
            return self._ports.refused(kind.name, fault)
        try:
            kind.weigh(found)
        except PeerFault as fault:
            return self._ports.not_taken(kind.name, fault)
        try:
            await self._ports.compute.run(partial(kind.verify, found, self._tree.final.block0))
        except PeerFault as fault:
            return self._ports.refused(kind.name, fault)
        if not await kind.take(found):
            return Verdict.STALE
        if kind.is_told:
            self._remember(identity, content)
        return Verdict.NEW

    def _remember(self, identity: FragmentId, content: Fragment) -> None:
        self._told.pop(identity, None)
        self._told[identity] = content, self._ports.clock.wall_s()
        while len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]

    def _is_old(self, identity: FragmentId) -> bool:
        since_s = self._ports.clock.wall_s() - self._told[identity][1]
        return since_s >= AGAIN_SLOTS * self._tree.tip.settings.frame.slot_duration_s

    async def _take_vote(self, vote: Vote) -> bool:
        height_now = self._tree.tip.header.chain_length
        try:
            result = self.ballots.add(vote, height_now=height_now, voters=self._opinion.voters)
        except VoteRefused as fault:
            self._ports.not_taken("vote", fault)
            return False
        if isinstance(result, Contradiction):
            heights = (result.first.link.target.height, result.second.link.target.height)
            voter = vote.voter.hex()
            self._ports.log.warning("voter_contradicts_itself", voter=voter, heights=heights)
            return False
        if result is not None:
            await self._certify(result)
        elif vote.link.source.height < self._opinion.justified.height:
            self._news.on_behind.tell(vote.link.source.height)
        return True

    async def _take_certificate(self, certificate: Certificate) -> bool:
        await self._certify(certificate)
        return True

    async def _take_change(self, change: Change) -> bool:
        self._change = change
        return True

    def _weigh_election(self, election: Election) -> None:
        waiting = self._election
        is_other = waiting is not None and election.data != waiting.data
        if waiting is not None and is_other and election.term <= waiting.term:
            raise ElectionRefused("take election", term=election.term, after=waiting.term)
        apply_election(self._tree.tip.layer.draft(), election)

    async def _take_election(self, election: Election) -> bool:
        is_told_again = self._election is not None and election.data == self._election.data
        return is_told_again or self._wait(election)

    def _wait(self, election: Election) -> bool:
        """For a block. A later one may have come while this one was verified."""
        waiting = self._election
        if waiting is not None and election.term <= waiting.term:
            return False
        self._election = election
        self._news.on_elected.tell()
        return True

    async def _take_request(self, request: Request) -> bool:
        slot = self._tree.tip.settings.frame.slot_at(self._ports.clock.wall_s()) or 0
        is_news = self.desk.add_request(request, slot=slot, voters=self._opinion.voters)
        if is_news:
            self._news.on_span_asked.tell(request)
        return is_news

    async def _take_receipt(self, receipt: Receipt) -> bool:
        is_news = self.desk.add_receipt(receipt, voters=self._opinion.voters)
        if is_news:
            self._news.on_span_granted.tell(receipt.span)
        return is_news

    def _try(self, change: Change, parent: Place) -> None:
        apply_change(parent.layer.draft(), change, height=parent.header.chain_length + 1)
