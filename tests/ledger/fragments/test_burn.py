"""Coins that are given up are gone here, and wait to be paid outside."""

import pytest
from tests.ledger.fragments.custody_maker import COIN, NETWORK, Chain, again
from tests.ledger.makers import account_id

from tetrarch.ledger.custody import BURNS, Burnt, burn_key
from tetrarch.ledger.fragments.burn import Burn
from tetrarch.ledger.fragments.kind import FragmentRefused

BURN = Burn(network=NETWORK, coin=COIN, amount=30, address=b"an address")


def test_what_is_burnt_waits_under_a_number() -> None:
    chain = Chain().with_coins(100)
    chain.apply(BURN)
    chain.apply(BURN)
    assert (chain.coins(0), chain.supply, chain.network.next_burn) == (40, 40, 2)
    waiting = Burnt(
        account=account_id(0), coin=COIN, amount=30, address=b"an address", height=chain.height
    )
    assert [BURNS.get(chain.draft, burn_key(NETWORK, number)) for number in (0, 1, 2)] == [
        waiting,
        waiting,
        None,
    ]


def test_nobody_burns_what_he_has_not() -> None:
    chain = Chain().with_coins(29)
    with pytest.raises(FragmentRefused, match="holds=29"):
        chain.apply(BURN)
    with pytest.raises(FragmentRefused, match="holds=0"):
        chain.apply(BURN, 1)
    with pytest.raises(FragmentRefused, match="no key"):
        Chain().apply(BURN)


def test_what_is_written_is_read() -> None:
    assert again(BURN) == BURN
