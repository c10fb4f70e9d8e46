"""Members list what they will pay, for final blocks alone, each plan and each burn once."""

from dataclasses import replace

import pytest
from tests.ledger.fragments.custody_maker import COIN, NETWORK, Chain, again, block

from tetrarch.ledger.custody import BURNS, PLANS, plan_key
from tetrarch.ledger.finality import Checkpoint
from tetrarch.ledger.fragments.burn import Burn
from tetrarch.ledger.fragments.kind import FragmentRefused
from tetrarch.ledger.fragments.plan_list import PlanList

BURN = Burn(network=NETWORK, coin=COIN, amount=10, address=b"an address")
A, B = b"a" * 32, b"b" * 32


def listing(height: int, *plans: bytes) -> PlanList:
    return PlanList(network=NETWORK, upto=Checkpoint(height, block(height)), plans=plans)


def burnt() -> Chain:
    """One in block 10 and one in block 12, of which 10 is final."""
    chain = Chain().with_coins(100)
    chain.apply(BURN)
    chain.to(12)
    chain.apply(BURN)
    chain.to(13, final=11)
    return chain


def test_a_quorum_orders_them_and_their_burns_are_planned() -> None:
    chain = burnt()
    assert len(list(BURNS.items(chain.draft))) == 2
    chain.apply(listing(11, A, B), 0)
    chain.apply(listing(11, A), 1)
    chain.apply(listing(11, A, B), 2)
    assert not list(PLANS.items(chain.draft)), "two said so, and one otherwise"
    chain.apply(listing(11, A, B), 3)
    assert [PLANS.get(chain.draft, plan_key(NETWORK, each)) for each in (A, B)] == [11, 11]
    assert [each.height for _, each in BURNS.items(chain.draft)] == [12]
    assert (chain.network.planned_height, chain.network.next_unplanned) == (11, 1)


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (listing(12, A), "final=11"),
        (replace(listing(11, A), upto=Checkpoint(11, block(12))), "another block"),
        (listing(11, B, A), "in order"),
        (listing(11, A, A), "in order"),
        (replace(listing(11), network=8), "no key"),
    ],
)
def test_what_does_not_hold_is_refused(bad: PlanList, match: str) -> None:
    with pytest.raises(FragmentRefused, match=match):
        burnt().apply(bad)


def test_nothing_is_listed_twice() -> None:
    chain = burnt()
    chain.by_quorum(listing(11, A))
    chain.to(15, final=12)
    with pytest.raises(FragmentRefused, match="planned=11"):
        chain.apply(listing(11, B))
    with pytest.raises(FragmentRefused, match="listed before"):
        chain.apply(listing(12, A))
    chain.by_quorum(listing(12, B))
    assert not list(BURNS.items(chain.draft))


def test_what_is_written_is_read() -> None:
    assert again(listing(11, A, B)) == listing(11, A, B)
