"""A block follows another if all of it holds, and leaves the state that it says; else nothing of it is seen."""

from dataclasses import replace

import pytest
from tests.ledger.chain_maker import (
    bft_block,
    bft_genesis,
    keys_as,
    next_praos,
    own_pool,
    praos_block,
    praos_genesis,
    praos_leaders,
    unsigned_block,
)
from tests.ledger.makers import account_id, bft_key, bft_public, bft_signed, signed_fragment
from tests.ledger.test_elections import ROOT as ELECTED_ROOT
from tests.ledger.test_elections import block as elected_block
from tests.ledger.test_elections import election
from tests.ledger.test_state_digest import bare

from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import ACCOUNTS, account_of
from tetrarch.ledger.applying import BlockRefused, Place, apply_block, first_place, leaders_of
from tetrarch.ledger.blocks import Block, Fragment, content_hash, encode_content
from tetrarch.ledger.checkpoints import encode_certificate, standing_of
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.epochs import BLOCKS_MADE, nonce_of, snapshot_for
from tetrarch.ledger.finality import Certificate, Link
from tetrarch.ledger.fragments.signed import SignedFragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import Genesis, genesis_block
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.praos import FIRST_NONCE
from tetrarch.ledger.state_chunks import digest_of
from tetrarch.ledger.state_digest import encode_digest
from tetrarch.ledger.tables import Base
from tetrarch.ledger.treasury import pots_of

TEN = Transfer((Output(account_id(1), 10),))


def begun(genesis: Genesis) -> Place:
    return first_place(genesis_block(genesis), Base())


BFT = begun(bft_genesis())


def refused(place: Place, block: Block, match: str) -> None:
    seen = dict(ACCOUNTS.items(place.layer))
    with pytest.raises(PeerFault, match=match):
        apply_block(place, block)
    assert dict(ACCOUNTS.items(place.layer)) == seen


def value(place: Place, number: int) -> int:
    return account_of(place.layer, account_id(number)).value


def paid(place: Place, number: int = 0, counter: int = 0, *, last_epoch: int = 1) -> SignedFragment:
    return signed_fragment(number, TEN, counter=counter, last_epoch=last_epoch, block0=place.block0)


# -- links ------------------------------------------------------------------------------------------


def test_a_block_follows_and_its_fragments_hold() -> None:
    block = bft_block(BFT, BlockDate(0, 4), paid(BFT), paid(BFT, counter=1), paid(BFT, 2))
    place = apply_block(BFT, block)
    assert [value(place, number) for number in range(3)] == [980, 1030, 990]
    assert value(BFT, 0) == 1000, "its parent is as it was"
    assert (place.id, place.block0, place.slot) == (block.header.id, BFT.id, 4)


def test_branches_stand_beside_each_other() -> None:
    left = apply_block(BFT, bft_block(BFT, BlockDate(0, 1), paid(BFT)))
    right = apply_block(BFT, bft_block(BFT, BlockDate(0, 2), paid(BFT, 2)))
    further = apply_block(left, bft_block(left, BlockDate(0, 3), paid(BFT, counter=1)))
    assert [value(each, 0) for each in (left, right, further)] == [990, 1000, 980]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"parent": BlockId(bytes(32))}, "link block.*parent"),
        ({"chain_length": 2}, "expected=1"),
        ({"chain_length": 0}, "expected=1"),
        ({"date": BlockDate(0, 0)}, r"after=0\.0"),
        ({"date": BlockDate(0, 10)}, "slots_per_epoch=10"),
    ],
)
def test_a_block_that_does_not_follow_is_refused(changes: dict[str, object], match: str) -> None:
    block = unsigned_block(BFT, BlockDate(0, 1))
    header = bft_signed(replace(block.header, **changes), 1)  # type: ignore[arg-type]
    refused(BFT, replace(block, header=header), match)


