"""The branch that counts is found by length and by block, also where it begins above the first block."""

from dataclasses import replace

import pytest
from tests.ledger.test_chain import ROOT, grown

from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.main_chain import MainChain
from tetrarch.ledger.tables import Base, first_layer
from tetrarch.ledger.tree import Tree

PLACES = [ROOT, *(place for place, _ in grown(ROOT, *range(1, 21)))]
IDS = [place.id for place in PLACES]


def chain_from(lowest: int, *, final: int = 15) -> MainChain:
    """Final up to ``final``; all blocks of ``PLACES`` on it."""
    base = Base()
    tree = Tree(base, replace(PLACES[final], layer=first_layer(base)))
    main = MainChain(tree, IDS[lowest : final + 1], lowest=lowest)
    for place in PLACES[final + 1 :]:
        switch = tree.add(place)
        assert switch is not None
        main.switched(switch)
    return main


@pytest.mark.parametrize("lowest", [0, 9])
def test_what_is_here_is_found_and_what_is_not_is_not(lowest: int) -> None:
    main = chain_from(lowest)
    assert main.length == 20
    assert main.block0 == ROOT.id
    for length, block in enumerate(IDS):
        is_here = length == 0 or length >= lowest
        assert main.place_of(block) == (length if is_here else None)
        assert main.length_of(block) == (length if is_here else None)
        assert main.is_final(block) == (is_here and length <= 15)
    assert main.place_of(BlockId(bytes(32))) is None
    assert main.last(2) == tuple(IDS[-2:])
    assert main.fork_depth(IDS[-3]) == 0


def test_checkpoints_are_of_what_is_here() -> None:
    heights = [IDS.index(each) for each in chain_from(0).checkpoints()]
    assert heights == [20, 19, 18, 16, 12, 4, 0]
    heights = [IDS.index(each) for each in chain_from(9).checkpoints()]
    assert heights == [20, 19, 18, 16, 12, 0]


def test_a_path_begins_with_what_is_here_or_there_is_none() -> None:
    main = chain_from(9)
    assert main.path([IDS[9]], None, count_max=3) == tuple(IDS[10:13])
    assert main.path([IDS[18]], IDS[19], count_max=9) == (IDS[19],)
    assert main.path([ROOT.id], None, count_max=99) == (), "what comes next is here no more"
    assert main.path([IDS[5], ROOT.id], None, count_max=9) == ()
    assert chain_from(0).path([ROOT.id], None, count_max=2) == tuple(IDS[1:3])
    assert chain_from(1).path([ROOT.id], None, count_max=2) == tuple(IDS[1:3])


def test_branches_are_given_from_what_is_known_or_not_at_all() -> None:
    assert list(chain_from(9).branches([ROOT.id])) == []
    assert list(chain_from(9).branches([IDS[8]])) == []
    assert list(chain_from(9).branches([IDS[11]])) == IDS[12:]
    assert list(chain_from(9).branches([IDS[17]])) == IDS[18:]
    assert list(chain_from(0).branches([ROOT.id])) == IDS[1:]
    assert list(chain_from(0).branches([])) == IDS


def test_what_is_pruned_is_here_no_more() -> None:
    main, other = chain_from(0), chain_from(9)
    main.pruned(4)
    assert main.lowest == 4
    main.pruned(9)
    for each in IDS:
        assert main.length_of(each) == other.length_of(each)
    assert main.checkpoints() == other.checkpoints()
    assert main.is_final(ROOT.id)
