"""Goal: two honest nodes that agree are never outvoted by one liar, whatever it answers and says
of itself, and the outcome depends on nothing but the answers.

Method: ballots drawn by hypothesis; the liar is free in every field.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ethereum.beacon_node.ports import FinalityCheckpoints
from tetrarch.ethereum.beacon_nodes.voting import (
    Ballot,
    Basis,
    Flaw,
    Question,
    convincing,
    flaw,
    quorum,
    settled,
    vote,
)
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint

SLOT = 808
EPOCH = 101
QUESTION = Question(slot=SLOT, committee_index=1, slots_per_epoch=8, now_slot=SLOT, configured=3)


def root(text: str) -> bytes:
    return text.encode().ljust(32, b".")


def data(
    head: str = "head",
    *,
    slot: int = SLOT,
    index: int = 0,
    source: tuple[int, str] = (EPOCH - 1, "source"),
    target: tuple[int, str] = (EPOCH, "target"),
) -> AttestationData:
    return AttestationData(
        slot=slot,
        index=index,
        beacon_block_root=root(head),
        source=Checkpoint(epoch=source[0], root=root(source[1])),
        target=Checkpoint(epoch=target[0], root=root(target[1])),
    )


def ballot(node: int, answer: AttestationData, score: float = 0.5) -> Ballot:
    return Ballot(node=node, data=answer, score=score)


def finality(current: tuple[int, str], previous: tuple[int, str]) -> FinalityCheckpoints:
    def checkpoint(pair: tuple[int, str]) -> Checkpoint:
        return Checkpoint(epoch=pair[0], root=root(pair[1]))

    return FinalityCheckpoints(
        previous_justified=checkpoint(previous),
        current_justified=checkpoint(current),
        finalized=checkpoint(previous),
    )


HONEST = data()
scores = st.floats(0.001, 1)
roots = st.sampled_from([root(text) for text in ("head", "other", "source", "target")])
near_epochs = st.sampled_from([0, EPOCH - 9, EPOCH - 1, EPOCH, EPOCH + 1, 2**63])
checkpoints = st.builds(Checkpoint, epoch=near_epochs, root=roots)
answers = st.builds(
    AttestationData,
    slot=st.sampled_from([SLOT, SLOT - 1, SLOT + 1, SLOT + 64]),
    index=st.sampled_from([0, 1, 7]),
    beacon_block_root=roots,
    source=checkpoints,
    target=checkpoints,
)
finalities = st.none() | st.builds(
    FinalityCheckpoints,
    previous_justified=checkpoints,
    current_justified=checkpoints,
    finalized=checkpoints,
)


@given(st.permutations([0, 1, 2]), answers, scores, scores, scores, finalities)
def test_one_liar_never_wins_against_two_that_agree(
    nodes: list[int],
    lie: AttestationData,
    first: float,
    second: float,
    third: float,
    told: FinalityCheckpoints | None,
) -> None:
    liar = Ballot(node=nodes[0], data=lie, score=first, finality=told)
    verdict = vote(
        QUESTION, [liar, ballot(nodes[1], HONEST, second), ballot(nodes[2], HONEST, third)]
    )
    assert verdict is not None
    assert verdict.data == HONEST
    assert verdict.basis is Basis.MAJORITY
    assert set(nodes[1:]) <= set(verdict.supporters)


@pytest.mark.parametrize(
    "lie",
    [
        data("parent of the head"),
        data(slot=SLOT + 1),
        data(slot=SLOT + 800, target=(EPOCH + 100, "target")),
        data("fork", source=(EPOCH - 4, "fork"), target=(EPOCH, "fork")),
        data(source=(EPOCH - 4, "surrounds what was signed")),
        data(source=(EPOCH, "not before the target")),
        data(source=(EPOCH + 5, "after the target")),
    ],
    ids=["head", "future", "far_future", "fork", "surround", "source_at", "source_after"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_kind_of_lie_loses_even_with_the_best_score(lie: AttestationData, place: int) -> None:
    nodes = [0, 1, 2]
    nodes.remove(place)
    ballots = [ballot(place, lie, 1.0), *(ballot(node, HONEST, 0.01) for node in nodes)]
    verdict = vote(QUESTION, ballots)
    assert verdict is not None
    assert verdict.data == HONEST
    assert place in (*verdict.outvoted, *(node for node, _ in verdict.refused))


@given(st.data(), st.lists(st.tuples(answers, scores, finalities), min_size=1, max_size=6))
def test_order_of_answers_does_not_matter(
    drawn: st.DataObject,
    told: list[tuple[AttestationData, float, FinalityCheckpoints | None]],
) -> None:
    ballots = [
        Ballot(node=node, data=answer, score=score, finality=known)
        for node, (answer, score, known) in enumerate(told)
    ]
    question = replace(QUESTION, configured=len(ballots))
    shuffled = drawn.draw(st.permutations(ballots))
    assert vote(question, ballots) == vote(question, shuffled)


@given(st.lists(st.tuples(answers, scores), max_size=6))
def test_what_wins_is_a_valid_answer_and_everybody_is_accounted_for(
    told: list[tuple[AttestationData, float]],
) -> None:
    ballots = [ballot(node, answer, score) for node, (answer, score) in enumerate(told)]
    verdict = vote(QUESTION, ballots)
    if verdict is None:
        assert all(flaw(QUESTION, each.data) for each in ballots)
        return
    assert flaw(QUESTION, verdict.data) is None
    refused = tuple(node for node, _ in verdict.refused)
    named = (*verdict.supporters, *verdict.outvoted, *refused)
    assert sorted(named) == list(range(len(ballots)))
    assert all(ballots[node].data == verdict.data for node in verdict.supporters)


@given(st.lists(st.tuples(answers, scores), min_size=1, max_size=5), st.integers(0, 4))
def test_settled_means_that_further_answers_change_nothing(
    told: list[tuple[AttestationData, float]], heard: int
) -> None:
    ballots = [ballot(node, answer, score) for node, (answer, score) in enumerate(told)]
    question = replace(QUESTION, configured=len(ballots))
    if settled(question, ballots[:heard], electorate=len(ballots)):
        early, late = vote(question, ballots[:heard]), vote(question, ballots)
        assert early is not None
        assert late is not None
        assert early.data == late.data


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (data(slot=SLOT - 1), Flaw.SLOT),
        (data(index=2), Flaw.INDEX),
        (replace(data(), beacon_block_root=bytes(32)), Flaw.HEAD),
        (data(target=(EPOCH + 1, "target")), Flaw.TARGET),
        (data(source=(EPOCH, "source")), Flaw.SOURCE),
        (data(index=1), None),
        (data(), None),
    ],
)
def test_what_cannot_be_right_is_refused(answer: AttestationData, reason: Flaw | None) -> None:
    assert flaw(QUESTION, answer) is reason


def test_data_for_a_slot_that_has_not_begun_is_refused() -> None:
    assert flaw(replace(QUESTION, now_slot=SLOT - 1), data()) is Flaw.FUTURE


def test_first_epoch_has_its_own_source() -> None:
    question = replace(QUESTION, slot=3, now_slot=3)
    genesis = data(slot=3, source=(0, "genesis"), target=(0, "genesis"))
    assert flaw(question, genesis) is None
    assert flaw(question, data(slot=3, source=(1, "x"), target=(0, "genesis"))) is Flaw.SOURCE


def test_majority_of_the_branch_comes_before_the_head() -> None:
    # Four of five are on one branch and see three heads; the fork's two cannot win by being equal.
    question = replace(QUESTION, configured=5)
    fork = data("fork", source=(EPOCH - 2, "fork"), target=(EPOCH, "fork"))
    verdict = vote(
        question,
        [
            ballot(0, fork, 1.0),
            ballot(1, fork, 1.0),
            ballot(2, data("a"), 0.2),
            ballot(3, data("b"), 0.3),
            ballot(4, data("c"), 0.1),
        ],
    )
    assert verdict is not None
    assert verdict.data == data("b")
    assert verdict.basis is Basis.BRANCH


def test_without_a_majority_the_best_score_wins_and_then_the_first_node() -> None:
    left, right = data("left", source=(EPOCH - 1, "l")), data("right", source=(EPOCH - 1, "r"))
    question = replace(QUESTION, configured=2)
    by_score = vote(question, [ballot(0, left, 0.4), ballot(1, right, 0.6)])
    by_place = vote(question, [ballot(1, right, 0.5), ballot(0, left, 0.5)])
    assert by_score is not None
    assert by_place is not None
    assert (by_score.data, by_score.basis) == (right, Basis.JUSTIFIED)
    assert by_place.data == left


def test_higher_source_epoch_alone_wins_nothing() -> None:
    high = data("high", source=(EPOCH - 1, "made up"))
    low = data("low", source=(EPOCH - 2, "real"))
    question = replace(QUESTION, configured=2)
    verdict = vote(question, [ballot(0, high, 0.4), ballot(1, low, 0.6)])
    assert verdict is not None
    assert verdict.data == low


def test_finality_checkpoints_tell_a_late_node_from_a_fork() -> None:
    # Node 1 is an epoch behind node 0 on the same chain, node 2 is on a fork with the best score.
    ahead = data("ahead", source=(EPOCH - 1, "new"))
    behind = data("behind", source=(EPOCH - 2, "old"), target=(EPOCH, "old target"))
    fork = data("fork", source=(EPOCH - 2, "fork"), target=(EPOCH, "fork"))
    told = [ballot(0, ahead, 0.6), ballot(1, behind, 0.5), ballot(2, fork, 0.9)]
    blind = vote(QUESTION, told)
    checkpoints = [
        finality((EPOCH - 1, "new"), (EPOCH - 2, "old")),
        finality((EPOCH - 2, "old"), (EPOCH - 3, "older")),
        finality((EPOCH - 2, "fork"), (EPOCH - 3, "fork")),
    ]
    seeing = vote(
        QUESTION, [replace(b, finality=known) for b, known in zip(told, checkpoints, strict=True)]
    )
    assert blind is not None
    assert seeing is not None
    assert blind.data == fork, "score is all there is"
    assert seeing.data == ahead
    assert seeing.basis is Basis.JUSTIFIED


def test_one_answer_of_three_nodes_is_marked_as_alone() -> None:
    verdict = vote(QUESTION, [ballot(1, HONEST), ballot(0, data(slot=SLOT + 1))])
    assert verdict is not None
    assert verdict.basis is Basis.ALONE
    assert verdict.refused == ((0, Flaw.SLOT),)
    assert vote(QUESTION, []) is None


def test_one_answer_of_three_is_not_convincing_but_two_equal_ones_are() -> None:
    one, other, same = ballot(0, HONEST), ballot(1, data("other")), ballot(1, HONEST)
    assert not convincing(QUESTION, [one])
    assert not convincing(QUESTION, [one, other])
    assert convincing(QUESTION, [one, same])
    assert convincing(replace(QUESTION, configured=2), [one])
    assert settled(QUESTION, [one, same], electorate=3)
    assert not settled(QUESTION, [one], electorate=3)
    assert settled(replace(QUESTION, configured=1), [one], electorate=1)


def test_quorum_is_more_than_half_and_two_from_three_nodes_on() -> None:
    counted = [quorum(voters, configured=3) for voters in (1, 2, 3)]
    assert counted == [2, 2, 2]
    assert [quorum(n, configured=n) for n in (1, 2, 4, 5)] == [1, 2, 3, 3]
