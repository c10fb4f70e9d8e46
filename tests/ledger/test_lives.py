"""No two lives of a key hold spans that overlap, whoever asks when; and what is not held is not signed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.makers import BLOCK0, bft_public
from tests.ledger.test_reservations import SPAN, receipt

from tetrarch.ledger.finality import Voters
from tetrarch.ledger.lives import GRANTS_MAX, Held, KeptGrant, NotReserved, SpanTaken, granted
from tetrarch.ledger.reservations import Kind, Receipt, ReservationRefused, Span

FOUR = Voters({bft_public(number): 1 for number in range(4)})
A, B = b"a" * 32, b"b" * 32


def span(life: bytes, first: int, until: int, kind: Kind = Kind.SLOTS, holder: int = 0) -> Span:
    return Span(holder=bft_public(holder), life=life, kind=kind, first=first, until=until)


def test_another_life_begins_where_the_one_before_ends() -> None:
    grants = granted((), span(A, 5, 9))
    with pytest.raises(SpanTaken, match="free_from=9"):
        granted(grants, span(B, 8, 12))
    after = granted(grants, span(B, 9, 12))
    assert [each.life for each in after] == [B]
    with pytest.raises(SpanTaken, match="free_from=12"):
        granted(after, span(A, 5, 9))


def test_the_same_life_goes_on_and_never_gives_back() -> None:
    grants = granted((), span(A, 5, 9))
    grants = granted(grants, span(A, 7, 11))
    grants = granted(grants, span(A, 5, 6))
    assert grants == (KeptGrant(bft_public(0), Kind.SLOTS.value, A, 5, 11),)


def test_a_life_does_not_go_back_before_its_own_beginning() -> None:
    """An earlier life may hold what lies there."""
    grants = granted(granted((), span(B, 0, 5)), span(A, 5, 9))
    with pytest.raises(SpanTaken, match="free_from=5"):
        granted(grants, span(A, 4, 7))


def test_kinds_and_holders_are_apart() -> None:
    grants = granted((), span(A, 5, 9))
    grants = granted(grants, span(B, 5, 9, kind=Kind.HEIGHTS))
    grants = granted(grants, span(B, 5, 9, holder=1))
    assert len(grants) == 3


def test_holders_are_not_without_end() -> None:
    others = (KeptGrant(number.to_bytes(32, "big"), 0, A, 0, 1) for number in range(GRANTS_MAX - 1))
    grants = granted(tuple(others), span(A, 5, 9))
    with pytest.raises(SpanTaken, match=f"maximum={GRANTS_MAX}"):
        granted(grants, span(A, 5, 9, holder=1))
    assert len(granted(grants, span(A, 9, 12))) == GRANTS_MAX


@given(
    asked=st.lists(
        st.tuples(st.sampled_from([A, B]), st.integers(0, 30), st.integers(1, 8)), max_size=30
    ),
    deaf=st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
def test_quorums_never_give_one_number_to_two_lives(
    asked: list[tuple[bytes, int, int]], deaf: list[int]
) -> None:
    """Of four granters each request misses one."""
    grants: list[tuple[KeptGrant, ...]] = [()] * 4
    held: dict[int, bytes] = {}
    for (life, first, size), missing in zip(asked, deaf, strict=False):
        count = 0
        for granter in range(4):
            if granter == missing:
                continue
            try:
                grants[granter] = granted(grants[granter], span(life, first, first + size))
            except SpanTaken:
                continue
            count += 1
        if count >= FOUR.needed:
            for number in range(first, first + size):
                assert held.setdefault(number, life) == life


def taken(*receipts: Receipt, holder: int = 0, life: bytes = SPAN.life) -> Held:
    held = Held(bft_public(holder), life)
    held.take(receipts, (FOUR,), BLOCK0)
    return held


def test_a_quorum_of_receipts_is_a_span() -> None:
    held = taken(*(receipt(granter=number) for number in (0, 1, 3)))
    held.require(Kind.SLOTS, 7)
    held.require(Kind.SLOTS, 8)
    for kind, number, match in (
        (Kind.SLOTS, 9, r"number=0\.9 held_until=0\.9"),
        (Kind.SLOTS, 6, r"number=0\.6"),
        (Kind.HEIGHTS, 7, "held_until=0"),
    ):
        with pytest.raises(NotReserved, match=match):
            held.require(kind, number)


def test_what_is_no_quorum_of_one_span_is_not_held() -> None:
    three = [receipt(granter=number) for number in (0, 1, 2)]
    other = replace(SPAN, until=10)
    for receipts, match in (
        (three[:2], "needed=3"),
        ([*three[:2], three[1]], "needed=3"),
        ([*three[:2], receipt(granter=8)], "needed=3"),
        ([*three[:2], receipt(other, granter=2)], "spans=2"),
        ([], "spans=0"),
    ):
        with pytest.raises(NotReserved, match=match):
            taken(*receipts)
    with pytest.raises(NotReserved, match="another life"):
        taken(*three, life=B)
    with pytest.raises(NotReserved, match="another life"):
        taken(*three, holder=1)
    false = replace(three[2], signature=bytes(64))
    with pytest.raises(ReservationRefused):
        taken(*three[:2], false)


def test_while_voters_change_a_quorum_of_both_is_needed() -> None:
    others = Voters({bft_public(number): 1 for number in (2, 3, 4, 5)})
    held = Held(bft_public(0), SPAN.life)
    receipts = [receipt(granter=number) for number in (0, 1, 2)]
    with pytest.raises(NotReserved, match="needed=3"):
        held.take(receipts, (FOUR, others), BLOCK0)
    receipts += [receipt(granter=number) for number in (3, 4)]
    held.take(receipts, (FOUR, others), BLOCK0)


def test_the_span_before_is_held_until_it_ends() -> None:
    held = taken(*(receipt(granter=number) for number in (0, 1, 3)))
    later = replace(SPAN, first=8, until=12)
    held.take([receipt(later, number) for number in (0, 1, 2)], (FOUR,), BLOCK0)
    for number in (7, 8, 11):
        held.require(Kind.SLOTS, number)
