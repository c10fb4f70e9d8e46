"""One block, from the end of the branch that counts to the network: what it carries, its header, its proof.

parent     the end of the branch, which must be before the slot
leader     is it still this leader's slot, as seen from there
content    certificates, then fragments until the soft deadline
proof      by the keys, which take the slot durably; not after the hard deadline
network    the own chain takes it as any other, and tells others
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from tetrarch.errors import TetrarchError
from tetrarch.leadership.logs import MadeBlock
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.leadership.selection import select
from tetrarch.ledger.applying import (
    Place,
    digest_for,
    draft_upon,
    leaders_of,
    with_election,
)
from tetrarch.ledger.blocks import (
    Block,
    Fragment,
    content_hash,
    encode_block,
    encode_content,
)
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.kind import where_upon
from tetrarch.ledger.headers import Header, PoolId
from tetrarch.ledger.keyring import LeaderIs, Lottery, PoolPublic, TurnKeys, lottery_of
from tetrarch.ledger.leaders import BftLeaders, Leaders, PraosLeaders
from tetrarch.ledger.membership import encode_change
from tetrarch.network.overlay.chain import Verdict

SOFT_SHARE: Final = 0.3  # of a slot, for fragments
HARD_SHARE: Final = 0.8  # of a slot: whoever sees a block later may have gone on without it
CANDIDATES_MAX: Final = 20_000  # that are looked at


class NotMade(TetrarchError):
    """No block came of a slot, and why."""

    code = "leadership_block_not_made"


@dataclass(frozen=True, slots=True)
class Right:
    """By which a leader may make one block."""

    lottery: Lottery | None  # of a pool
    kes_period: int


def right_of(leader: LeaderIs, leaders: Leaders, slot: int) -> Right | None:
    """Of a slot of the epoch; None: it cannot be this leader's. Whether a pool is drawn, its keys say."""
    match leader.keys, leaders:
        case TurnKeys(key), BftLeaders():
            return Right(None, 0) if leaders.leader(slot) == key else None
        case PoolPublic(), PraosLeaders():
            pool = PoolId(leader.keys.pool)
            if pool not in leaders.pools:
                return None
            period = leaders.kes_period(pool, slot)
            lottery = lottery_of(leaders.nonce, leaders.threshold(pool))
            return None if period is None else Right(lottery, period)
        case _:
            return None


class Maker:
    """Makes the blocks of a node's leaders, one at a time for each call."""

    def __init__(self, ports: LeadershipPorts, chain: LedgerChain) -> None:
        self._ports = ports
        self._chain = chain

    async def make(
        self, leader: LeaderIs, date: BlockDate, note: Callable[[MadeBlock], None]
    ) -> Verdict:
        """The block of a slot that has begun. ``note`` is called before anybody can hear of it.

        Raises:
            NotMade: there is none, and why; TetrarchError: the keys refuse.
        """
        parent = self._chain.tree.tip
        right = self._check(parent, leader, date)
        slot_s = parent.settings.frame.slot_duration_s
        begins_s = parent.settings.frame.starts_s(parent.settings.era.slot(date))
        fragments = await self._content(parent, date, begins_s + SOFT_SHARE * slot_s)
        content = encode_content(fragments)
        header = Header(
            content_size_bytes=len(content),
            date=date,
            chain_length=parent.header.chain_length + 1,
            content_hash=content_hash(content),
            parent=parent.id,
        )
        late_s = self._ports.clock.wall_s() - begins_s
        if late_s > HARD_SHARE * slot_s:
            raise NotMade("make block", date=str(date), late_s=round(late_s, 3))
        signed = await self._ports.keys.sign_block(
            leader.number, header, lottery=right.lottery, kes_period=right.kes_period
        )
        note(MadeBlock(signed.id, parent.id, signed.chain_length))
        return await self._ports.network.propose_block(encode_block(Block(signed, fragments)))

    def _check(self, parent: Place, leader: LeaderIs, date: BlockDate) -> Right:
        if parent.header.date >= date:
            raise NotMade("make block", date=str(date), reason="a block of this slot is here")
        draft = with_election(draft_upon(parent, date), self._chain.election_for(parent))
        leaders = leaders_of(draft, date.epoch)
        right = None if leaders is None else right_of(leader, leaders, date.slot)
        if right is None:
            raise NotMade("make block", date=str(date), reason="it is not this leader's any more")
        return right

    async def _content(
        self, parent: Place, date: BlockDate, soft_deadline_s: float
    ) -> tuple[Fragment, ...]:
        """In a thread, so that votes and messages do not wait for it."""
        digest = await self._ports.compute.run(partial(digest_for, parent, date))
        certified = self._chain.opinion.for_block(parent, date)
        change = self._chain.change_for(parent)
        election = self._chain.election_for(parent)
        first: tuple[Fragment, ...] = () if election is None else (election.data,)
        first += () if digest is None else (digest,)
        first += tuple(map(encode_certificate, certified))
        first += () if change is None else (encode_change(change),)
        waiting = tuple(islice(self._chain.mempool.ready(parent.layer), CANDIDATES_MAX))
        if not waiting:
            return first
        draft = draft_upon(parent, date)
        height = parent.header.chain_length + 1
        where = where_upon(draft, date, height=height, block0=parent.block0)
        room = where.parameters.content_size_bytes_max
        selecting = partial(
            select,
            draft,
            waiting,
            where=where,
            size_bytes=room,
            is_over=lambda: self._ports.clock.wall_s() >= soft_deadline_s,
        )
        return (*first, *await self._ports.compute.run(selecting))
