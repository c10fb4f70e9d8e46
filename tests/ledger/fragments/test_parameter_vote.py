"""Members choose other parameters, which hold an epoch after the next at the earliest; so a chain passes to stake."""

from dataclasses import replace
from typing import Any

import pytest
from tests.ledger.chain_maker import (
    bft_block,
    bft_genesis,
    keys_as,
    next_praos,
    own_pool,
    praos_genesis,
    praos_leaders,
)
from tests.ledger.makers import account_id, bft_key, bft_public, signed_fragment
from tests.ledger.test_membership import change

from tetrarch.ledger.applying import Place, apply_block, first_place, leaders_of
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.checkpoints import encode_certificate, standing_of
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Link, VoteRefused
from tetrarch.ledger.fragments.delegate import Delegate
from tetrarch.ledger.fragments.kind import FragmentRefused
from tetrarch.ledger.fragments.parameter_vote import ParameterVote
from tetrarch.ledger.genesis import Grant, genesis_block
from tetrarch.ledger.leaders import BftLeaders, PraosLeaders
from tetrarch.ledger.membership import ChangeRefused, encode_change, membership_of, voters_at
from tetrarch.ledger.parameter_votes import COMING_MAX, agreed_of
from tetrarch.ledger.parameters import Fees, Mode, Parameters
from tetrarch.ledger.tables import Base
from tetrarch.ledger.wire import Reader, Writer

NOW = Parameters(slots_per_epoch=10, fees=Fees(constant=7))
DEARER = replace(NOW, fees=Fees(constant=9))
BY_STAKE = replace(NOW, mode=Mode.PRAOS, coefficient_milli=900)
STAKES = (300, 300, 300, 100)


def root(**changes: Any) -> Place:
    """Members 0 to 3; accounts 0 to 3 operate pools that they delegate to."""
    pools = praos_genesis(*STAKES)
    genesis = bft_genesis(parameters=NOW, grants=pools.grants, pools=pools.pools)
    return first_place(genesis_block(replace(genesis, **changes)), Base())


