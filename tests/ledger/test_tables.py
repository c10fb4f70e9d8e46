"""Every block sees what its own branch made, whatever others did and however many there are."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tetrarch.errors import InvariantBroken
from tetrarch.ledger.tables import Base, Cell, Draft, Layer, Table, first_layer

NUMBERS = Table("numbers", int)
WORDS = Table("words", str)
KEYS = [bytes([number]) for number in range(6)]


def seen(layer: Layer) -> dict[bytes, int]:
    return dict(NUMBERS.items(layer))


def test_a_table_holds_its_own_and_gives_it_in_order() -> None:
    draft = first_layer(Base()).draft()
    for key in (b"b", b"a", b"c"):
        NUMBERS.put(draft, key, len(draft.changes))
    WORDS.put(draft, b"a", "word")
    NUMBERS.remove(draft, b"c")
    assert list(NUMBERS.items(draft)) == [(b"a", 1), (b"b", 0)]
    assert (NUMBERS.get(draft, b"a"), WORDS.get(draft, b"a")) == (1, "word")
    assert WORDS.get(draft, b"b") is None


def test_a_trial_is_taken_or_leaves_nothing() -> None:
    draft = first_layer(Base()).draft()
    NUMBERS.put(draft, b"a", 1)
    trial = draft.trial()
    NUMBERS.put(trial, b"a", 2)
    NUMBERS.put(trial, b"b", 3)
    assert (NUMBERS.get(trial, b"a"), NUMBERS.get(draft, b"a")) == (2, 1)
    assert dict(NUMBERS.items(trial)) == {b"a": 2, b"b": 3}
    draft.take(trial)
    assert dict(NUMBERS.items(draft)) == {b"a": 2, b"b": 3}
    with pytest.raises(InvariantBroken):
        draft.take(first_layer(Base()).draft().trial())


def test_what_is_final_lies_below() -> None:
    base = Base()
    base.take({("numbers", b"a"): 1, ("numbers", b"b"): 2})
    layer = first_layer(base)
    assert seen(layer) == {b"a": 1, b"b": 2}
    above = layer.above({("numbers", b"a"): None})
    assert (seen(above), seen(layer)) == ({b"b": 2}, {b"a": 1, b"b": 2})
    base.take(above.changes)
    assert seen(first_layer(base)) == seen(above) == {b"b": 2}
    base.take({("numbers", b"z"): None})


class Branches(RuleBasedStateMachine):
    """Against plain dictionaries, one for each block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[Layer, dict[bytes, int]]] = [(first_layer(Base()), {})]

    @rule(
        place=st.integers(0, 10**6),
        changes=st.dictionaries(st.sampled_from(KEYS), st.none() | st.integers(0, 9), max_size=4),
    )
    def add(self, place: int, changes: dict[bytes, int | None]) -> None:
        layer, plain = self.blocks[place % len(self.blocks)]
        cells: dict[Cell, int | None] = {("numbers", key): value for key, value in changes.items()}
        after = {key: value for key, value in (plain | changes).items() if value is not None}
        self.blocks.append((layer.above(cells), after))

    @invariant()
    def all_see_their_own(self) -> None:
        for layer, plain in self.blocks:
            assert seen(layer) == plain
            assert {key: NUMBERS.get(layer, key) for key in KEYS} == {
                key: plain.get(key) for key in KEYS
            }


test_branches = Branches.TestCase


@given(st.integers(1, 700))
def test_many_blocks_take_few_looks(blocks: int) -> None:
    layer = first_layer(Base())
    for number in range(blocks):
        layer = layer.above({("numbers", bytes([number % 7])): number})
    assert len(layer._runs) == blocks.bit_count()
    assert sum(run.blocks for run in layer._runs) == blocks
    assert max(seen(layer).values()) == blocks - 1


def test_a_draft_is_over_a_layer_or_a_draft() -> None:
    random = Random(1)
    view: Draft = first_layer(Base()).draft()
    plain: dict[bytes, int] = {}
    for _ in range(50):
        key, value = random.choice(KEYS), random.randrange(9)
        NUMBERS.put(view, key, value)
        plain[key] = value
        view = view.trial()
    assert dict(NUMBERS.items(view)) == plain
