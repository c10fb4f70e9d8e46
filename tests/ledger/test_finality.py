"""No two final blocks contradict each other while fewer than a third lie, whatever anybody sees and when."""

from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.makers import BLOCK0, bft_key, bft_public

from tetrarch.ledger.finality import (
    Certificate,
    Checkpoint,
    Link,
    Marks,
    Vote,
    VoteForbidden,
    VoteRefused,
    Voters,
    decode_vote,
    encode_vote,
    read_certificate,
    write_certificate,
)
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.wire import BytesInvalid, Reader, Writer

FOUR = Voters({bft_public(number): 1 for number in range(4)})


def checkpoint(height: int, branch: int = 0) -> Checkpoint:
    return Checkpoint(height, BlockId(bytes([branch]) * 31 + bytes([height % 256])))


def link(source: int, target: int, branch: int = 0) -> Link:
    return Link(checkpoint(source, branch), checkpoint(target, branch))


def vote(number: int, which: Link) -> Vote:
    return Vote(which, bft_public(number), bft_key(number).sign(which.to_sign(BLOCK0)))


# -- the rule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "is_allowed"),
    [
        (link(1, 2), link(2, 3), True),
        (link(1, 2), link(1, 3), True),
        (link(1, 2), link(1, 2), False),  # signed already: the signature is kept elsewhere
        (link(1, 2), link(1, 2, branch=1), False),  # two for one height
        (link(2, 3), link(1, 4), False),  # around the first
        (link(2, 5), link(3, 4), False),  # within the first
        (link(2, 3), link(2, 4, branch=1), True),
        (link(2, 3), link(5, 9, branch=1), True),  # whoever sees a later one justified may go there
    ],
)
def test_a_vote_never_contradicts_an_older_one(first: Link, second: Link, is_allowed: bool) -> None:
    marks = Marks().after(first)
    if is_allowed:
        assert marks.after(second) == Marks(second.source.height, second.target.height)
    else:
        with pytest.raises(VoteForbidden):
            marks.after(second)


def test_a_source_is_before_its_target() -> None:
    for backwards in (link(2, 2), link(3, 2)):
        with pytest.raises(VoteForbidden, match="source"):
            Marks().after(backwards)


def test_only_the_link_to_the_next_slot_makes_its_source_final() -> None:
    assert link(4, 5).makes_final
    assert not link(4, 6).makes_final


# -- quorums ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "needed"),
    [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7), (13, 9)],
)
def test_a_quorum_of_members(members: int, needed: int) -> None:
    assert Voters({bytes([number]): 1 for number in range(members)}).needed == needed
    liars = (members - 1) // 3
    assert 2 * needed - members > liars, "two quorums share one who does not lie"
    assert members - liars >= needed or members == 2, "and there is one without liars"


@given(st.lists(st.integers(1, 10**18), min_size=1, max_size=20))
def test_a_quorum_by_stake_is_more_than_two_thirds(stakes: list[int]) -> None:
    weights = {bytes([number]): stake for number, stake in enumerate(stakes)}
    needed, total = Voters(weights, by_stake=True).needed, sum(stakes)
    assert 3 * needed > 2 * total
    assert 3 * (needed - 1) <= 2 * total


def test_two_thirds_exactly_are_no_quorum() -> None:
    assert Voters({b"a": 6, b"b": 3}, by_stake=True).needed == 7


def certificate(which: Link, *numbers: int) -> Certificate:
    return Certificate(which, {bft_public(n): vote(n, which).signature for n in numbers})


def check(each: Certificate, block0: BlockId, *voters: Voters) -> None:
    each.check_weight(*voters)
    each.check_signatures(block0)


def test_a_certificate_is_a_quorums_votes() -> None:
    check(certificate(link(1, 2), 0, 1, 2), BLOCK0, FOUR)
    with pytest.raises(VoteRefused, match="needed=3"):
        check(certificate(link(1, 2), 0, 1), BLOCK0, FOUR)
    with pytest.raises(VoteRefused, match="needed=3"):
        check(certificate(link(1, 2), 0, 1, 7), BLOCK0, FOUR)
    with pytest.raises(VoteRefused, match="may not vote"):
        check(certificate(link(1, 2), 0, 1, 2, 7), BLOCK0, FOUR)
    false = certificate(link(1, 2), 0, 1, 2)
    with pytest.raises(VoteRefused, match="verify vote"):
        check(replace(false, link=link(1, 3)), BLOCK0, FOUR)
    with pytest.raises(VoteRefused, match="verify vote"):
        check(false, BlockId(bytes(32)), FOUR)


