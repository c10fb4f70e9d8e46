"""The best block wins: right parent, then value, then score, then arrival."""

from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ethereum.beacon_nodes.block_choice import Offer, choose

PARENT, OTHER = b"p" * 32, b"o" * 32


def offer(node: int, **fields: object) -> Offer:
    known: dict[str, object] = {"parent_root": PARENT, "score": 0.5, "arrived_s": 1.0, **fields}
    return Offer(node=node, **known)  # type: ignore[arg-type]  # a test's shorthand


def test_highest_value_wins_over_score_and_arrival() -> None:
    assert choose(
        [offer(0, value_wei=5, score=0.9, arrived_s=0.1), offer(1, value_wei=7), offer(2)]
    ) == offer(1, value_wei=7)


def test_without_values_score_decides_and_then_arrival_and_then_place() -> None:
    assert choose([offer(0), offer(1, score=0.6)]) == offer(1, score=0.6)
    assert choose([offer(0), offer(1, arrived_s=0.5)]) == offer(1, arrived_s=0.5)
    assert choose([offer(1), offer(0)]) == offer(0)
    assert choose([]) is None


def test_block_on_another_parent_loses_to_two_that_agree_whatever_its_value() -> None:
    liar = offer(0, parent_root=OTHER, value_wei=10**30, score=1.0)
    assert choose([liar, offer(1, value_wei=1), offer(2, value_wei=2)]) == offer(2, value_wei=2)
    assert choose([liar, offer(1)]) == liar, "one against one: value decides"


offers = st.lists(
    st.builds(
        Offer,
        node=st.integers(0, 9),
        parent_root=st.sampled_from([PARENT, OTHER]),
        score=st.floats(0, 1),
        arrived_s=st.floats(0, 9),
        value_wei=st.none() | st.integers(0, 3),
    ),
    max_size=6,
    unique_by=lambda each: each.node,
)


@given(st.data(), offers)
def test_order_does_not_matter(drawn: st.DataObject, told: list[Offer]) -> None:
    assert choose(told) == choose(drawn.draw(st.permutations(told)))