def test_a_slot_is_led_once_on_a_branch() -> None:
    place = apply_block(BFT, bft_block(BFT, BlockDate(0, 4)))
    refused(place, bft_block(place, BlockDate(0, 4), paid(BFT)), r"after=0\.4")


def test_another_leader_is_refused() -> None:
    block = unsigned_block(BFT, BlockDate(0, 4))
    refused(BFT, replace(block, header=bft_signed(block.header, 2)), "turn")


def test_more_than_a_block_may_hold_is_refused() -> None:
    place = begun(
        bft_genesis(
            parameters=Parameters(content_size_bytes_max=1024, fragment_size_bytes_max=1024)
        )
    )
    fragments = [paid(place, counter=counter) for counter in range(7)]
    refused(place, bft_block(place, BlockDate(0, 1), *fragments), "maximum=1024")


def test_what_members_signed_takes_no_room() -> None:
    """With many members a certificate alone is larger than small blocks."""
    members = tuple(map(bft_public, range(20)))
    parameters = Parameters(content_size_bytes_max=1024, fragment_size_bytes_max=1024)
    place = begun(bft_genesis(parameters=parameters, members=members))
    one = apply_block(place, bft_block(place, BlockDate(0, 1)))
    link = Link(place.checkpoint, one.checkpoint)
    signed = link.to_sign(place.id)
    signatures = {bft_public(each): bft_key(each).sign(signed) for each in range(15)}
    certificate = encode_certificate(Certificate(link, signatures))
    assert len(certificate) > parameters.content_size_bytes_max
    two = apply_block(one, bft_block(one, BlockDate(0, 2), certificate, paid(one)))
    assert standing_of(two.layer).justified == one.checkpoint
    fragments = [paid(one, counter=counter) for counter in range(7)]
    refused(one, bft_block(one, BlockDate(0, 2), certificate, *fragments), "maximum=1024")


@pytest.mark.parametrize(
    ("fragments", "match"),
    [
        ((paid(BFT), paid(BFT)), "expected=1"),
        ((paid(BFT), paid(BFT, counter=2)), "expected=1"),
        ((signed_fragment(5, TEN, block0=BFT.block0),), "holds=0"),
        ((signed_fragment(0, TEN),), "signature"),
        ((paid(BFT), signed_fragment(0, TEN, counter=1)), "signature"),
        ((paid(BFT, last_epoch=9),), "highest=2"),
    ],
    ids=["twice", "out of order", "overspent", "another chain", "second is false", "too long"],
)
def test_one_fragment_that_does_not_hold_is_enough(
    fragments: tuple[SignedFragment, ...], match: str
) -> None:
    refused(BFT, bft_block(BFT, BlockDate(0, 1), *fragments), match)


def test_what_is_no_fragment_is_refused() -> None:
    for data, match in (
        (b"", "read fragment"),
        (b"\xc8" + bytes(100), "no such kind"),
        (b"\0", "no such"),
    ):
        block = unsigned_block(BFT, BlockDate(0, 1))
        fragments = (Fragment(data),)
        content = encode_content(fragments)
        header = replace(
            block.header, content_size_bytes=len(content), content_hash=content_hash(content)
        )
        refused(BFT, Block(bft_signed(header, 1), fragments), match)


def test_with_the_first_block_of_an_epoch_it_begins() -> None:
    before = apply_block(BFT, bft_block(BFT, BlockDate(0, 9)))
    assert snapshot_for(before.layer, 2) is None
    after = apply_block(before, bft_block(before, BlockDate(1, 0)))
    assert snapshot_for(after.layer, 2) is not None


def test_without_leaders_nobody_makes_blocks() -> None:
    place = begun(bft_genesis(0))
    assert leaders_of(place.layer, 0) is None
    block = unsigned_block(place, BlockDate(0, 1))
    refused(place, replace(block, header=bft_signed(block.header, 0)), "nobody")


# -- by stake ---------------------------------------------------------------------------------------


