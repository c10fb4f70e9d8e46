"""Nothing is made or lost where epochs meet, and who is drawn and rewarded was settled an epoch before."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.makers import account_id, bft_public, draft_of, pool_keys

from tetrarch.ledger.accounts import ACCOUNTS, account_of, add_value
from tetrarch.ledger.epochs import (
    BLOCKS_MADE,
    SNAPSHOTS,
    begin_chain,
    begin_epoch,
    count_block,
    nonce_of,
    put_nonce,
    snapshot_for,
    stake_voters,
)
from tetrarch.ledger.finality import VOTERS_MAX
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.parameters import Rewards
from tetrarch.ledger.pools import POOLS, Registration, Tax, pool_id
from tetrarch.ledger.praos import FIRST_NONCE, Nonce
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.treasury import Pots, pots_of, put_pots

A, B = pool_id(account_id(0), 0), pool_id(account_id(1), 0)
REWARDS = Rewards(rate_millionth=100_000, treasury_millionth=200_000)


def registration(operator: int, *owners: int, tax: Tax | None = None) -> Registration:
    keys = pool_keys(operator)
    return Registration(
        operator=account_id(operator),
        owners=tuple(map(account_id, owners)),
        vrf_key=keys.vrf.public_key,
        kes_key=keys.kes_public,
        vote_key=bft_public(operator),
        kes_start_slot=0,
        tax=tax or Tax(),
    )


def delegating(*accounts: tuple[int, object]) -> Draft:
    """A state in which account n holds so much and delegates to that pool; it is the chain's first."""
    draft = draft_of(*(value for value, _ in accounts))
    POOLS.put(draft, A, registration(0))
    POOLS.put(draft, B, registration(1))
    for number, (_, pool) in enumerate(accounts):
        account = account_of(draft, account_id(number))
        ACCOUNTS.put(draft, account_id(number), replace(account, pool=pool))  # type: ignore[arg-type]
    begin_chain(draft)
    return draft


def test_pools_vote_by_stake_the_largest_first() -> None:
    draft = delegating((60, A), (40, B), (5, None))
    POOLS.put(draft, pool_id(account_id(2), 0), registration(2))
    begin_chain(draft)
    snapshot = snapshot_for(draft, 0)
    assert snapshot is not None
    voters = stake_voters(snapshot)
    assert (dict(voters.weights), voters.by_stake) == ({bft_public(0): 60, bft_public(1): 40}, True)
    POOLS.put(draft, B, replace(registration(1), vote_key=bft_public(0)))
    begin_chain(draft)
    snapshot = snapshot_for(draft, 0)
    assert snapshot is not None
    assert dict(stake_voters(snapshot).weights) == {bft_public(0): 100}, "one node's pools"
    many = {PoolId(n.to_bytes(32, "big")): n for n in range(1, VOTERS_MAX + 3)}
    large = replace(
        snapshot,
        pools={pool: replace(snapshot.pools[A], stake=n) for pool, n in many.items()},
        registrations={
            pool: replace(registration(0), vote_key=n.to_bytes(32, "big"))
            for pool, n in many.items()
        },
    )
    assert sorted(stake_voters(large).weights.values()) == list(range(3, VOTERS_MAX + 3))


def value(draft: Draft, number: int) -> int:
    return account_of(draft, account_id(number)).value


def total(draft: Draft) -> int:
    pots = pots_of(draft)
    held = sum(account.value for _, account in ACCOUNTS.items(draft))
    return held + pots.fees + pots.rewards + pots.treasury


def test_the_first_two_epochs_go_by_the_first_block() -> None:
    draft = delegating((60, A), (40, B))
    begin_epoch(draft, 0, 1, REWARDS)
    first = snapshot_for(draft, 0)
    assert first is not None
    assert snapshot_for(draft, 1) is first
    assert {pool: each.stake for pool, each in first.pools.items()} == {A: 60, B: 40}


def test_stake_and_nonce_count_an_epoch_later() -> None:
    draft = delegating((60, A), (40, B))
    put_nonce(draft, Nonce(b"1" * 32))
    add_value(draft, account_id(0), 5)
    begin_epoch(draft, 0, 1, REWARDS)
    put_nonce(draft, Nonce(b"2" * 32))
    add_value(draft, account_id(0), 100)
    begin_epoch(draft, 1, 2, REWARDS)
    snapshot = snapshot_for(draft, 2)
    assert snapshot is not None
    assert (snapshot.pools[A].stake, snapshot.nonce) == (65, b"1" * 32)
    assert nonce_of(draft) == b"2" * 32


def test_only_snapshots_that_can_be_asked_for_are_kept() -> None:
    draft = delegating((1, A))
    for epoch in range(10):
        begin_epoch(draft, epoch, epoch + 1, REWARDS)
    assert [snapshot.epoch for _, snapshot in SNAPSHOTS.items(draft)] == [8, 9, 10]
    assert snapshot_for(draft, 12) is None


def test_epochs_without_blocks_are_passed_over() -> None:
    draft = delegating((1, A))
    begin_epoch(draft, 0, 1_000_000_000, REWARDS)
    assert [snapshot.epoch for _, snapshot in SNAPSHOTS.items(draft)] == [999_999_999, 10**9]
    snapshot = snapshot_for(draft, 10**9)
    assert snapshot is not None
    assert snapshot.epoch == 10**9 - 1


