"""The longest branch counts, the first of equals; what is final stays, and all branches see their own."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.chain_maker import bft_block, bft_genesis
from tests.ledger.makers import account_id, signed_fragment

from tetrarch.errors import InvariantBroken
from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.applying import Place, apply_block, first_place
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.tables import Base
from tetrarch.ledger.tree import Switch, Tree, TreeFull

GENESIS = genesis_block(bft_genesis(parameters=Parameters(slots_per_epoch=1000)))


class Grown:
    """A tree whose blocks each pay as much as their slot says."""

    def __init__(self, **how: int) -> None:
        base = Base()
        self.tree = Tree(base, first_place(GENESIS, base), **how)
        self.root = self.tree.tip

    def grow(self, parent: Place, slot: int) -> tuple[Place, Switch | None]:
        """One more block."""
        parent = self.now(parent)
        counter = account_of(parent.layer, account_id(0)).counter
        body = Transfer((Output(account_id(1), slot),))
        paid = signed_fragment(0, body, counter=counter, block0=parent.block0)
        place = apply_block(parent, bft_block(parent, BlockDate(0, slot), paid))
        return place, self.tree.add(place)

    def chain(self, parent: Place, *slots: int) -> list[Place]:
        """Some of them, one upon the other."""
        made = []
        for slot in slots:
            parent, _ = self.grow(parent, slot)
            made.append(parent)
        return made

    def now(self, place: Place) -> Place:
        found = self.tree.get(place.id)
        assert found is not None
        return found

    def paid(self, place: Place) -> int:
        return account_of(self.now(place).layer, account_id(1)).value - 1000


def ids(places: tuple[Place, ...]) -> list[bytes]:
    return [place.id for place in places]


def test_a_longer_branch_counts_and_an_equal_one_does_not() -> None:
    grown = Grown()
    a1, switch = grown.grow(grown.root, 1)
    assert switch == Switch((), (a1,))
    b1, switch = grown.grow(grown.root, 2)
    assert switch is None
    assert grown.tree.tip.id == a1.id
    b2, switch = grown.grow(b1, 3)
    assert switch is not None
    assert (ids(switch.undone), ids(switch.done)) == ([a1.id], [b1.id, b2.id])
    assert grown.tree.tip.id == b2.id
    assert ids(tuple(grown.tree.line())) == [b2.id, b1.id]
    assert [grown.paid(each) for each in (a1, b1, b2)] == [1, 2, 5]


def test_what_both_branches_have_is_not_undone() -> None:
    grown = Grown()
    a1, a2 = grown.chain(grown.root, 1, 2)
    b2, _ = grown.grow(a1, 3)
    b3, switch = grown.grow(b2, 4)
    assert switch is not None
    assert (ids(switch.undone), ids(switch.done)) == ([a2.id], [b2.id, b3.id])


def test_what_is_here_already_changes_nothing() -> None:
    grown = Grown()
    a1, _ = grown.grow(grown.root, 1)
    assert grown.tree.add(a1) is None
    assert len(grown.tree) == 1


def test_what_is_final_is_kept_and_what_does_not_stand_upon_it_is_not() -> None:
    grown = Grown()
    a1, a2, a3 = grown.chain(grown.root, 1, 2, 3)
    b2, b3 = grown.chain(a1, 4, 5)
    (c1,) = grown.chain(grown.root, 6)
    finals, switch = grown.tree.finalize(a2.id)
    assert (ids(finals), switch) == ([a1.id, a2.id], None)
    assert [grown.tree.get(each.id) for each in (a1, b2, b3, c1)] == [None] * 4
    assert (grown.tree.final.id, grown.tree.tip.id, len(grown.tree)) == (a2.id, a3.id, 1)
    assert (grown.paid(a2), grown.paid(a3)) == (3, 6)
    assert grown.tree.finalize(a2.id) == ((), None)


def test_a_final_block_makes_its_branch_count_however_short() -> None:
    grown = Grown()
    grown.chain(grown.root, 1, 2, 3)
    b1, b2 = grown.chain(grown.root, 4, 5)
    (c2,) = grown.chain(b1, 6)
    before = ids(tuple(grown.tree.line()))
    finals, switch = grown.tree.finalize(b1.id)
    assert ids(finals) == [b1.id]
    assert switch is not None
    assert (ids(switch.undone), ids(switch.done)) == (before, [b1.id, b2.id]), "the first of two"
    assert grown.tree.tip.id == b2.id
    assert (grown.paid(b2), grown.paid(c2)) == (9, 10)


def test_only_what_stands_upon_the_justified_block_counts() -> None:
    grown = Grown()
    a1, a2, a3 = grown.chain(grown.root, 1, 2, 3)
    b1, b2 = grown.chain(grown.root, 4, 5)
    assert grown.tree.justify(a1.id) is None
    switch = grown.tree.justify(b1.id)
    assert switch is not None
    assert (ids(switch.undone), ids(switch.done)) == ([a3.id, a2.id, a1.id], [b1.id, b2.id])
    _, none = grown.grow(a3, 6)
    assert none is None, "longer, and does not count"
    assert grown.tree.tip.id == b2.id
    b3, switch = grown.grow(b2, 7)
    assert switch is not None
    finals, none = grown.tree.finalize(b1.id)
    assert (ids(finals), none, grown.tree.tip.id) == ([b1.id], None, b3.id)


def test_what_is_final_is_justified() -> None:
    grown = Grown()
    a1, _ = grown.chain(grown.root, 1, 2)
    b1, b2 = grown.chain(grown.root, 3, 4)
    grown.tree.justify(a1.id)
    _, switch = grown.tree.finalize(b1.id)
    assert switch is not None
    assert grown.tree.tip.id == b2.id
    b3, switch = grown.grow(b2, 5)
    assert switch is not None
    grown.tree.justify(b3.id)
    grown.tree.finalize(b2.id)
    c3, _ = grown.chain(b2, 6, 7)
    assert grown.tree.tip.id == b3.id, "what was justified stays so"
    assert c3.id != b3.id


def test_the_tree_is_bounded() -> None:
    grown = Grown(blocks_max=2)
    a1, a2 = grown.chain(grown.root, 1, 2)
    with pytest.raises(TreeFull, match="maximum=2"):
        grown.grow(a2, 3)
    assert grown.tree.add(a2) is None, "it has its place"
    grown.tree.finalize(a1.id)
    grown.grow(a2, 3)


def test_a_block_stands_upon_one_that_is_here() -> None:
    grown = Grown()
    (_, b2) = grown.chain(grown.root, 1, 2)
    with pytest.raises(InvariantBroken):
        Grown().tree.add(b2)


@given(st.integers(0, 10**6))
def test_however_it_grows_all_blocks_see_their_own_branch(seed: int) -> None:
    """Against a plain account of who pays what, with blocks made final now and then."""
    random, grown = Random(seed), Grown()
    sums = {grown.root.id: 0}
    for slot in range(1, 25):
        parent = random.choice([grown.now(p) for p in grown.tree._places.values()])
        place, _ = grown.grow(parent, slot)
        sums[place.id] = sums[parent.id] + slot
        if random.random() < 0.15:
            finals = list(grown.tree.line())
            grown.tree.finalize(random.choice(finals).id)
        assert grown.tree.tip.header.chain_length == max(
            each.header.chain_length for each in grown.tree._places.values()
        )
    for each in grown.tree._places.values():
        assert grown.paid(each) == sums[each.id]
