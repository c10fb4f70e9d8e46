"""The keys of one node's leaders and of its vote, and what they may sign. Pure: ``store`` makes it durable.

    leader   one block for a date at most: a mark rises with each, and is stored before the signature is made
    pool     an evolving key signs in the period of its slot; what it signed with before is gone
    vote     two marks, see ``finality``

    life     keys that may have copies sign what a quorum of the voters reserved for this run alone, see ``reservations``

The rules are kept here and nowhere else: in an enclave's process for a node, in the simulator's for a simulated one. Whoever
puts an older state back makes marks fall; keys that may be put back are to be reserved.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.crypto.kes import PERIODS, SECRET_KEY_SIZE_BYTES, SEED_SIZE_BYTES, KesKey
from tetrarch.crypto.vrf import VrfKey
from tetrarch.crypto.wiping import wipe
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid
from tetrarch.ledger.finality import Link, Marks, Voters
from tetrarch.ledger.fragments.signed import SignedFragment
from tetrarch.ledger.headers import (
    ID_SIZE_BYTES,
    KEY_SIZE_BYTES,
    BftProof,
    BlockId,
    Header,
    PoolId,
    PraosProof,
)
from tetrarch.ledger.lives import GRANTS_MAX, Held, KeptGrant, granted
from tetrarch.ledger.membership import Change
from tetrarch.ledger.praos import NONCE_SIZE_BYTES, Nonce, drawn, vrf_input
from tetrarch.ledger.reservations import (
    LIFE_SIZE_BYTES,
    Kind,
    Receipt,
    Request,
    date_number,
    receipt_to_sign,
    request_to_sign,
)

LEADERS_MAX: Final = 64
SLICE_MAX: Final = 1024  # of slots that are asked for at once
VERSION: Final = 1

Secret: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)
]
Id: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=ID_SIZE_BYTES, max_length=ID_SIZE_BYTES)]
Uint: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class SlotTaken(InputInvalid):
    """The key signed for that slot, or a later one, already."""

    code = "ledger_slot_taken"


class NotElected(InputInvalid):
    """The slot is not the leader's."""

    code = "ledger_not_elected"


class PeriodOver(InputInvalid):
    """An evolving key has no way back."""

    code = "ledger_period_over"


class LeaderUnknown(InputInvalid):
    """No leader has that number, or there is no room for another."""

    code = "ledger_leader_unknown"


class NotOurs(InputInvalid):
    """The key that votes signs what voters say, and nothing else."""

    code = "ledger_not_ours"


class OtherChain(InputInvalid):
    """The keys were used for another chain; marks of one say nothing of another."""

    code = "ledger_other_chain"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """Base of what is at rest."""


class KeptMark(Kept, frozen=True):
    """The latest date that was signed for."""

    epoch: Uint
    slot: Uint


class KeptTurn(Kept, frozen=True, tag="turn"):
    """Of a leader in turn."""

    secret: Secret


class KeptPool(Kept, frozen=True, tag="pool"):
    """Of a stake pool."""

    pool: Id
    vrf: Secret
    kes: Annotated[
        bytes, msgspec.Meta(min_length=SECRET_KEY_SIZE_BYTES, max_length=SECRET_KEY_SIZE_BYTES)
    ]


class KeptLeader(Kept, frozen=True):
    """``number`` is never given again."""

    number: Uint
    keys: KeptTurn | KeptPool
    mark: KeptMark | None = None


class KeptKeys(Kept, frozen=True):
    """All of it. ``block0``: the chain that it was first used for."""

    version: Uint
    voter: Secret
    block0: Id | None = None
    source_height: Uint = 0
    target_height: Uint = 0
    next_number: Uint = 0
    leaders: Annotated[tuple[KeptLeader, ...], msgspec.Meta(max_length=LEADERS_MAX)] = ()
    grants: Annotated[tuple[KeptGrant, ...], msgspec.Meta(max_length=GRANTS_MAX)] = ()
    is_shared: bool = False  # there may be copies of it: what it signs is reserved before