def voted(
    place: Place,
    number: int,
    parameters: Parameters = DEARER,
    epoch: int = 2,
    *,
    counter: int = 0,
    slot: int | None = None,
) -> Place:
    """A block later."""
    fragment = signed_fragment(
        number,
        ParameterVote(epoch, parameters),
        counter=counter,
        last_epoch=place.header.date.epoch + 1,
        block0=place.block0,
    )
    date = place.header.date
    next_date = (
        BlockDate(date.epoch, date.slot + 1) if slot is None else BlockDate(slot // 10, slot % 10)
    )
    return apply_block(place, bft_block(place, next_date, fragment))


def agreed(parameters: Parameters, epoch: int = 2) -> Place:
    place = root()
    for number in range(3):
        place = voted(place, number, parameters, epoch)
    return place


def at(place: Place, epoch: int, slot: int = 0) -> Place:
    """A block later, empty."""
    return apply_block(place, bft_block(place, BlockDate(epoch, slot)))


def linked(source: Place, target: Place, *numbers: int) -> Fragment:
    link = Link(source.checkpoint, target.checkpoint)
    signed = link.to_sign(source.block0)
    return encode_certificate(
        Certificate(link, {bft_public(each): bft_key(each).sign(signed) for each in numbers})
    )


def test_what_a_quorum_chose_holds_from_its_epoch_on() -> None:
    place = agreed(DEARER)
    assert agreed_of(place.layer) == ((2, DEARER),)
    place = at(place, 1)
    assert place.settings.parameters == NOW
    place = at(place, 2)
    assert place.settings.parameters == DEARER
    assert agreed_of(place.layer) == ()
    assert at(agreed(DEARER), 5).settings.parameters == DEARER, "epochs without blocks between"


def test_the_latest_of_several_holds() -> None:
    place = agreed(DEARER, 3)
    for number in range(3):
        place = voted(place, number, BY_STAKE, 4, counter=1)
    assert [epoch for epoch, _ in agreed_of(place.layer)] == [3, 4]
    assert at(place, 3).settings.parameters == DEARER
    assert at(place, 9 // 3).settings.parameters.mode is Mode.BFT


def test_two_of_four_decide_nothing_and_their_votes_cost_nothing() -> None:
    place = voted(voted(root(), 0), 1)
    assert agreed_of(place.layer) == ()
    assert at(place, 2).settings.parameters == NOW


@pytest.mark.parametrize(
    ("number", "parameters", "epoch", "match"),
    [
        (0, DEARER, 1, "earliest=2"),
        (0, replace(DEARER, slots_per_epoch=11), 2, "fixed=slots_per_epoch"),
        (0, replace(DEARER, slot_duration_ms=500, compat=True), 2, "slot_duration_ms, compat"),
        (0, replace(DEARER, slots_per_kes_period=3), 2, "slots_per_kes_period"),
    ],
)
def test_what_cannot_be_chosen(number: int, parameters: Parameters, epoch: int, match: str) -> None:
    with pytest.raises(FragmentRefused, match=match):
        voted(root(), number, parameters, epoch)


def test_who_is_no_member_pays_and_decides_nothing() -> None:
    place = root(members=tuple(map(bft_public, range(1, 4))))
    with pytest.raises(FragmentRefused, match="needed=7"):
        voted(place, 0)
    fragment = signed_fragment(0, ParameterVote(2, DEARER), fee=7, block0=place.block0)
    with pytest.raises(FragmentRefused, match="no member"):
        apply_block(place, bft_block(place, BlockDate(0, 1), fragment))


def test_what_is_decided_is_not_voted_on() -> None:
    with pytest.raises(FragmentRefused, match="decided"):
        voted(agreed(DEARER), 3)
    place = root()
    for epoch in range(2, 2 + COMING_MAX):
        for number in range(3):
            slot = place.settings.era.slot(place.header.date) + 1
            place = voted(place, number, DEARER, epoch + 20, counter=epoch - 2, slot=slot)
    with pytest.raises(FragmentRefused, match="decided"):
        voted(place, 3, DEARER, 99, slot=place.settings.era.slot(place.header.date) + 1)


def test_a_chain_that_nobody_could_lead_is_not_chosen() -> None:
    place = root(pools=(), grants=(Grant(account_id(0), 10),))
    with pytest.raises(FragmentRefused, match="nobody could lead"):
        voted(place, 0, BY_STAKE)


def test_from_turns_to_stake() -> None:
    """The schedule is known an epoch ahead, the nonce is not, and pools take over finality in steps."""
    place = at(agreed(BY_STAKE), 1, 3)
    leaders = leaders_of(place.layer, 2)
    assert isinstance(leaders, PraosLeaders), "known an epoch ahead"
    assert leaders.coefficient_milli == 900
    other = at(agreed(BY_STAKE), 1, 4)
    assert leaders.nonce == praos_leaders(other, 2).nonce, "by what was before its epoch"
    earlier = at(root(), 0, 1)
    again = praos_leaders(
        at(voted(voted(voted(earlier, 0, BY_STAKE), 1, BY_STAKE), 2, BY_STAKE), 1), 2
    )
    assert again.nonce != leaders.nonce, "other blocks, another nonce"
    first, _ = next_praos(at(place, 1, 9), pools=4)
    assert first.header.date.epoch == 2
    assert first.settings.parameters.mode is Mode.PRAOS
    pending = membership_of(first.layer).pending
    assert pending is not None
    assert dict(pending.weights) == dict(zip(map(bft_public, range(4)), STAKES, strict=True))
    assert pending.by_stake
    assert [len(each.weights) for each in voters_at(first.layer, 99)] == [4]
    assert not voters_at(first.layer, 99)[0].by_stake, "the members, as long as it is not final"


def test_back_to_turns() -> None:
    genesis = praos_genesis(*STAKES, leaders=tuple(map(bft_public, range(3))))
    parameters = genesis.parameters
    place = first_place(genesis_block(genesis), Base())
    for number in range(3):
        vote = ParameterVote(3, replace(parameters, mode=Mode.BFT))
        fragment = signed_fragment(number, vote, last_epoch=2, block0=place.block0)
        place, _ = next_praos(place, pools=4, fragments=[fragment])
    assert [epoch for epoch, _ in agreed_of(place.layer)] == [3]
    assert isinstance(leaders_of(place.layer, 1), PraosLeaders)
    while place.header.date.epoch < 2:
        place, _ = next_praos(place, pools=4)
    assert isinstance(leaders_of(place.layer, 3), BftLeaders)
    assert at(place, 3).settings.parameters.mode is Mode.BFT


def test_pools_make_blocks_final_by_stake() -> None:
    """300 : 300 : 300 : 100 of 1000, of which 667 are needed."""
    place = first_place(genesis_block(praos_genesis(*STAKES)), Base())
    (voters,) = voters_at(place.layer, 1)
    assert (voters.by_stake, voters.needed) == (True, 667)
    one, _ = next_praos(place, pools=4)
    with pytest.raises(VoteRefused, match="weight=600"):
        next_praos(one, pools=4, fragments=[linked(place, one, 0, 1)])
    with pytest.raises(VoteRefused, match="weight=400"):
        next_praos(one, pools=4, fragments=[linked(place, one, 0, 3)])
    two, _ = next_praos(one, pools=4, fragments=[linked(place, one, 0, 1, 3)])
    three, _ = next_praos(two, pools=4, fragments=[linked(one, two, 0, 1, 2)])
    assert standing_of(three.layer).final == one.checkpoint
    signed = change((bft_public(8),), block0=place.block0)
    with pytest.raises(ChangeRefused, match="stake"):
        next_praos(three, pools=4, fragments=[encode_change(signed)])


def test_other_stake_is_another_quorum_once_its_epoch_is_final() -> None:
    genesis = praos_genesis(300, 700)
    moved = replace(genesis, parameters=replace(genesis.parameters, slots_per_epoch=20))
    place = first_place(genesis_block(moved), Base())

    fragment = signed_fragment(1, Delegate(own_pool(0)), last_epoch=1, block0=place.block0)
    place, _ = next_praos(place, pools=2, fragments=[fragment])
    before = place
    while place.header.date.epoch < 2:
        before, (place, _) = place, next_praos(place, pools=2)
    pending = membership_of(place.layer).pending
    assert pending is not None
    assert dict(pending.weights) == {bft_public(0): 1000}
    assert [dict(each.weights) for each in voters_at(place.layer, 99)] == [
        {bft_public(0): 300, bft_public(1): 700}
    ], "it is not final yet"
    assert membership_of(before.layer).pending is None
    assert keys_as(0).pool == own_pool(0)


def test_what_is_written_is_read() -> None:
    vote = ParameterVote(7, BY_STAKE)
    writer = Writer()
    vote.write(writer)
    assert ParameterVote.read(Reader(writer.data, what="test")) == vote
