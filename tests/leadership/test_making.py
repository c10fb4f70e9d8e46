"""One block: what it carries, upon what, and when there is none."""

import asyncio

import pytest
from tests.leadership.leading_world import World, leading, run
from tests.ledger.makers import account_id, bft_public, pool_keys, signed_fragment

from tetrarch.leadership.making import HARD_SHARE, Maker, NotMade, right_of
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.leadership.voting import Voting
from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.blocks import decode_block
from tetrarch.ledger.checkpoints import is_certificate
from tetrarch.ledger.dates import BlockDate, Era
from tetrarch.ledger.fragments.signed import encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.keyring import LeaderIs, PoolPublic, TurnKeys
from tetrarch.ledger.leaders import BftLeaders, PraosLeaders
from tetrarch.ledger.praos import FIRST_NONCE
from tetrarch.network.overlay.profile import FRAGMENTS

ERA = Era(slots_per_epoch=10)
POOL = PoolId(b"p" * 32)


def maker_of(world: World) -> tuple[Maker, LeadershipPorts]:
    ports = world.leadership._ports
    return Maker(ports, world.chain), ports


def test_it_carries_what_waits_and_what_is_certified() -> None:
    async def main() -> None:
        async with leading() as world:
            voting = asyncio.create_task(Voting(world.leadership._ports, world.chain).run())
            await world.until(3.5)
            block0 = world.tip.block0
            for counter in range(3):
                body = Transfer((Output(account_id(9), 10),))
                fragment = signed_fragment(0, body, counter=counter, block0=block0)
                await world.chain.take(FRAGMENTS, encode_fragment(fragment))
            assert len(world.chain.mempool) == 3
            await world.until(4.5)
            voting.cancel()
            assert account_of(world.tip.layer, account_id(9)).value == 30
            assert len(world.chain.mempool) == 0
            made = [each for each in world.proposed if each[0] == 1]
            fragments = decode_block(made[-1]).fragments
            assert [is_certificate(each) for each in fragments] == [True, False, False, False]

    run(main)


def test_there_is_none_of_a_slot_that_has_one_or_is_another_leaders_or_is_nearly_over() -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(2.5)
            maker, _ = maker_of(world)
            (leader,) = world.leadership.leaders
            noted: list[object] = []
            with pytest.raises(NotMade, match="is here"):
                await maker.make(leader, BlockDate(0, 2), noted.append)
            other = LeaderIs(7, TurnKeys(bft_public(3)))
            with pytest.raises(NotMade, match="not this leader's"):
                await maker.make(other, BlockDate(0, 3), noted.append)
            await world.leadership.drop_leader(0)
            await world.until(3 + HARD_SHARE + 0.1)
            with pytest.raises(NotMade, match="late_s"):
                await maker.make(leader, BlockDate(0, 3), noted.append)
            assert noted == [], "nobody is told of what was not made"

    run(main)


def test_a_right_is_of_the_leader_and_the_kind_of_the_epoch() -> None:
    turn = LeaderIs(0, TurnKeys(bft_public(1)))
    keys = pool_keys(0)
    pool = LeaderIs(1, PoolPublic(POOL, keys.vrf.public_key, keys.kes_public, 0))
    turns = BftLeaders(epoch=0, era=ERA, leaders=(bft_public(0), bft_public(1)))
    pools = PraosLeaders(
        epoch=0,
        era=ERA,
        nonce=FIRST_NONCE,
        coefficient_milli=500,
        slots_per_kes_period=4,
        pools={POOL: keys.registered(10, kes_start_slot=3)},
    )
    assert [right_of(turn, turns, slot) is not None for slot in range(4)] == [0, 1, 0, 1]
    assert right_of(pool, turns, 1) is None
    assert right_of(turn, pools, 5) is None
    rights = [right_of(pool, pools, slot) for slot in (2, 3, 7)]
    assert rights[0] is None, "its key is in use from slot 3 on"
    assert [right.kes_period for right in rights[1:] if right is not None] == [0, 1]
    empty = PraosLeaders(
        epoch=0,
        era=ERA,
        nonce=FIRST_NONCE,
        coefficient_milli=500,
        slots_per_kes_period=4,
        pools={},
    )
    assert right_of(pool, empty, 5) is None
