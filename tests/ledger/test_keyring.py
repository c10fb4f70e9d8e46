"""What a node's keys sign, and what they never do: two blocks for a slot, votes that contradict each other, the past."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.chain_maker import praos_genesis, unsigned_block
from tests.ledger.makers import account_id, header_at
from tests.ledger.test_lives import FOUR

from tetrarch.crypto.kes import PERIODS, KesKeySpent, kes_period
from tetrarch.entropy import Entropy, system_entropy
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.applying import apply_block, first_place, leaders_of
from tetrarch.ledger.dates import BlockDate, Era
from tetrarch.ledger.finality import Checkpoint, Link, Vote, VoteForbidden, Voters
from tetrarch.ledger.fragments.parameter_vote import ParameterVote
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.fragments.signed import SignedFragment, check_signature
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import FirstPool, Grant, genesis_block
from tetrarch.ledger.headers import BlockId, PoolId
from tetrarch.ledger.keyring import (
    LEADERS_MAX,
    SLICE_MAX,
    KeptKeys,
    Keyring,
    LeaderUnknown,
    NotElected,
    NotOurs,
    OtherChain,
    PeriodOver,
    PoolPublic,
    SlotTaken,
    TurnKeys,
    born,
    lottery_of,
)
from tetrarch.ledger.leaders import BftLeaders, PraosLeaders
from tetrarch.ledger.lives import NotReserved, SpanTaken
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.pools import pool_id
from tetrarch.ledger.praos import FIRST_NONCE
from tetrarch.ledger.reservations import Kind, Request, ReservationRefused
from tetrarch.ledger.tables import Base

BLOCK0 = BlockId(bytes(range(32)))
ALWAYS = lottery_of(FIRST_NONCE, 1 << 64)
NEVER = lottery_of(FIRST_NONCE, 0)
ERA = Era(slots_per_epoch=100)


class Disk:
    """What was stored last, and how often."""

    def __init__(self, entropy: Entropy = system_entropy) -> None:
        self.entropy = entropy
        self.kept = born(entropy)
        self.count = 0
        self.refuses = False

    def store(self, kept: KeptKeys) -> None:
        if self.refuses:
            raise OSError("full")
        self.kept = kept
        self.count += 1

    def keys(self) -> Keyring:
        return Keyring(self.kept, self.store, self.entropy)


def test_a_leader_in_turn_signs_a_slot_once_whatever_happens_to_its_process() -> None:
    disk = Disk()
    leader = disk.keys().add_turn()
    assert isinstance(leader.keys, TurnKeys)
    header = disk.keys().sign_block(leader.number, header_at(BlockDate(1, 5)))
    BftLeaders(epoch=1, era=ERA, leaders=(leader.keys.leader,)).verify(header)
    for date in (BlockDate(1, 5), BlockDate(1, 4), BlockDate(0, 99)):
        with pytest.raises(SlotTaken, match=r"latest=1\.5"):
            disk.keys().sign_block(leader.number, header_at(date))
    disk.keys().sign_block(leader.number, header_at(BlockDate(2, 0)))
    assert disk.keys().leaders[0].mark == (2, 0)


def test_leaders_of_one_node_have_marks_of_their_own() -> None:
    disk = Disk()
    keys = disk.keys()
    first, second = keys.add_turn(), keys.add_turn()
    for leader in (first, second):
        keys.sign_block(leader.number, header_at(BlockDate(0, 1)))


@pytest.mark.parametrize(
    "sign",
    [
        lambda keys: keys.sign_block(0, header_at(BlockDate(0, 1))),
        lambda keys: keys.sign_block(1, header_at(BlockDate(0, 1)), lottery=ALWAYS),
        lambda keys: keys.sign_vote(Link(Checkpoint(0, BLOCK0), Checkpoint(1, BLOCK0)), BLOCK0),
    ],
    ids=["turn", "pool", "vote"],
)
def test_nothing_is_signed_that_is_not_stored_before(sign: Callable[[Keyring], object]) -> None:
    disk = Disk()
    keys = disk.keys()
    keys.add_turn()
    keys.add_pool(PoolId(bytes(32)))
    keys.bind(BLOCK0)
    disk.refuses = True
    with pytest.raises(OSError, match="full"):
        sign(keys)
    disk.refuses = False
    sign(keys)  # it was not used up


def test_a_pools_keys_make_the_blocks_of_its_slots() -> None:
    """From registration to a block that holds: publics, schedule, proof and period fit together."""
    disk = Disk(Random(3).randbytes)  # which slots are drawn depends on the keys
    keys = disk.keys()
    pool = pool_id(account_id(0), 0)
    leader = keys.add_pool(pool)
    assert isinstance(leader.keys, PoolPublic)
    register = PoolRegister(
        serial=0,
        vrf_key=leader.keys.vrf_key,
        kes_key=leader.keys.kes_key,
        vote_key=keys.voter,
        kes_start_slot=0,
    )
    genesis = replace(
        praos_genesis(),
        pools=(FirstPool(account_id(0), register),),
        grants=(Grant(account_id(0), 1000, pool),),
    )
    place = first_place(genesis_block(genesis), Base())
    leaders = leaders_of(place.layer, 0)
    assert isinstance(leaders, PraosLeaders)
    lottery = lottery_of(leaders.nonce, leaders.threshold(pool))
    slots = keys.drawn_in(leader.number, lottery, range(20))
    assert 10 < len(slots) < 20, "nine of ten slots, and not all"
    for slot in slots[1:]:  # the first may be that of block 0
        period = leaders.kes_period(pool, slot)
        assert period is not None
        unsigned = unsigned_block(place, BlockDate(0, slot))
        signed = disk.keys().sign_block(
            leader.number, unsigned.header, lottery=lottery, kes_period=period
        )
        place = apply_block(place, replace(unsigned, header=signed))
    assert place.header.chain_length == len(slots) - 1


def test_a_slot_that_is_not_drawn_is_not_used_up() -> None:
    disk = Disk()
    keys = disk.keys()
    number = keys.add_pool(PoolId(bytes(32))).number
    before = disk.count
    for lottery in (NEVER, None):
        with pytest.raises(NotElected):
            keys.sign_block(number, header_at(BlockDate(0, 1)), lottery=lottery)
    assert disk.count == before
    keys.sign_block(number, header_at(BlockDate(0, 1)), lottery=ALWAYS)
    with pytest.raises(SlotTaken):
        disk.keys().sign_block(number, header_at(BlockDate(0, 1)), lottery=ALWAYS)


def test_the_key_that_votes_says_what_voters_say_and_spends_nothing() -> None:
    disk = Disk()
    keys = disk.keys()
    vote = SignedFragment(
        payer=AccountId(keys.voter),
        counter=0,
        last_epoch=1,
        fee=0,
        body=ParameterVote(2, Parameters()),
    )
    signature = keys.sign_fragment(vote, BLOCK0)
    check_signature(replace(vote, signature=signature), BLOCK0)
    spends = Transfer((Output(account_id(1), 1),))
    for bad in (replace(vote, body=spends), replace(vote, payer=account_id(0))):
        with pytest.raises(NotOurs):
            keys.sign_fragment(bad, BLOCK0)
    with pytest.raises(OtherChain):
        disk.keys().sign_fragment(vote, BlockId(bytes(32)))


def reserve(keys: Keyring, kind: Kind, first: int, until: int, *granters: Keyring) -> None:
    request = keys.ask_span(kind, first, until, BLOCK0)
    receipts = [each.grant(request, BLOCK0) for each in granters]
    keys.hold(receipts, (Voters(dict.fromkeys((each.voter for each in granters), 1)),), BLOCK0)


def test_keys_that_may_have_copies_sign_what_is_reserved_for_their_life() -> None:
    disk, member = Disk(), Disk().keys()
    keys = disk.keys()
    keys.add_turn()
    keys.share()
    link = Link(Checkpoint(0, BLOCK0), Checkpoint(1, BLOCK0))
    with pytest.raises(NotReserved, match=r"number=0\.1"):
        keys.sign_block(0, header_at(BlockDate(0, 1)))
    with pytest.raises(NotReserved, match="heights"):
        keys.sign_vote(link, BLOCK0)
    reserve(keys, Kind.SLOTS, 1, 3, member)
    keys.sign_block(0, header_at(BlockDate(0, 1)))
    with pytest.raises(NotReserved):
        keys.sign_vote(link, BLOCK0)
    reserve(keys, Kind.HEIGHTS, 1, 3, member)
    keys.sign_vote(link, BLOCK0)
    copy = disk.keys()
    assert copy.is_shared
    with pytest.raises(NotReserved):
        copy.sign_block(0, header_at(BlockDate(0, 2)))
    with pytest.raises(SpanTaken, match="free_from=3"):
        reserve(copy, Kind.SLOTS, 2, 5, member)
    with pytest.raises(NotReserved, match="needed=3"):
        copy.hold([copy.grant(copy.ask_span(Kind.SLOTS, 2, 5, BLOCK0), BLOCK0)], (FOUR,), BLOCK0)
    reserve(copy, Kind.SLOTS, 3, 5, member)
    copy.sign_block(0, header_at(BlockDate(0, 3)))
    keys.sign_block(0, header_at(BlockDate(0, 2)))


def test_what_was_granted_is_durable_before_it_is_said() -> None:
    disk, keys = Disk(), Disk().keys()
    other = Disk().keys()
    request = keys.ask_span(Kind.SLOTS, 1, 9, BLOCK0)
    disk.keys().grant(request, BLOCK0)
    copy = replace(request.span, life=bytes(32))
    signed = Request(copy, other.ask_span(Kind.SLOTS, 1, 9, BLOCK0).signature)
    with pytest.raises(ReservationRefused):
        disk.keys().grant(signed, BLOCK0)
    again = Keyring(disk.kept, disk.store, system_entropy)
    assert again.grant(request, BLOCK0).span == request.span
    disk.refuses = True
    with pytest.raises(OSError, match="full"):
        disk.keys().grant(keys.ask_span(Kind.SLOTS, 9, 12, BLOCK0), BLOCK0)
    disk.refuses = False
    assert [(each.kind, each.until) for each in disk.kept.grants] == [(0, 9)]


def test_an_evolving_key_has_no_way_back() -> None:
    disk = Disk()
    number = disk.keys().add_pool(PoolId(bytes(32))).number
    first = disk.kept
    signed = disk.keys().sign_block(
        number, header_at(BlockDate(0, 1)), lottery=ALWAYS, kes_period=5
    )
    assert kes_period(signed.proof.kes_signature) == 5  # type: ignore[union-attr]
    with pytest.raises(PeriodOver, match="present=5"):
        disk.keys().sign_block(number, header_at(BlockDate(0, 2)), lottery=ALWAYS, kes_period=4)
    disk.keys().evolve(number, 9)
    public = disk.keys().leaders[0].keys
    assert isinstance(public, PoolPublic)
    assert public.kes_period == 9
    assert disk.kept.leaders[0].keys.kes != first.leaders[0].keys.kes  # type: ignore[union-attr]
    with pytest.raises(PeriodOver):
        disk.keys().evolve(number, 8)
    with pytest.raises(KesKeySpent):
        disk.keys().evolve(number, PERIODS)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_votes_never_contradict_each_other(links: list[tuple[int, int]]) -> None:
    disk = Disk()
    signed: list[Link] = []
    for source, target in links:
        link = Link(Checkpoint(source, BLOCK0), Checkpoint(target, BLOCK0))
        keys = disk.keys()
        try:
            signature = keys.sign_vote(link, BLOCK0)
        except VoteForbidden:
            continue
        Vote(link, keys.voter, signature).check(BLOCK0)
        signed.append(link)
    for a in signed:
        for b in signed:
            if a is not b:
                assert a.target.height != b.target.height
                assert not (a.source.height < b.source.height and b.target.height < a.target.height)


def test_keys_are_of_one_chain() -> None:
    disk = Disk()
    disk.keys().bind(BLOCK0)
    disk.keys().bind(BLOCK0)
    other = BlockId(bytes(32))
    with pytest.raises(OtherChain):
        disk.keys().bind(other)
    with pytest.raises(OtherChain):
        disk.keys().sign_vote(Link(Checkpoint(0, other), Checkpoint(1, other)), other)


def test_leaders_come_and_go_and_no_number_comes_again() -> None:
    disk = Disk()
    keys = disk.keys()
    assert [keys.add_turn().number for _ in range(3)] == [0, 1, 2]
    keys.drop(1)
    keys.drop(2)
    assert disk.keys().add_turn().number == 3
    assert [each.number for each in disk.keys().leaders] == [0, 3]
    keys = disk.keys()
    keys.drop(3)
    assert keys.add_turn().number == 4
    keys.drop(4)
    with pytest.raises(LeaderUnknown):
        keys.sign_block(1, header_at(BlockDate(0, 1)))
    with pytest.raises(LeaderUnknown):
        keys.drop(7)
    with pytest.raises(LeaderUnknown, match="no pool"):
        keys.drawn_in(0, ALWAYS, range(3))


def test_leaders_are_bounded_and_no_pool_is_here_twice() -> None:
    disk = Disk()
    keys = disk.keys()
    keys.add_pool(PoolId(bytes(32)))
    with pytest.raises(LeaderUnknown, match="here already"):
        keys.add_pool(PoolId(bytes(32)))
    for _ in range(LEADERS_MAX - 1):
        keys.add_turn()
    with pytest.raises(LeaderUnknown, match="maximum"):
        keys.add_turn()


def test_a_schedule_comes_in_slices() -> None:
    disk = Disk()
    number = disk.keys().add_pool(PoolId(bytes(32))).number
    half = lottery_of(FIRST_NONCE, 1 << 63)
    keys = disk.keys()
    whole = keys.drawn_in(number, half, range(60))
    assert whole == keys.drawn_in(number, half, range(25)) + keys.drawn_in(
        number, half, range(25, 60)
    )
    assert 15 < len(whole) < 45
    assert keys.drawn_in(number, ALWAYS, range(SLICE_MAX + 5)) == tuple(range(SLICE_MAX))
