"""A quorum that saw a block of a network final acknowledges it; none goes back."""

import pytest
from tests.ledger.fragments.custody_maker import NETWORK, Chain, again, outside

from tetrarch.ledger.custody import BLOCKS_WAITING_MAX, ExternalBlock
from tetrarch.ledger.fragments.external_block import ExternalBlockVote
from tetrarch.ledger.fragments.kind import FragmentRefused


def test_a_quorum_acknowledges_it() -> None:
    chain = Chain().with_key()
    vote = ExternalBlockVote(NETWORK, outside(4))
    chain.apply(vote, 0)
    chain.apply(vote, 1)
    assert not chain.network.blocks
    chain.apply(vote, 2)
    assert (chain.network.blocks, chain.network.latest) == ((outside(4),), 4)
    with pytest.raises(FragmentRefused, match="latest=4"):
        chain.apply(ExternalBlockVote(NETWORK, outside(3)), 0)


def test_who_saw_another_block_may_say_so_later() -> None:
    """As after a reorganisation outside."""
    chain = Chain().with_key()
    other = ExternalBlockVote(NETWORK, ExternalBlock(4, bytes(32)))
    chain.apply(other, 0)
    chain.apply(other, 1)
    chain.with_blocks(4)
    assert chain.network.blocks == (outside(4),)


def test_a_network_without_a_key_has_no_blocks() -> None:
    with pytest.raises(FragmentRefused, match="no key"):
        Chain().with_blocks(1)


def test_so_many_wait_for_batches_at_most() -> None:
    chain = Chain().with_key().with_blocks(*range(BLOCKS_WAITING_MAX))
    with pytest.raises(FragmentRefused, match="batches come first"):
        chain.with_blocks(BLOCKS_WAITING_MAX)


def test_what_is_written_is_read() -> None:
    vote = ExternalBlockVote(NETWORK, outside(2**40))
    assert again(vote) == vote
