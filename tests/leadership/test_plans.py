"""What is to be scheduled: two epochs ahead, each once, anew where somebody else may lead."""

from dataclasses import replace

from tests.ledger.chain_maker import (
    START_S,
    bft_block,
    bft_genesis,
    next_praos,
    praos_genesis,
)
from tests.ledger.makers import bft_public

from tetrarch.leadership.plans import NewLeadership, Plans, leadership_of
from tetrarch.ledger.applying import Place, apply_block, draft_upon, first_place, leaders_of
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.settings import put_settings
from tetrarch.ledger.tables import Base

ROOT = first_place(genesis_block(bft_genesis()), Base())  # epochs of ten slots of a second


def epochs(told: list[NewLeadership]) -> list[int]:
    return [each.epoch for each in told]


def test_this_epoch_and_the_next_are_told_once_by_whatever_trigger() -> None:
    plans = Plans()
    assert epochs(plans.news(ROOT, START_S - 5)) == [0, 1], "before the chain begins, too"
    assert plans.news(ROOT, START_S + 3) == []
    one = apply_block(ROOT, bft_block(ROOT, BlockDate(0, 1)))
    assert plans.news(one, START_S + 9.9) == [], "a block changes nothing"
    assert epochs(plans.news(one, START_S + 10)) == [2], "the end of an epoch, by the clock"
    two = apply_block(one, bft_block(one, BlockDate(1, 0)))
    assert plans.news(two, START_S + 10.1) == [], "and its transition, by a block"


def test_an_epoch_without_blocks_is_passed_over() -> None:
    assert epochs(Plans().news(ROOT, START_S + 95)) == [9, 10]


def test_times_are_of_the_chain() -> None:
    leadership = leadership_of(ROOT, 3)
    assert leadership is not None
    assert leadership.slots == 10
    assert leadership.starts_s(4) == START_S + 34


def test_other_leaders_are_news() -> None:
    plans = Plans()
    plans.news(ROOT, START_S)
    draft = ROOT.layer.draft()
    put_settings(draft, replace(ROOT.settings, leaders=(bft_public(7),)))
    changed = replace(ROOT, layer=ROOT.layer.above(draft.changes))
    told = plans.news(changed, START_S)
    assert epochs(told) == [0, 1]
    assert plans.news(changed, START_S) == []


def grown(place: Place, *, until: int) -> Place:
    while place.header.date.epoch < until:
        place, _ = next_praos(place, pools=2)
    return place


def test_what_is_told_ahead_is_what_blocks_are_held_to() -> None:
    """As seen from the end of one epoch, from the one before, and after epochs without blocks."""
    root = first_place(genesis_block(praos_genesis(600, 400)), Base())
    tip = grown(root, until=2)
    for epoch in (2, 3, 4, 7):
        told = leadership_of(tip, epoch)
        held = leaders_of(draft_upon(tip, BlockDate(epoch, 19)), epoch)
        assert told is not None
        assert told.leaders == held
    before = grown(root, until=1)
    ahead = leadership_of(before, 2)
    assert ahead is not None
    assert ahead.leaders == leaders_of(grown(before, until=2).layer, 2)
