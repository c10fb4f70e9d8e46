"""Batches: in order, of acknowledged blocks, signed by the group, each output once."""

from dataclasses import replace

import pytest
from tests.ledger.fragments.custody_maker import (
    NETWORK,
    Chain,
    again,
    instruction,
    outside,
    signed,
)
from tests.ledger.makers import BLOCK0

from tetrarch.ledger.fragments.batch import Batch
from tetrarch.ledger.fragments.kind import FragmentRefused
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.wire import U64_MAX

BATCH = Batch(
    network=NETWORK,
    id=0,
    session=0,
    block=outside(1).block,
    instructions=(instruction(1, 5, 100), instruction(2, 6, 50), instruction(3, 5, 1)),
)


def ready() -> Chain:
    return Chain().with_key().with_blocks(1, 2)


def test_accounts_get_what_came_in() -> None:
    chain = ready()
    chain.apply(signed(BATCH), 9)
    assert (chain.coins(5), chain.coins(6), chain.supply) == (101, 50, 151)
    assert chain.network.next_batch == 1
    assert [each.number for each in chain.network.blocks] == [1, 2], "a block may have several"
    chain.apply(signed(replace(BATCH, id=1, block=outside(2).block, instructions=())))
    assert [each.number for each in chain.network.blocks] == [2], "but none goes back"
    with pytest.raises(FragmentRefused, match="not acknowledged"):
        chain.apply(signed(replace(BATCH, id=2, instructions=())))


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (signed(replace(BATCH, id=1)), "expected=0"),
        (signed(replace(BATCH, block=outside(3).block)), "not acknowledged"),
        (signed(replace(BATCH, network=8)), "no key"),
        (signed(BATCH, session=1), "signature is false"),
        (BATCH, "signature is false"),
        (replace(signed(BATCH), instructions=(instruction(1, 5, 101),)), "signature is false"),
        (signed(replace(BATCH, session=1)), "session=1"),
        (signed(replace(BATCH, instructions=BATCH.instructions[::-1])), "in order"),
        (signed(replace(BATCH, instructions=BATCH.instructions[:1] * 2)), "in order"),
        (
            signed(replace(BATCH, instructions=(instruction(1, 5, U64_MAX), instruction(2, 6, 1)))),
            "too many",
        ),
    ],
)
def test_what_does_not_hold_is_refused(batch: Batch, match: str) -> None:
    chain = ready()
    with pytest.raises(FragmentRefused, match=match):
        chain.apply(batch)
    assert chain.supply == 0


def test_a_signature_is_for_one_chain() -> None:
    assert BATCH.to_sign(BLOCK0) != BATCH.to_sign(BlockId(bytes(32)))


def test_the_next_session_takes_over_and_the_one_before_signs_no_more() -> None:
    chain = ready().with_key(1).with_key(2)
    chain.apply(signed(BATCH))
    with pytest.raises(FragmentRefused, match="session=2"):
        chain.apply(signed(replace(BATCH, id=1, session=2)))
    chain.apply(signed(replace(BATCH, id=1, session=1)))
    with pytest.raises(FragmentRefused, match="session=0"):
        chain.apply(signed(replace(BATCH, id=2)))
    chain.apply(signed(replace(BATCH, id=2, session=2)))


def test_what_is_written_is_read() -> None:
    assert again(signed(BATCH)) == signed(BATCH)