def test_what_was_drawn_goes_into_the_nonce() -> None:
    place = begun(praos_genesis(1000))
    slot = keys_as(0).slots_drawn(praos_leaders(place, 0))[1]
    after = apply_block(place, praos_block(place, BlockDate(0, slot), 0))
    assert (nonce_of(place.layer), nonce_of(after.layer) == FIRST_NONCE) == (FIRST_NONCE, False)
    assert dict(BLOCKS_MADE.items(after.layer)) == {own_pool(0): 1}


def test_a_chain_by_stake_goes_on_through_epochs() -> None:
    place = begun(praos_genesis(600, 300, 100))
    made = []
    while place.header.date.epoch < 4:
        before = nonce_of(place.layer)
        place, pool = next_praos(place, pools=3)
        made.append(pool)
        assert nonce_of(place.layer) != before
    assert set(made) == {0, 1, 2}
    total = sum(account.value for _, account in ACCOUNTS.items(place.layer))
    pots = pots_of(place.layer)
    assert total + pots.fees + pots.rewards + pots.treasury == 1000 + 1_000_000
    snapshot = snapshot_for(place.layer, 4)
    assert snapshot is not None
    assert snapshot.nonce != FIRST_NONCE


def test_blocks_are_counted_and_the_count_begins_anew_with_an_epoch() -> None:
    place = begun(praos_genesis(1000))
    while True:
        after, _ = next_praos(place, pools=1)
        if after.header.date.epoch:
            break
        place = after
    assert dict(BLOCKS_MADE.items(place.layer)) == {own_pool(0): place.header.chain_length}
    assert dict(BLOCKS_MADE.items(after.layer)) == {own_pool(0): 1}


def test_slot_0_of_an_epoch_is_led_when_somebody_is_drawn() -> None:
    """The reference wakes at slot 0 and asks from slot 1 on."""
    place, led = begun(praos_genesis(1000, 500)), 0
    for epoch in range(1, 6):
        place = apply_to_epoch(place, epoch)
        date = BlockDate(epoch + 1, 0)
        for number in range(2):
            if keys_as(number).is_drawn(praos_leaders(place, date.epoch), date.slot):
                assert apply_block(place, praos_block(place, date, number)).header.date == date
                led += 1
    assert led


def apply_to_epoch(place: Place, epoch: int) -> Place:
    while place.header.date.epoch < epoch:
        place, _ = next_praos(place, pools=2)
    return place


def test_the_schedule_of_the_next_epoch_is_known_before_it_begins() -> None:
    place = apply_to_epoch(begun(praos_genesis(1000, 500)), 1)
    foreseen = praos_leaders(place, 2)
    later = apply_to_epoch(place, 2)
    seen = praos_leaders(later, 2)
    assert (seen.nonce, seen.pools) == (foreseen.nonce, foreseen.pools)
    assert leaders_of(place.layer, 3) is None, "and no further"


def test_who_is_elected_makes_the_very_block_that_proves_it() -> None:
    place = apply_block(ELECTED_ROOT, elected_block(ELECTED_ROOT, 1, 2, election(2, 1)))
    place = apply_block(place, elected_block(place, 2, 3, election(3, 2)))
    with pytest.raises(PeerFault):
        apply_block(place, elected_block(place, 3, 3, election(2, 3)))


def test_a_block_has_one_election() -> None:
    with pytest.raises(BlockRefused, match="elections=2"):
        apply_block(ELECTED_ROOT, elected_block(ELECTED_ROOT, 1, 2, election(1, 1), election(2, 2)))


def test_what_a_block_says_of_the_state_is_reckoned_anew() -> None:
    before = apply_block(BFT, bft_block(BFT, BlockDate(0, 9)))
    of_another = encode_digest(digest_of(BFT.layer))
    refused(before, bare(before, BlockDate(1, 0), of_another), "the state before it is another")