class Lottery(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool goes by in one epoch: its nonce, and below what a drawn number elects it."""

    nonce: Annotated[bytes, msgspec.Meta(min_length=NONCE_SIZE_BYTES, max_length=NONCE_SIZE_BYTES)]
    threshold: Annotated[bytes, msgspec.Meta(max_length=9)]  # 0 to 2^64, big-endian

    @property
    def limit(self) -> int:
        """As a number."""
        return int.from_bytes(self.threshold, "big")


def lottery_of(nonce: Nonce, threshold: int) -> Lottery:
    """For a pool with that threshold."""
    return Lottery(nonce=nonce, threshold=threshold.to_bytes(9, "big"))


class TurnKeys(msgspec.Struct, frozen=True, tag="turn"):
    """The public key of a leader in turn."""

    leader: Secret


class PoolPublic(msgspec.Struct, frozen=True, tag="pool"):
    """Of a stake pool. ``kes_period``: that its evolving key is in."""

    pool: Id
    vrf_key: Secret
    kes_key: Secret
    kes_period: Annotated[int, msgspec.Meta(ge=0, lt=PERIODS)]


class LeaderIs(msgspec.Struct, frozen=True):
    """One leader of the node."""

    number: Uint
    keys: TurnKeys | PoolPublic
    mark: tuple[Uint, Uint] | None = None


class Keyring:
    """See the module. ``kept`` is what ``store`` was last given, or ``born``."""

    def __init__(self, kept: KeptKeys, store: Callable[[KeptKeys], None], entropy: Entropy) -> None:
        """``store`` returns when what it is given is durable, or raises."""
        self._kept = kept
        self._store = store
        self._entropy = entropy
        self._voter = Ed25519PrivateKey.from_private_bytes(kept.voter)
        self._vrf: dict[int, VrfKey] = {}
        self._held = Held(self.voter, entropy(LIFE_SIZE_BYTES))

    @property
    def is_shared(self) -> bool:
        """Whether there may be copies of these keys."""
        return self._kept.is_shared

    @property
    def voter(self) -> bytes:
        """The public key that votes."""
        return self._voter.public_key().public_bytes_raw()

    @property
    def leaders(self) -> tuple[LeaderIs, ...]:
        """All leaders."""
        return tuple(map(_describe, self._kept.leaders))

    def bind(self, block0: BlockId) -> None:
        """Sign for one chain from now on.

        Raises:
            OtherChain: it did for another.
        """
        if self._kept.block0 is None:
            self._change(block0=block0)
        elif self._kept.block0 != block0:
            raise OtherChain("open keys", chain=block0.hex(), expected=self._kept.block0.hex())

    def share(self) -> None:
        """From now on, and for good, nothing is signed that is not reserved: there may be copies of these keys."""
        if not self._kept.is_shared:
            self._change(is_shared=True)

    def ask_span(self, kind: Kind, first: int, until: int, block0: BlockId) -> Request:
        """A request for this life to hold a span, for other voters to grant. Cost: 0.1 ms.

        Raises:
            OtherChain: the keys sign for another chain.
        """
        self.bind(block0)
        span = self._held.span(kind, first, until)
        return Request(span, self._voter.sign(request_to_sign(span, block0)))

    def grant(self, request: Request, block0: BlockId) -> Receipt:
        """Keep a span for who asks, durably; and say so. Cost: that of storing, and 0.3 ms.

        Raises:
            ReservationRefused: its holder did not sign it.
            SpanTaken: another life of its holder has some of it.
            OtherChain: the keys sign for another chain.
        """
        self.bind(block0)
        request.check(block0)
        self._change(grants=granted(self._kept.grants, request.span))
        signature = self._voter.sign(receipt_to_sign(request.span, block0))
        return Receipt(request.span, self.voter, signature)

    def hold(
        self, receipts: Sequence[Receipt], voters: tuple[Voters, ...], block0: BlockId
    ) -> None:
        """A quorum's receipts of one span came together: what is in it may be signed.

        Raises:
            ReservationRefused, NotReserved: they do not hold.
        """
        self._held.take(receipts, voters, block0)

    def add_turn(self) -> LeaderIs:
        """Make the key of one more leader in turn.

        Raises:
            LeaderUnknown: there are too many.
        """
        return self._add(KeptTurn(self._entropy(KEY_SIZE_BYTES)))

    def add_pool(self, pool: PoolId) -> LeaderIs:
        """Make the keys of one more pool. Cost: 0.4 s.

        Raises:
            LeaderUnknown: there are too many, or it is one already.
        """
        if any(
            isinstance(each.keys, KeptPool) and each.keys.pool == pool
            for each in self._kept.leaders
        ):
            raise LeaderUnknown("add leader", pool=pool.hex(), reason="its keys are here already")
        kes = KesKey.generate(self._entropy(SEED_SIZE_BYTES))
        vrf = VrfKey.generate(self._entropy)
        return self._add(KeptPool(pool, vrf.to_bytes(), kes.to_bytes()))

    def drop(self, number: int) -> None:
        """Forget a leader, for good.

        Raises:
            LeaderUnknown: there is none.
        """
        self._leader(number)
        left = tuple(each for each in self._kept.leaders if each.number != number)
        self._change(leaders=left)
        self._vrf.pop(number, None)

    def drawn_in(self, number: int, lottery: Lottery, slots: range) -> tuple[int, ...]:
        """In which of an epoch's ``slots`` a pool is drawn. Cost: 0.15 ms a slot.

        Raises:
            LeaderUnknown: there is no such pool.
        """
        vrf, nonce, limit = self._vrf_of(number), Nonce(lottery.nonce), lottery.limit
        found = []
        for slot in slots[:SLICE_MAX]:
            message = vrf_input(nonce, slot)
            if drawn(message, vrf.evaluate(message)) < limit:
                found.append(slot)
        return tuple(found)

    def sign_block(
        self, number: int, header: Header, *, lottery: Lottery | None = None, kes_period: int = 0
    ) -> Header:
        """``header`` with the leader's proof. The slot is taken, durably, before anything is signed.

        Of keys that may have copies the slot is to be reserved.

        ``lottery`` and ``kes_period``: of a pool, for the header's slot. Cost: that of storing, and 0.1 to 0.6 ms.

        Raises:
            SlotTaken: the key signed for this slot, or a later one.
            NotReserved: a copy of the key could sign for it, too.
            NotElected: the pool is not drawn.
            LeaderUnknown: there is no such leader.
            KesKeySpent, PeriodOver: its evolving key has no such period, or no more.
        """
        leader = self._leader(number)
        self._refuse_taken(leader, header)
        if self._kept.is_shared:
            self._held.require(Kind.SLOTS, date_number(header.date))
        if isinstance(leader.keys, KeptTurn):
            self._put(msgspec.structs.replace(leader, mark=_mark(header)))
            return _sign_turn(leader.keys, header)
        return self._sign_drawn(leader, leader.keys, header, lottery, kes_period)

    def evolve(self, number: int, kes_period: int) -> None:
        """Bring a pool's evolving key to a period, and forget it as it was. Cost: 0.1 ms a period, now and then 0.2 s.

        Raises:
            LeaderUnknown: there is no such pool; KesKeySpent, PeriodOver: it has no such period.
        """
        leader = self._leader(number)
        if isinstance(leader.keys, KeptPool):
            keys, kes = _evolved(leader.keys, kes_period)
            kes.erase()
            self._put(msgspec.structs.replace(leader, keys=keys))
            wipe(leader.keys.kes)

    def sign_vote(self, link: Link, block0: BlockId) -> bytes:
        """The signature of a vote for ``link``. The marks are stored before. Cost: that, and 0.1 ms.

        Raises:
            VoteForbidden: it might contradict an older one.
            NotReserved: a copy of the key could vote for that height, too.
            OtherChain: the keys sign for another chain.
        """
        self.bind(block0)
        if self._kept.is_shared:
            self._held.require(Kind.HEIGHTS, link.target.height)
        marks = Marks(self._kept.source_height, self._kept.target_height).after(link)
        self._change(source_height=marks.source_height, target_height=marks.target_height)
        return self._voter.sign(link.to_sign(block0))

    def sign_change(self, change: Change, block0: BlockId) -> bytes:
        """The signature of a change of members, for which an operator asks. Cost: 0.1 ms.

        Raises:
            OtherChain: the keys sign for another chain.
        """
        self.bind(block0)
        return self._voter.sign(change.to_sign(block0))

    def sign_fragment(self, fragment: SignedFragment, block0: BlockId) -> bytes:
        """The signature of what only voters say: of the chain's parameters, or of what they see outside. Cost: 0.1 ms.

        Raises:
            NotOurs: another pays for it, or anybody could: this key spends nothing.
            OtherChain: the keys sign for another chain.
        """
        if fragment.payer != self.voter or not fragment.body.free_for_voters:
            raise NotOurs("sign fragment", kind=fragment.body.name, payer=fragment.payer.hex())
        self.bind(block0)
        return self._voter.sign(fragment.to_sign(block0))

    # -- inside -----------------------------------------------------------------------------------

    def _sign_drawn(
        self,
        leader: KeptLeader,
        pool: KeptPool,
        header: Header,
        lottery: Lottery | None,
        kes_period: int,
    ) -> Header:
        slot = header.date.slot
        if lottery is None or not self.drawn_in(leader.number, lottery, range(slot, slot + 1)):
            raise NotElected("sign block", date=str(header.date), pool=pool.pool.hex())
        keys, kes = _evolved(pool, kes_period)
        self._put(msgspec.structs.replace(leader, keys=keys, mark=_mark(header)))
        wipe(pool.kes)
        message = vrf_input(Nonce(lottery.nonce), slot)
        proof = PraosProof(
            PoolId(pool.pool), self._vrf_of(leader.number).prove(message, self._entropy)
        )
        signature = kes.sign(replace(header, proof=proof).signed)
        kes.erase()
        return replace(header, proof=replace(proof, kes_signature=signature))

    def _refuse_taken(self, leader: KeptLeader, header: Header) -> None:
        mark, date = leader.mark, header.date
        if mark is not None and (date.epoch, date.slot) <= (mark.epoch, mark.slot):
            raise SlotTaken("sign block", date=str(date), latest=f"{mark.epoch}.{mark.slot}")

    def _vrf_of(self, number: int) -> VrfKey:
        known = self._vrf.get(number)
        if known is None:
            keys = self._leader(number).keys
            if not isinstance(keys, KeptPool):
                raise LeaderUnknown("draw", number=number, reason="it is no pool")
            known = self._vrf[number] = VrfKey.from_bytes(keys.vrf)
        return known

    def _leader(self, number: int) -> KeptLeader:
        found = (each for each in self._kept.leaders if each.number == number)
        leader = next(found, None)
        if leader is None:
            raise LeaderUnknown("ask leader", number=number)
        return leader

    def _add(self, keys: KeptTurn | KeptPool) -> LeaderIs:
        kept = self._kept
        if len(kept.leaders) >= LEADERS_MAX:
            raise LeaderUnknown("add leader", leaders=len(kept.leaders), maximum=LEADERS_MAX)
        leader = KeptLeader(kept.next_number, keys)
        self._change(next_number=kept.next_number + 1, leaders=(*kept.leaders, leader))
        return _describe(leader)

    def _put(self, leader: KeptLeader) -> None:
        leaders = self._kept.leaders
        self._change(
            leaders=tuple(leader if each.number == leader.number else each for each in leaders)
        )

    def _change(self, **fields: Any) -> None:
        kept = msgspec.structs.replace(self._kept, **fields)
        self._store(kept)
        self._kept = kept


def born(entropy: Entropy) -> KeptKeys:
    """Keys of a node that has none: a vote's alone."""
    return KeptKeys(VERSION, entropy(KEY_SIZE_BYTES))


def _describe(leader: KeptLeader) -> LeaderIs:
    mark = None if leader.mark is None else (leader.mark.epoch, leader.mark.slot)
    keys = leader.keys
    if isinstance(keys, KeptTurn):
        public = Ed25519PrivateKey.from_private_bytes(keys.secret).public_key().public_bytes_raw()
        return LeaderIs(leader.number, TurnKeys(public), mark)
    kes = KesKey(bytearray(keys.kes))
    vrf_key = VrfKey.from_bytes(keys.vrf).public_key
    described = PoolPublic(keys.pool, vrf_key, kes.public_key, kes.period)
    kes.erase()
    return LeaderIs(leader.number, described, mark)


def _mark(header: Header) -> KeptMark:
    return KeptMark(header.date.epoch, header.date.slot)


def _sign_turn(keys: KeptTurn, header: Header) -> Header:
    key = Ed25519PrivateKey.from_private_bytes(keys.secret)
    proof = BftProof(key.public_key().public_bytes_raw())
    signature = key.sign(replace(header, proof=proof).signed)
    return replace(header, proof=replace(proof, signature=signature))


def _evolved(pool: KeptPool, kes_period: int) -> tuple[KeptPool, KesKey]:
    """The pool's keys in that period, and its evolving key, which is the caller's to erase."""
    kes = KesKey(bytearray(pool.kes))
    if kes_period < kes.period:
        raise PeriodOver("evolve KES key", kes_period=kes_period, present=kes.period)
    while kes.period < kes_period:
        kes.evolve()
    return msgspec.structs.replace(pool, kes=kes.to_bytes()), kes