def test_where_members_change_a_quorum_of_both_is_needed() -> None:
    after = Voters({bft_public(number): 1 for number in range(2, 6)})
    check(certificate(link(1, 2), *range(6)), BLOCK0, FOUR, after)
    check(certificate(link(1, 2), 0, 2, 3, 5), BLOCK0, FOUR, after)
    with pytest.raises(VoteRefused, match="weight=2"):
        check(certificate(link(1, 2), 0, 1, 2, 3), BLOCK0, FOUR, after)


def test_what_is_written_is_read() -> None:
    voted = vote(0, link(1, 2))
    assert decode_vote(encode_vote(voted)) == voted
    writer = Writer()
    write_certificate(writer, certificate(link(1, 2), 0, 1, 2))
    reader = Reader(writer.data, what="test")
    assert read_certificate(reader) == certificate(link(1, 2), 0, 1, 2)
    reader.end()
    with pytest.raises(BytesInvalid):
        decode_vote(encode_vote(voted) + b"\0")


def test_a_certificate_has_one_form() -> None:
    signed = certificate(link(1, 2), 0, 1)
    for voters in (sorted(signed.signatures, reverse=True), [bft_public(0)] * 2):
        writer = Writer()
        write_certificate(writer, Certificate(link(1, 2), {}))
        data = writer.data[:-4] + (2).to_bytes(4, "big")
        data += b"".join(voter + signed.signatures[voter] for voter in voters)
        with pytest.raises(VoteRefused, match="order"):
            read_certificate(Reader(data, what="test"))


# -- safety -----------------------------------------------------------------------------------------

GENESIS = (0, 0)


class Branches:
    """Checkpoints as (height, branch): a branch leaves its parent's at a height, and blocks are not looked at."""

    def __init__(self, random: Random, count: int, heights: int) -> None:
        self.parents: list[tuple[int, int]] = [
            (0, 0)
        ]  # of each: which branch, and from which height
        for branch in range(1, count):
            self.parents.append((random.randrange(branch), random.randrange(heights)))

    def at(self, height: int, branch: int) -> Checkpoint:
        """On that branch, which may be its parent's so early."""
        while branch and height <= self.parents[branch][1]:
            branch = self.parents[branch][0]
        return checkpoint(height, branch)

    def are_one(self, a: tuple[int, int], b: tuple[int, int]) -> bool:
        """Whether one of both (height, branch) stands upon the other."""
        first, second = sorted((a, b))
        return self.at(first[0], first[1]) == self.at(first[0], second[1])


def test_no_two_final_blocks_contradict_each_other() -> None:
    for seed in range(300):
        check_that_none_contradict(Random(seed))


def check_that_none_contradict(random: Random) -> None:
    """Four or seven voters, of whom as many lie as may; the honest vote for what they like, by the rule."""
    members = random.choice([4, 7])
    voters = Voters({bytes([number]): 1 for number in range(members)})
    liars = (members - 1) // 3
    branches = Branches(random, 2, 3)
    marks = [Marks()] * members
    tallies: dict[Link, set[int]] = {}
    justified, finals = {GENESIS}, {GENESIS}
    for _ in range(60):
        latest = max(mark.target_height for mark in marks)
        target = (max(1, latest + random.randrange(-1, 3)), random.randrange(2))
        sources = [s for s in justified if s[0] < target[0] and branches.are_one(s, target)]
        if not sources:
            continue
        source = random.choice(sources)
        which = Link(branches.at(*source), branches.at(*target))
        tally = tallies.setdefault(which, set(range(liars)))  # who lies votes for everything
        for number in range(liars, members):
            if random.random() < 0.3:
                continue  # does not see it, or prefers another
            with suppress(VoteForbidden):
                marks[number] = marks[number].after(which)
                tally.add(number)
        if len(tally) >= voters.needed:
            justified.add(target)
            if which.makes_final:
                finals.add(source)
    for a in finals:
        for b in finals:
            assert branches.are_one(a, b), (a, b)


def test_without_the_rule_two_final_blocks_may_contradict_each_other() -> None:
    """So the test above can fail: three of four vote for both branches."""
    for branch in (0, 1):
        for source, target in ((0, 1), (1, 2)):
            root = checkpoint(0)
            start = root if source == 0 else checkpoint(source, branch)
            which = Link(start, checkpoint(target, branch))
            check(certificate(which, 0, 1, 2), BLOCK0, FOUR)
            assert which.makes_final
