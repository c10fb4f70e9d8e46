"""Pools are registered and changed by their operator, retired by an owner, and have what is delegated to them."""

from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.makers import BLOCK0, account_id, bft_public, draft_of, pool_keys

from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.delegate import Delegate
from tetrarch.ledger.fragments.kind import Body, Context, FragmentRefused
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.fragments.pool_retire import PoolRetire
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.pools import OWNERS_MAX, POOLS, RATIO_ONE, Tax, pool_id, stake_by_pool
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import U64_MAX, BytesInvalid, Reader, Writer

KEYS = pool_keys(0)
REGISTER = PoolRegister(
    serial=7,
    vrf_key=KEYS.vrf.public_key,
    kes_key=KEYS.kes_public,
    vote_key=bft_public(0),
    kes_start_slot=40,
    owners=(account_id(1),),
    tax=Tax(5, 20_000, 100),
)
POOL = pool_id(account_id(0), 7)
B = TypeVar("B", bound=Body)


def context(payer: int, epoch: int = 3) -> Context:
    return Context(
        date=BlockDate(epoch, 0),
        slot=0,
        height=1,
        block0=BLOCK0,
        parameters=Parameters(),
        payer=account_id(payer),
    )


def again(body: B) -> B:
    """Through its bytes."""
    writer = Writer()
    body.write(writer)
    reader = Reader(writer.data, what="test")
    read = type(body).read(reader)
    reader.end()
    return read


def registered(*values: int) -> Draft:
    draft = draft_of(*values)
    REGISTER.apply(draft, context(0))
    return draft


@pytest.mark.parametrize(
    "body",
    [
        REGISTER,
        replace(REGISTER, owners=(), tax=Tax()),
        replace(REGISTER, owners=tuple(map(account_id, range(1, 1 + OWNERS_MAX)))),
        PoolRetire(POOL, 9),
        Delegate(POOL),
        Delegate(None),
    ],
    ids=lambda body: body.name,
)
def test_what_is_written_is_read(body: Body) -> None:
    assert again(body) == body


def test_too_many_owners_and_a_tax_of_more_than_all_are_no_registration() -> None:
    for broken in (
        replace(REGISTER, owners=REGISTER.owners * (OWNERS_MAX + 1)),
        replace(REGISTER, tax=Tax(0, RATIO_ONE + 1)),
    ):
        with pytest.raises(BytesInvalid):
            again(broken)


def test_an_operator_registers_and_changes_his_pool() -> None:
    draft = registered()
    registration = POOLS.get(draft, POOL)
    assert registration is not None
    assert registration.all_owners == (account_id(0), account_id(1))
    assert (registration.vrf_key, registration.tax) == (KEYS.vrf.public_key, REGISTER.tax)
    replace(REGISTER, kes_start_slot=41, owners=()).apply(draft, context(0))
    changed = POOLS.get(draft, POOL)
    assert changed is not None
    assert (changed.kes_start_slot, changed.owners) == (41, ())


def test_others_register_pools_of_their_own() -> None:
    draft = registered()
    by_other = replace(REGISTER, owners=())
    by_other.apply(draft, context(2))
    replace(by_other, serial=8).apply(draft, context(2))
    assert {pool for pool, _ in POOLS.items(draft)} == {
        POOL,
        pool_id(account_id(2), 7),
        pool_id(account_id(2), 8),
    }


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"owners": (account_id(0),)}, "twice"),
        ({"owners": (account_id(1), account_id(1))}, "twice"),
        ({"vrf_key": b"\xff" * 32}, "no point"),
        ({"vrf_key": bytes(32)}, "no point"),
    ],
)
def test_what_is_no_pool_is_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(FragmentRefused, match=match):
        replace(REGISTER, **changes).apply(draft_of(), context(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("owner", [0, 1])
def test_every_owner_may_retire_a_pool(owner: int) -> None:
    draft = registered()
    PoolRetire(POOL, 5).apply(draft, context(owner))
    registration = POOLS.get(draft, POOL)
    assert registration is not None
    assert registration.retires == 5
    REGISTER.apply(draft, context(0))
    registration = POOLS.get(draft, POOL)
    assert registration is not None
    assert registration.retires is None, "registered again"


@pytest.mark.parametrize(
    ("retire", "payer", "match"),
    [
        (PoolRetire(POOL, 5), 2, "another's"),
        (PoolRetire(POOL, 4), 0, "earliest=5"),
        (PoolRetire(PoolId(bytes(32)), 5), 0, "no such"),
    ],
)
def test_nobody_else_and_nothing_else_is_retired(
    retire: PoolRetire, payer: int, match: str
) -> None:
    with pytest.raises(FragmentRefused, match=match):
        retire.apply(registered(), context(payer))


def test_stake_is_what_accounts_hold_that_delegate() -> None:
    draft = registered(100, 20, 3, 50)
    for payer in (0, 2):
        Delegate(POOL).apply(draft, context(payer))
    assert stake_by_pool(draft) == {POOL: 103}
    Delegate(None).apply(draft, context(0))
    assert stake_by_pool(draft) == {POOL: 3}
    assert account_of(draft, account_id(2)).pool == POOL


def test_to_a_pool_that_there_is_not_nothing_is_delegated() -> None:
    with pytest.raises(FragmentRefused, match="no such pool"):
        Delegate(POOL).apply(draft_of(5), context(0))


@given(
    fixed=st.integers(0, U64_MAX),
    ratio=st.integers(0, RATIO_ONE),
    limit=st.none() | st.integers(0, U64_MAX),
    reward=st.integers(0, U64_MAX),
)
def test_a_tax_is_a_part_of_the_reward(
    fixed: int, ratio: int, limit: int | None, reward: int
) -> None:
    assert 0 <= Tax(fixed, ratio, limit).of(reward) <= reward


def test_a_tax_is_a_sum_and_a_share_of_the_rest_within_its_limit() -> None:
    assert Tax(10, 100_000).of(110) == 20
    assert Tax(10, 100_000, 4).of(110) == 14
    assert Tax(10, 100_000).of(7) == 7
    assert Tax().of(7) == 0
