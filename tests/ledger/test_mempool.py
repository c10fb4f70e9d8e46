"""Fragments wait in their order, within bounds, for as long as they could be in a block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.makers import BLOCK0, account_id, draft_of, signed_fragment

from tetrarch.ledger.accounts import ACCOUNTS, Account
from tetrarch.ledger.blocks import fragment_id
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.kind import Where
from tetrarch.ledger.fragments.signed import SignedFragment, encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.mempool import AHEAD_MAX, Mempool, MempoolLimits, NotPooled, Waiting
from tetrarch.ledger.parameters import Fees, Parameters

PARAMETERS = Parameters(fees=Fees(constant=2))
VIEW = draft_of(1000, 1000, 1000)
TEN = Transfer((Output(account_id(9), 10),))
SIZE_BYTES = len(encode_fragment(signed_fragment(0, TEN)))


def paid(number: int, counter: int = 0, *, fee: int = 2, last_epoch: int = 1) -> SignedFragment:
    return signed_fragment(number, TEN, counter=counter, fee=fee, last_epoch=last_epoch)


def where(epoch: int = 0, parameters: Parameters = PARAMETERS) -> Where:
    return Where(date=BlockDate(epoch, 0), slot=0, height=1, block0=BLOCK0, parameters=parameters)


def add(pool: Mempool, *fragments: SignedFragment, view=VIEW, epoch: int = 0) -> list[Waiting]:
    return [
        pool.add(encode_fragment(fragment), fragment, view=view, where=where(epoch))
        for fragment in fragments
    ]


def order(pool: Mempool, view=VIEW) -> list[tuple[bytes, int]]:
    return [(each.fragment.payer, each.fragment.counter) for each in pool.ready(view)]


def named(*pairs: tuple[int, int]) -> list[tuple[bytes, int]]:
    return [(account_id(number), counter) for number, counter in pairs]


def test_the_oldest_are_first() -> None:
    pool = Mempool()
    add(pool, paid(1), paid(0), paid(1, 1), paid(2))
    assert order(pool) == named((1, 0), (0, 0), (1, 1), (2, 0))


def test_one_that_came_early_waits_for_those_before_it() -> None:
    pool = Mempool()
    add(pool, paid(0, 2), paid(0, 1), paid(1))
    assert order(pool) == named((1, 0))
    add(pool, paid(0), paid(0, 3))
    assert order(pool) == named((1, 0), (0, 0), (0, 1), (0, 2), (0, 3))


def test_what_waits_can_be_had_by_its_id() -> None:
    pool = Mempool()
    (waiting,) = add(pool, paid(0))
    assert waiting.id == fragment_id(waiting.data)
    assert waiting.id in pool
    assert pool.get(waiting.id) == waiting.data
    assert (len(pool), pool.size_bytes) == (1, SIZE_BYTES)
    assert dict(pool.waiting_of(account_id(0))) == {0: waiting}
    pool.remove(waiting.id)
    pool.remove(waiting.id)
    assert (len(pool), pool.size_bytes, pool.get(waiting.id)) == (0, 0, None)
    assert dict(pool.waiting_of(account_id(0))) == {}


@pytest.mark.parametrize(
    ("fragment", "match"),
    [
        (paid(0), "waits already"),
        (paid(0, fee=3), "another waits"),
        (paid(0, AHEAD_MAX), f"highest={AHEAD_MAX - 1}"),
        (paid(3), "holds=0"),
        (paid(1, fee=1), "needed=2"),
        (paid(1, last_epoch=3), "highest=2"),
    ],
)
def test_what_can_be_in_no_block_does_not_wait(fragment: SignedFragment, match: str) -> None:
    pool = Mempool()
    add(pool, paid(0))
    with pytest.raises(NotPooled, match=match):
        add(pool, fragment)
    assert len(pool) == 1


def test_what_is_over_and_what_is_used_does_not_wait() -> None:
    with pytest.raises(NotPooled, match="lowest=2"):
        add(Mempool(), paid(0), epoch=2)
    used = draft_of(1000)
    ACCOUNTS.put(used, account_id(0), Account(value=1000, counter=1))
    with pytest.raises(NotPooled, match="lowest=1"):
        add(Mempool(), paid(0), view=used)


def test_what_is_too_large_does_not_wait() -> None:
    pool, fragment = Mempool(), paid(0)
    small = Parameters(fees=Fees(constant=2), fragment_size_bytes_max=256)
    large = signed_fragment(0, Transfer((Output(account_id(9), 1),) * 6), fee=2)
    with pytest.raises(NotPooled, match="maximum=256"):
        pool.add(encode_fragment(large), large, view=VIEW, where=where(parameters=small))
    pool.add(encode_fragment(fragment), fragment, view=VIEW, where=where(parameters=small))


def test_blocks_take_what_was_used() -> None:
    pool = Mempool()
    add(pool, paid(0), paid(0, 1), paid(0, 2), paid(1))
    after = draft_of(1000, 1000)
    ACCOUNTS.put(after, account_id(0), Account(value=1000, counter=2))
    pool.settle((account_id(0), account_id(2)), after)
    assert order(pool, after) == named((0, 2), (1, 0))


def test_what_ends_before_an_epoch_goes_with_it() -> None:
    pool = Mempool()
    first, _ = add(pool, paid(0, last_epoch=0), paid(1, last_epoch=1))
    assert pool.expire(0) == []
    assert pool.expire(1) == [first.id]
    assert order(pool) == named((1, 0))


@pytest.mark.parametrize(
    "limits",
    [MempoolLimits(fragments_max=2), MempoolLimits(size_bytes_max=2 * SIZE_BYTES)],
    ids=["count", "bytes"],
)
def test_where_there_is_no_room_who_pays_more_takes_that_of_who_pays_least(
    limits: MempoolLimits,
) -> None:
    pool = Mempool(limits)
    add(pool, paid(0, fee=5), paid(1, fee=3))
    for fee in (2, 3):
        with pytest.raises(NotPooled, match="no room"):
            add(pool, paid(2, fee=fee))
    add(pool, paid(2, fee=4))
    assert order(pool) == named((0, 0), (2, 0))


def test_a_payers_last_goes_first_so_that_none_before_it_is_missing() -> None:
    pool = Mempool(MempoolLimits(fragments_max=3))
    add(pool, paid(0, 0, fee=2), paid(0, 1, fee=9), paid(1, fee=8))
    add(pool, paid(2, fee=10))
    assert order(pool) == named((0, 0), (0, 1), (2, 0))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), max_size=25, unique=True))
def test_whatever_comes_in_whatever_order_all_that_can_follow_do(
    pairs: list[tuple[int, int]],
) -> None:
    pool = Mempool()
    add(pool, *(paid(number, counter) for number, counter in pairs))
    found = order(pool)
    for number in range(3):
        mine = {counter for each, counter in pairs if each == number}
        reachable = next(counter for counter in range(8) if counter not in mine)
        assert [c for payer, c in found if payer == account_id(number)] == list(range(reachable))
