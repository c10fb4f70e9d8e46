"""Coins go from one account to another; none comes from nothing."""

import pytest
from tests.ledger.fragments.custody_maker import COIN, NETWORK, Chain, again
from tests.ledger.makers import account_id

from tetrarch.ledger.custody import COINS
from tetrarch.ledger.fragments.coin_transfer import CoinTransfer
from tetrarch.ledger.fragments.kind import FragmentRefused

SENT = CoinTransfer(network=NETWORK, coin=COIN, account=account_id(1), amount=30)


def test_one_has_less_and_the_other_more() -> None:
    chain = Chain().with_coins(60)
    chain.apply(SENT)
    assert (chain.coins(0), chain.coins(1), chain.supply) == (30, 30, 60)
    chain.apply(SENT)
    assert len(list(COINS.items(chain.draft))) == 1, "who has none has no row"


def test_what_does_not_hold_is_refused() -> None:
    chain = Chain().with_coins(29, 50)
    with pytest.raises(FragmentRefused, match="holds=29"):
        chain.apply(SENT)
    with pytest.raises(FragmentRefused, match="pays the payer"):
        chain.apply(SENT, 1)


def test_what_is_written_is_read() -> None:
    assert again(SENT) == SENT
