"""A slot has one date and one moment, whatever its era and frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ledger.dates import NUMBER_MAX, BlockDate, DateInvalid, Era, TimeFrame

START_S = 1_700_000_000.0


@pytest.mark.parametrize("text", ["0.0", "7.42", f"{NUMBER_MAX}.{NUMBER_MAX}"])
def test_dates_are_read_as_they_are_written(text: str) -> None:
    assert str(BlockDate.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "1.", ".1", "1.2.3", "-1.2", "1.x", "1. 2", f"{NUMBER_MAX + 1}.0", "٣.1"]
)
def test_other_text_is_no_date(text: str) -> None:
    with pytest.raises(DateInvalid):
        BlockDate.parse(text)


def test_dates_are_ordered_by_epoch_and_then_by_slot() -> None:
    assert BlockDate(1, 9) < BlockDate(2, 0) < BlockDate(2, 1)


@given(
    slots_per_epoch=st.integers(1, 10**6),
    epoch_start=st.integers(0, 10**5),
    slot_start=st.integers(0, 10**9),
    slots=st.integers(0, 10**9),
)
def test_slot_and_date_are_one_another(
    slots_per_epoch: int, epoch_start: int, slot_start: int, slots: int
) -> None:
    """The reference forgot where the era's epochs begin, on the way back."""
    era = Era(slots_per_epoch=slots_per_epoch, epoch_start=epoch_start, slot_start=slot_start)
    slot = slot_start + slots
    date = era.date(slot)
    assert era.slot(date) == slot
    assert (date.epoch - epoch_start) * slots_per_epoch + date.slot == slots
    assert date.slot < slots_per_epoch


def test_an_era_follows_another_without_a_gap() -> None:
    first = Era(slots_per_epoch=10)
    second = first.after(3, 4)
    assert first.slot(BlockDate(2, 9)) + 1 == second.slot(BlockDate(3, 0)) == 30
    assert second.date(34) == BlockDate(4, 0)
    third = second.after(5, 100)
    assert third.slot(BlockDate(5, 0)) == 38


@pytest.mark.parametrize("date", [BlockDate(2, 0), BlockDate(3, 4)])
def test_a_date_that_the_era_has_not_is_refused(date: BlockDate) -> None:
    with pytest.raises(DateInvalid):
        Era(slots_per_epoch=10).after(3, 4).slot(date)


@given(
    duration_ms=st.integers(200, 600_000),
    slot=st.integers(0, 10**8),
    share=st.floats(0, 0.999),
)
def test_a_slot_is_there_from_its_first_moment_on(
    duration_ms: int, slot: int, share: float
) -> None:
    frame = TimeFrame(start_s=START_S, slot_duration_s=duration_ms / 1000)
    starts_s = frame.starts_s(slot)
    assert frame.slot_at(starts_s) == slot
    assert frame.slot_at(starts_s + share * (frame.starts_s(slot + 1) - starts_s)) == slot


def test_before_the_first_slot_there_is_none() -> None:
    assert TimeFrame(start_s=START_S, slot_duration_s=2).slot_at(START_S - 0.001) is None


def test_a_frame_follows_another_without_a_gap() -> None:
    frame = TimeFrame(start_s=START_S, slot_duration_s=2).after(10, 0.5)
    assert frame.starts_s(10) == START_S + 20
    assert frame.starts_s(12) == START_S + 21
    assert frame.slot_at(START_S + 20.99) == 11
    assert frame.slot_at(START_S + 19) is None
