"""More than half of equal answers win, else the best score."""

from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ethereum.beacon_nodes.agreement import Statement, agree, is_settled


def said(*keys: str, scores: tuple[float, ...] = ()) -> list[Statement]:
    return [
        Statement(node=node, key=key, score=scores[node] if scores else 0.5)
        for node, key in enumerate(keys)
    ]


def test_majority_wins_against_the_best_score() -> None:
    found = agree(said("lie", "truth", "truth", scores=(1.0, 0.1, 0.2)))
    assert found is not None
    assert (found.node, found.supporters, found.dissenters) == (2, (1, 2), (0,))
    assert found.by_majority


def test_without_majority_the_best_score_wins() -> None:
    found = agree(said("a", "a", "b", "c", scores=(0.1, 0.1, 0.9, 0.2)))
    assert found is not None
    assert (found.node, found.by_majority, found.dissenters) == (2, False, (0, 1, 3))
    assert agree([]) is None


@given(st.data(), st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), max_size=7))
def test_order_does_not_matter_and_settled_is_final(
    drawn: st.DataObject, told: list[tuple[str, float]]
) -> None:
    statements = [Statement(node=n, key=k, score=s) for n, (k, s) in enumerate(told)]
    shuffled = drawn.draw(st.permutations(statements))
    assert agree(shuffled) == agree(statements)
    heard = shuffled[: drawn.draw(st.integers(0, len(told)))]
    if is_settled(heard, electorate=len(told)):
        early, late = agree(heard), agree(statements)
        assert early is not None
        assert late is not None
        assert statements[early.node].key == statements[late.node].key
