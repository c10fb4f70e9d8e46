"""A chain's first block says all that it begins with, in one form, and its id names the chain."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.chain_maker import bft_genesis, own_pool, praos_genesis, register
from tests.ledger.makers import account_id, bft_public

from tetrarch.errors import TetrarchError
from tetrarch.ledger.accounts import VALUE_MAX, Account, account_of
from tetrarch.ledger.blocks import Block, Fragment, content_hash, encode_content
from tetrarch.ledger.epochs import snapshot_for
from tetrarch.ledger.finality import Voters
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.genesis import (
    FirstPool,
    Genesis,
    GenesisInvalid,
    Grant,
    begin_state,
    genesis_block,
    read_genesis,
)
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.membership import voters_at
from tetrarch.ledger.parameters import Fees, Mode, Parameters, Rewards
from tetrarch.ledger.pools import POOLS, Tax
from tetrarch.ledger.settings import settings_of
from tetrarch.ledger.tables import Base, first_layer
from tetrarch.ledger.treasury import pots_of

FULL = praos_genesis(
    60,
    40,
    name="a chain",
    leaders=(bft_public(0), bft_public(1)),
    parameters=Parameters(
        mode=Mode.PRAOS,
        slot_duration_ms=2000,
        fees=Fees(constant=1, per_byte=2),
        rewards=Rewards(rate_millionth=3, treasury_millionth=4),
        compat=True,
    ),
)


@pytest.mark.parametrize("genesis", [FULL, bft_genesis(), bft_genesis(0, grants=())])
def test_what_is_written_is_read(genesis: Genesis) -> None:
    assert read_genesis(genesis_block(genesis)) == genesis


def test_the_id_is_of_all_that_it_says() -> None:
    ids = {
        genesis_block(each).header.id
        for each in (FULL, replace(FULL, name="other"), replace(FULL, rewards_pot=5), bft_genesis())
    }
    assert len(ids) == 4


def test_the_state_is_what_it_says() -> None:
    draft = first_layer(Base()).draft()
    begin_state(draft, FULL)
    assert account_of(draft, account_id(0)) == Account(value=60, pool=own_pool(0))
    assert {pool for pool, _ in POOLS.items(draft)} == {own_pool(0), own_pool(1)}
    assert pots_of(draft).rewards == FULL.rewards_pot
    settings = settings_of(draft)
    assert (settings.parameters, settings.leaders) == (FULL.parameters, FULL.leaders)
    assert settings.frame.starts_s(3) == FULL.start_unix_s + 6
    snapshot = snapshot_for(draft, 0)
    assert snapshot is not None
    assert snapshot.pools[own_pool(1)].stake == 40
    assert voters_at(draft, 1) == (Voters({bft_public(0): 60, bft_public(1): 40}, by_stake=True),)


@pytest.mark.parametrize(
    "changes", [{"members": (bft_public(2),)}, {"grants": ()}], ids=["members", "no stake"]
)
def test_by_stake_pools_make_blocks_final_and_nobody_else(changes: dict[str, Any]) -> None:
    with pytest.raises(GenesisInvalid, match="in mode praos"):
        begin_state(first_layer(Base()).draft(), replace(FULL, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"leaders": (bft_public(0),) * 2},
        {"members": (bft_public(0),) * 2},
        {"grants": (Grant(account_id(0), 1),) * 2},
        {"grants": (Grant(account_id(0), VALUE_MAX),), "rewards_pot": 1},
    ],
    ids=["long", "unprintable", "leaders", "members", "grants", "value"],
)
def test_what_no_chain_begins_with_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(GenesisInvalid):
        bft_genesis(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"pools": (FirstPool(account_id(0), register(0)),) * 2},
        {"grants": (Grant(account_id(0), 1, PoolId(b"?" * 32)),)},
    ],
    ids=["pool twice", "no such pool"],
)
def test_what_no_state_begins_with_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(GenesisInvalid):
        begin_state(first_layer(Base()).draft(), bft_genesis(**changes))


def test_more_grants_than_there_is_room_for_are_refused() -> None:
    many = bft_genesis(
        pools=tuple(
            FirstPool(
                account_id(0),
                PoolRegister(
                    serial=serial,
                    vrf_key=bytes(32),
                    kes_key=bytes(32),
                    vote_key=bytes(32),
                    kes_start_slot=0,
                    tax=Tax(),
                ),
            )
            for serial in range(9000)
        ),
    )
    with pytest.raises(GenesisInvalid, match="maximum"):
        genesis_block(many)


def test_another_block_is_no_first_one() -> None:
    block = genesis_block(FULL)
    with pytest.raises(GenesisInvalid):
        read_genesis(replace(block, header=replace(block.header, parent=block.header.id)))
    with pytest.raises(GenesisInvalid):
        read_genesis(replace(block, header=replace(block.header, chain_length=1)))
    with pytest.raises(GenesisInvalid):
        read_genesis(replace(block, fragments=()))


@given(st.data())
def test_damaged_content_is_another_chain_or_refused(data: st.DataObject) -> None:
    content = bytearray(genesis_block(FULL).fragments[0])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    fragments = (Fragment(bytes(content)),)
    encoded = encode_content(fragments)
    header = replace(
        genesis_block(FULL).header,
        content_size_bytes=len(encoded),
        content_hash=content_hash(encoded),
    )
    try:
        genesis = read_genesis(Block(header, fragments))
    except TetrarchError:
        return
    assert genesis != FULL
