"""Votes are kept once per type and round, and never more than the bound per source."""

from hypothesis import given
from hypothesis import strategies as st
from tests.consensus.building import COMMIT, PREPARE, A, B, signed

from tetrarch.consensus.tally import PENDING_MAX, Tally

vote_lists = st.lists(
    st.builds(
        signed,
        st.sampled_from([PREPARE, COMMIT]),
        st.integers(0, 3),
        st.integers(1, 60),
        st.sampled_from([A, B]),
    ),
    max_size=200,
)


@given(vote_lists)
def test_memory_is_bounded_and_quorums_are_real(votes: list[object]) -> None:
    tally = Tally(4)
    for vote in votes:
        tally.keep(vote)  # type: ignore[arg-type] # hypothesis loses the type
        assert len(tally) <= 4 * PENDING_MAX
    for kind in (PREPARE, COMMIT):
        found = tally.quorum(kind)
        if found is not None:
            round_, value_hash, proof = found
            assert len({vote.message.source for vote in proof}) == len(proof) == 3
            for vote in proof:
                message = vote.message
                assert (message.type, message.round) == (kind, round_)
                assert message.value_hash == value_hash


def test_contradiction_is_news_and_repetition_is_not() -> None:
    tally = Tally(4)
    assert tally.keep(signed(PREPARE, 1, 1, A))
    assert not tally.keep(signed(PREPARE, 1, 1, B))
    assert tally.learns(signed(PREPARE, 1, 1, B).message)
    assert not tally.learns(signed(PREPARE, 1, 1, A).message)
    assert tally.learns(signed(COMMIT, 1, 1, A).message)


def test_past_prepares_are_forgotten_and_commits_are_not() -> None:
    tally = Tally(4)
    for round_ in (1, 2, 3):
        tally.keep(signed(PREPARE, 0, round_, A))
        tally.keep(signed(COMMIT, 0, round_, A))
    tally.forget_prepares(before=3)
    assert len(tally) == 4
    tally.clear()
    assert len(tally) == 0