def test_an_epoch_without_blocks_changes_what_is_drawn() -> None:
    """Else one in which nobody was drawn would come again for ever."""
    nonces = set()
    for epoch in (1, 2, 3, 4, 5):
        draft = delegating((1, A))
        begin_epoch(draft, 0, epoch, REWARDS)
        snapshot = snapshot_for(draft, epoch + 1)
        assert snapshot is not None
        nonces.add(snapshot.nonce)
        assert nonce_of(draft) == snapshot.nonce
    assert len(nonces) == 5


def test_a_pool_is_rewarded_by_its_blocks_and_shares_by_stake() -> None:
    draft = delegating((100, A), (50, B), (300, A))
    POOLS.put(draft, A, registration(0, 1, tax=Tax(10, 500_000)))
    begin_chain(draft)
    put_pots(draft, Pots(fees=300, rewards=2000))
    for pool in (A, A, A, B):
        count_block(draft, pool)
    begin_epoch(draft, 0, 1, REWARDS)
    # due 300 + 200, to the treasury 100; A has 3/4 of 400: 300; its tax 10 + 145, in two parts of 77, and one more
    assert pots_of(draft) == Pots(fees=0, rewards=1800 + 1, treasury=100)
    # of the 145 left a quarter and three quarters: 36 and 108
    assert value(draft, 0) == 100 + 78 + 36
    assert value(draft, 2) == 300 + 108
    # B has 100, without a tax, and one delegator
    assert value(draft, 1) == 50 + 77 + 100
    assert list(BLOCKS_MADE.items(draft)) == []


def test_rewards_go_by_the_stake_that_was_drawn_with() -> None:
    """Who comes to a pool when it has made its blocks has no part in them."""
    draft = delegating((100, A), (0, None), (900, None))
    count_block(draft, A)
    put_pots(draft, Pots(fees=100))
    late = account_of(draft, account_id(2))
    ACCOUNTS.put(draft, account_id(2), replace(late, pool=A))
    begin_epoch(draft, 0, 1, Rewards())
    assert (value(draft, 0), value(draft, 2)) == (200, 900)


def test_what_nobody_made_blocks_for_stays_in_the_pot() -> None:
    draft = delegating((100, A))
    put_pots(draft, Pots(fees=100, rewards=1000))
    begin_epoch(draft, 0, 1, REWARDS)
    assert pots_of(draft) == Pots(fees=0, rewards=1060, treasury=40)


@given(
    values=st.lists(st.integers(0, 10**12), min_size=3, max_size=6),
    choices=st.lists(st.sampled_from([A, B, None]), min_size=6, max_size=6),
    blocks=st.lists(st.sampled_from([A, B]), max_size=6),
    pots=st.builds(Pots, st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**6)),
    rewards=st.builds(
        Rewards,
        rate_millionth=st.integers(0, 10**6),
        treasury_millionth=st.integers(0, 10**6),
    ),
    tax=st.builds(
        Tax, st.integers(0, 10**9), st.integers(0, 10**6), st.none() | st.integers(0, 99)
    ),
)
def test_nothing_is_made_and_nothing_lost(
    values: list[int],
    choices: list[PoolId | None],
    blocks: list[PoolId],
    pots: Pots,
    rewards: Rewards,
    tax: Tax,
) -> None:
    draft = delegating(*zip(values, choices, strict=False))
    POOLS.put(draft, A, registration(0, 2, 3, tax=tax))
    begin_chain(draft)
    put_pots(draft, pots)
    for pool in blocks:
        count_block(draft, pool)
    before = total(draft)
    begin_epoch(draft, 0, 1, rewards)
    assert total(draft) == before
    assert min(pots_of(draft).rewards, pots_of(draft).treasury) >= 0


def test_a_retired_pool_is_drawn_and_delegated_to_no_more_from_its_epoch_on() -> None:
    draft = delegating((60, A), (40, B))
    POOLS.put(draft, A, replace(registration(0), retires=2))
    begin_epoch(draft, 0, 1, REWARDS)
    drawn_in_1, drawn_in_2 = snapshot_for(draft, 1), snapshot_for(draft, 2)
    assert drawn_in_1 is not None
    assert drawn_in_2 is not None
    assert (A in drawn_in_1.pools, A in drawn_in_2.pools) == (True, False)
    assert account_of(draft, account_id(0)).pool == A
    begin_epoch(draft, 1, 2, REWARDS)
    assert POOLS.get(draft, A) is None
    assert account_of(draft, account_id(0)).pool is None
    assert account_of(draft, account_id(1)).pool == B


def test_a_chain_begins_with_a_nonce_of_zeros() -> None:
    assert nonce_of(draft_of()) == FIRST_NONCE
    assert snapshot_for(draft_of(), 0) is None


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_snapshot_of_an_empty_chain_is_empty(epoch: int) -> None:
    draft = draft_of(5)
    begin_chain(draft)
    snapshot = snapshot_for(draft, epoch)
    assert snapshot is not None
    assert not snapshot.pools
