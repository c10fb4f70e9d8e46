"""Who makes blocks final changes by a quorum of those who do, in steps in which two branches always share a set."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.ledger.chain_maker import bft_block, bft_genesis
from tests.ledger.makers import bft_key, bft_public
from tests.ledger.test_checkpoints import certified

from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import Place, apply_block, first_place
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.checkpoints import encode_certificate, standing_of
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Link, Voters
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import (
    MEMBERSHIP,
    Change,
    ChangeRefused,
    Membership,
    alike,
    apply_change,
    decode_change,
    encode_change,
    follow_stake,
    is_change,
    is_voter,
    membership_of,
    settle_membership,
    voters_at,
)
from tetrarch.ledger.parameters import Mode, Parameters
from tetrarch.ledger.settings import put_settings, settings_of
from tetrarch.ledger.tables import Base
from tetrarch.ledger.wire import BytesInvalid

ROOT = first_place(genesis_block(bft_genesis(parameters=Parameters(slots_per_epoch=1000))), Base())
OLD = tuple(map(bft_public, range(4)))
NEW = tuple(map(bft_public, (2, 3, 4, 5, 6)))  # two stay


def change(
    members: Sequence[bytes] = NEW, *signers: int, sequence: int = 1, block0: BlockId = ROOT.id
) -> Change:
    """Signed by three of the four unless it is said."""
    unsigned = Change(sequence, tuple(members))
    signed = unsigned.to_sign(block0)
    numbers = signers or (0, 1, 2)
    return replace(
        unsigned, signatures={bft_public(each): bft_key(each).sign(signed) for each in numbers}
    )


def upon(place: Place, *contents: Certificate | Change | Fragment) -> Place:
    encoded = [
        encode_certificate(each)
        if isinstance(each, Certificate)
        else encode_change(each)
        if isinstance(each, Change)
        else each
        for each in contents
    ]
    return apply_block(place, bft_block(place, BlockDate(0, place.header.date.slot + 1), *encoded))


def linked(source: Place, target: Place, *numbers: int) -> Certificate:
    signed = Link(source.checkpoint, target.checkpoint).to_sign(ROOT.id)
    return Certificate(
        Link(source.checkpoint, target.checkpoint),
        {bft_public(each): bft_key(each).sign(signed) for each in numbers},
    )


def members_at(place: Place) -> list[set[bytes]]:
    """Of whom a quorum is needed for a certificate that makes ``place`` justified."""
    voters = voters_at(place.layer, place.header.chain_length)
    return [set(each.weights) for each in voters]


def test_step_by_step_from_the_old_members_to_the_new() -> None:
    one = upon(ROOT, change())
    assert membership_of(one.layer).pending == alike(NEW)
    assert members_at(one) == [set(OLD)], "it is only pending"
    two = upon(one, linked(ROOT, one, 0, 1, 2))
    three = upon(two, linked(one, two, 0, 1, 2))
    assert standing_of(three.layer).final == one.checkpoint
    assert members_at(two) == [set(OLD)]
    assert members_at(three) == [set(NEW), set(OLD)], "its block is final: both are asked"
    four = upon(three, linked(two, three, 0, 2, 3, 4, 5))
    assert members_at(four) == [set(NEW), set(OLD)], "no block of that time is final yet"
    five = upon(four, linked(three, four, 0, 2, 3, 4, 5))
    assert standing_of(five.layer).final == three.checkpoint
    assert members_at(five) == [set(NEW)], "the old are not asked any more"
    six = upon(five, linked(four, five, 3, 4, 5, 6))
    assert standing_of(six.layer).final == four.checkpoint


def test_while_both_are_asked_neither_is_enough_alone() -> None:
    one = upon(ROOT, change())
    two = upon(one, linked(ROOT, one, 0, 1, 2))
    three = upon(two, linked(one, two, 0, 1, 2))
    for numbers in ((0, 1, 2, 3), (3, 4, 5, 6), (0, 1, 4, 5, 6)):
        with pytest.raises(PeerFault, match="needed"):
            upon(three, linked(two, three, *numbers))


def test_votes_for_blocks_from_before_are_the_old_members_still() -> None:
    one = upon(ROOT, change())
    two = upon(one, linked(ROOT, one, 0, 1, 2))
    three = upon(two, linked(one, two, 0, 1, 2))
    fresh = upon(two)  # on another branch nothing is known to be final yet
    assert members_at(fresh) == [set(OLD)]
    four = upon(three)
    assert [set(each.weights) for each in voters_at(four.layer, 2)] == [set(OLD)]


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (change(NEW, 0, 1), "needed=3"),
        (change(NEW, 0, 1, 7), "needed=3"),
        (change(NEW, 0, 1, 2, 7), "needed=3"),
        (change(NEW, sequence=2), "expected=1"),
        (change(NEW, sequence=0), "expected=1"),
        (change(()), "there are none"),
        (change((*NEW, NEW[0])), "one twice"),
        (change(tuple(reversed(OLD))), "they are the members"),
        (change(NEW, block0=BlockId(bytes(32))), "verify change"),
        (replace(change(NEW), members=OLD[:2]), "verify change"),
    ],
)
def test_what_does_not_hold_is_refused(bad: Change, match: str) -> None:
    with pytest.raises(ChangeRefused, match=match):
        upon(ROOT, bad)


def test_one_change_at_a_time_and_none_twice() -> None:
    one = upon(ROOT, change())
    other = change((bft_public(8),), sequence=2)
    with pytest.raises(ChangeRefused, match="under way"):
        upon(one, other)
    with pytest.raises(PeerFault, match="maximum=1"):
        upon(ROOT, change(), change())
    two = upon(one, linked(ROOT, one, 0, 1, 2))
    three = upon(two, linked(one, two, 0, 1, 2))
    with pytest.raises(ChangeRefused, match="under way"):
        upon(three, other)
    four = upon(three, linked(two, three, 0, 2, 3, 4, 5))
    five = upon(four, linked(three, four, 0, 2, 3, 4, 5))
    with pytest.raises(ChangeRefused, match="expected=2"):
        upon(five, change())
    with pytest.raises(ChangeRefused, match="needed=4"):
        upon(five, other)
    back = change(OLD, 2, 3, 4, 5, sequence=2)
    assert membership_of(upon(five, back).layer).pending == alike(OLD)


def by_stake(*stakes: int) -> Voters:
    return Voters({bft_public(number): stake for number, stake in enumerate(stakes)}, by_stake=True)


def test_stake_is_followed_in_the_same_steps() -> None:
    draft = ROOT.layer.draft()
    follow_stake(draft, Voters({}, by_stake=True), height=5)
    assert not membership_of(draft).is_changing, "nobody has any"
    follow_stake(draft, by_stake(7, 3), height=5)
    follow_stake(draft, by_stake(3, 7), height=6)
    assert membership_of(draft).pending == by_stake(7, 3), "one change at a time"
    assert [set(each.weights) for each in voters_at(draft, 6)] == [set(OLD)]
    settle_membership(draft, height=7, final_height=4)
    assert [set(each.weights) for each in voters_at(draft, 7)] == [set(OLD)]
    settle_membership(draft, height=8, final_height=5)
    assert voters_at(draft, 8) == (by_stake(7, 3), alike(OLD))
    follow_stake(draft, by_stake(3, 7), height=9)
    assert voters_at(draft, 9) == (by_stake(7, 3), alike(OLD)), "it is under way"
    settle_membership(draft, height=10, final_height=8)
    assert voters_at(draft, 10) == (by_stake(7, 3),)
    before = membership_of(draft)
    follow_stake(draft, by_stake(7, 3), height=11)
    assert membership_of(draft) == before, "it is as it was"


def test_who_may_vote() -> None:
    draft = ROOT.layer.draft()
    assert is_voter(draft, bft_public(0))
    assert not is_voter(draft, bft_public(4))
    MEMBERSHIP.put(draft, b"", Membership(members=alike(NEW), previous=alike(OLD), since=3))
    assert is_voter(draft, bft_public(0))
    assert is_voter(draft, bft_public(4))


def test_by_stake_members_sign_no_changes() -> None:
    draft = ROOT.layer.draft()
    settings = settings_of(draft)
    parameters = replace(settings.parameters, mode=Mode.PRAOS)
    put_settings(draft, replace(settings, parameters=parameters))
    with pytest.raises(ChangeRefused, match="stake"):
        apply_change(draft, change(), height=1)


def test_what_is_written_is_read() -> None:
    data = encode_change(change())
    assert is_change(data)
    assert decode_change(data) == change()
    for broken in (data[:-1], data + b"\0", data[:5]):
        with pytest.raises(BytesInvalid):
            decode_change(broken)
    assert not is_change(encode_certificate(certified(ROOT.checkpoint, ROOT.checkpoint)))
    swapped = data[:-192] + data[-96:] + data[-192:-96]
    with pytest.raises(ChangeRefused, match="not in order"):
        decode_change(swapped)
