"""What a block took up of a duty, and when that is final."""

from collections.abc import Sequence

import pytest
from tests.duties.duty_world import attestation_data

from tetrarch.duties.inclusion_rules import (
    MISSED_SLOTS,
    SETTLED_SLOTS,
    UNKNOWN_SLOTS,
    Canonical,
    Expected,
    Link,
    OwnBlock,
    SyncVote,
    Vote,
    Watched,
    has_vote,
    judge,
)
from tetrarch.duties.report import Verdict
from tetrarch.duties.types import Duty, DutyType, PubKey
from tetrarch.ethereum.beacon_node.content import BitField, BlockContent, BlockVotes

DATA = attestation_data(9)
ONE, TWO = PubKey(b"1" * 48), PubKey(b"2" * 48)
LENGTHS = (3, 4, 3)


def bits(length: int, *places: int) -> BitField:
    packed = bytearray(length // 8 + 1)
    for place in places:
        packed[place // 8] |= 1 << place % 8
    return BitField(bytes(packed), length)


def vote(committee: int = 1, place: int = 2, *, data: object = DATA) -> Vote:
    assert isinstance(data, type(DATA))
    return Vote(
        data=data,
        committee_index=committee,
        committee_length=LENGTHS[committee],
        place=place,
    )


def aggregate(voters: BitField, committees: tuple[int, ...] | None = None) -> BlockVotes:
    return BlockVotes(data=DATA, voters=voters, committees=committees)


def link(
    slot: int,
    *votes: BlockVotes,
    root: bytes = b"",
    parent: bytes = b"p" * 32,
    sync: BitField | None = None,
) -> Link:
    content = BlockContent(
        slot=slot, proposer_index=1, parent_root=parent, votes=votes, sync_voters=sync
    )
    return Link(root=root or slot.to_bytes(32), content=content)


def chain(*links: Link, down_to: int = 0) -> Canonical:
    newest_first = tuple(sorted(links, key=lambda each: -each.content.slot))
    return Canonical(links=newest_first, reaches_down_to=down_to)


def watched(expected: dict[PubKey, Expected], kind: DutyType = DutyType.ATTESTER) -> Watched:
    return Watched(duty=Duty(9, kind), expected=expected)


@pytest.mark.parametrize(
    ("aggregates", "lengths", "found"),
    [
        ([aggregate(bits(4, 2))], None, True),  # before Electra: one committee
        ([aggregate(bits(4, 1, 3))], None, False),
        ([aggregate(bits(3, 2))], None, False),  # another committee, by its length
        ([], None, False),
        ([aggregate(bits(4, 2), (1,))], None, True),  # alone: its bits are the first
        ([aggregate(bits(7, 2), (1, 2))], None, True),
        ([aggregate(bits(7, 5), (0, 1))], LENGTHS, True),
        ([aggregate(bits(7, 2), (0, 1))], LENGTHS, False),  # that is committee 0's
        ([aggregate(bits(10, 5), (0, 1, 2))], LENGTHS, True),
        ([aggregate(bits(7, 5), (0, 1))], None, None),  # nobody can say without the lengths
        ([aggregate(bits(7, 5), (0, 1)), aggregate(bits(4, 2), (1,))], None, True),
        ([aggregate(bits(6, 5), (0, 2))], None, False),  # not over the committee at all
        ([aggregate(bits(8, 5), (0, 1))], LENGTHS, False),  # lengths that do not add up
        ([aggregate(bits(8, 5), (0, 1, 9))], LENGTHS, False),
    ],
)
def test_vote_is_looked_for_at_its_place_among_the_committees(
    aggregates: Sequence[BlockVotes], lengths: Sequence[int] | None, found: bool | None
) -> None:
    assert has_vote(aggregates, vote(), lengths) is found


def test_vote_for_another_head_is_not_ours() -> None:
    other = vote(data=attestation_data(9, head=b"x" * 32))
    assert has_vote([aggregate(bits(4, 2), (1,))], other, None) is False


def test_votes_are_included_once_enough_blocks_lie_above() -> None:
    duty = watched({ONE: vote(place=1), TWO: vote(place=2)})
    canonical = chain(link(10, aggregate(bits(4, 1), (1,))), link(12, aggregate(bits(4, 2), (1,))))
    assert judge(duty, canonical, slot=12 + SETTLED_SLOTS - 1, lengths=None) is None
    answer = judge(duty, canonical, slot=12 + SETTLED_SLOTS, lengths=None)
    assert answer is not None
    assert (answer.verdict, answer.included, answer.due) == (Verdict.INCLUDED, 2, 2)
    assert answer.distance == 3
    assert answer.share == 1.0


def test_what_a_reorg_took_away_counts_no_more_and_what_it_brought_does() -> None:
    duty = watched({ONE: vote()})
    taken = link(10, aggregate(bits(4, 2), (1,)), root=b"a" * 32)
    assert judge(duty, chain(taken), slot=11, lengths=None) is None
    assert duty.look(chain(taken), None) == {ONE: 10}
    other = link(10, root=b"b" * 32)
    assert duty.look(chain(other), None) == {}
    later = link(14, aggregate(bits(4, 2), (1,)), root=b"c" * 32)
    answer = judge(duty, chain(other, later), slot=20, lengths=None)
    assert answer is not None
    assert (answer.verdict, answer.distance) == (Verdict.INCLUDED, 5)


def test_vote_is_missed_only_after_an_epochs_worth_of_slots() -> None:
    duty = watched({ONE: vote(place=1), TWO: vote(place=2)})
    canonical = chain(link(10, aggregate(bits(4, 1), (1,))))
    assert judge(duty, canonical, slot=9 + MISSED_SLOTS, lengths=None) is None
    answer = judge(duty, canonical, slot=9 + MISSED_SLOTS + 1, lengths=None)
    assert answer is not None
    assert (answer.verdict, answer.included, answer.due) == (Verdict.NOT_INCLUDED, 1, 2)
    assert answer.missing == ("0x" + TWO.hex()[:16],)


@pytest.mark.parametrize("down_to", [10, 9])
def test_chain_that_was_not_read_to_its_end_proves_no_miss(down_to: int) -> None:
    duty = watched({ONE: vote()})
    canonical = chain(link(12), down_to=down_to)
    late = 9 + MISSED_SLOTS + 1
    answer = judge(duty, canonical, slot=late, lengths=None)
    assert (answer is None) is (down_to > 9)
    answer = judge(duty, canonical, slot=9 + UNKNOWN_SLOTS + 1, lengths=None)
    assert answer is not None
    assert answer.verdict == (Verdict.UNKNOWN if down_to > 9 else Verdict.NOT_INCLUDED)


def test_without_the_committees_lengths_nothing_is_called_missed() -> None:
    duty = watched({ONE: vote()})
    canonical = chain(link(10, aggregate(bits(7, 5), (0, 1))))
    assert judge(duty, canonical, slot=20, lengths=None) is None
    assert duty.needs_lengths
    answer = judge(duty, canonical, slot=20, lengths=LENGTHS)
    assert answer is not None
    assert answer.verdict is Verdict.INCLUDED
    assert not duty.needs_lengths


def test_block_is_included_if_it_is_the_one_in_its_slot() -> None:
    expected: dict[PubKey, Expected] = {ONE: OwnBlock(b"a" * 32)}
    duty = watched(expected, DutyType.PROPOSER)
    answer = judge(duty, chain(link(9, root=b"a" * 32)), slot=12, lengths=None)
    assert answer is not None
    assert (answer.verdict, answer.distance) == (Verdict.INCLUDED, 0)
    duty = watched(expected, DutyType.PROPOSER)
    other = chain(link(9, root=b"b" * 32), link(10, root=b"a" * 32))
    answer = judge(duty, other, slot=50, lengths=None)
    assert answer is not None
    assert answer.verdict is Verdict.NOT_INCLUDED


@pytest.mark.parametrize(
    ("links", "verdict"),
    [
        ([link(10, parent=b"h" * 32, sync=bits(32, 3, 17))], Verdict.INCLUDED),
        ([link(10, parent=b"h" * 32, sync=bits(32, 3))], Verdict.NOT_INCLUDED),
        ([link(10, parent=b"x" * 32, sync=bits(32, 3, 17))], Verdict.OTHER_HEAD),
        ([link(11, parent=b"h" * 32, sync=bits(32, 3, 17))], Verdict.NO_BLOCK),
        ([link(10, parent=b"h" * 32)], Verdict.NOT_INCLUDED),
    ],
)
def test_sync_message_is_in_the_next_block_or_nowhere(links: list[Link], verdict: Verdict) -> None:
    duty = watched({ONE: SyncVote(head=b"h" * 32, places=(3, 17))}, DutyType.SYNC_MESSAGE)
    answer = judge(duty, chain(*links), slot=9 + MISSED_SLOTS + 1, lengths=None)
    assert answer is not None
    assert answer.verdict is verdict


def test_of_sync_messages_all_that_are_left_out_must_be_for_another_head_to_be_called_so() -> None:
    block = chain(link(10, parent=b"h" * 32, sync=bits(32, 1)))
    votes: dict[PubKey, Expected] = {
        ONE: SyncVote(head=b"h" * 32, places=(1,)),
        TWO: SyncVote(head=b"x" * 32, places=(2,)),
    }
    answer = judge(watched(votes, DutyType.SYNC_MESSAGE), block, slot=50, lengths=None)
    assert answer is not None
    assert (answer.verdict, answer.included) == (Verdict.OTHER_HEAD, 1)
    votes[ONE] = SyncVote(head=b"h" * 32, places=(3,))  # for the right one, and left out as well
    answer = judge(watched(votes, DutyType.SYNC_MESSAGE), block, slot=50, lengths=None)
    assert answer is not None
    assert (answer.verdict, answer.included) == (Verdict.NOT_INCLUDED, 0)


@pytest.mark.parametrize(
    ("below", "verdict"),
    [
        (link(9, root=b"h" * 32), Verdict.NOT_INCLUDED),
        (link(8, root=b"h" * 32), Verdict.NOT_INCLUDED),  # slot 9 stayed empty
        (link(9, root=b"x" * 32), Verdict.OTHER_HEAD),
    ],
)
def test_vote_for_another_head_that_nobody_takes_up_is_told_as_such(
    below: Link, verdict: Verdict
) -> None:
    duty = watched({ONE: vote(data=attestation_data(9, head=b"h" * 32))})
    answer = judge(duty, chain(below, link(10)), slot=9 + MISSED_SLOTS + 1, lengths=None)
    assert answer is not None
    assert answer.verdict is verdict
