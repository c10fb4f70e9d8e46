"""What became of a fragment is what came last, and a block's word stands against hearsay."""

from tetrarch.ledger.blocks import FragmentId
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragment_log import REASON_LENGTH_MAX, FragmentLog, FragmentStatus
from tetrarch.ledger.headers import BlockId

ONE, OTHER = FragmentId(b"1" * 32), FragmentId(b"2" * 32)
BLOCK = BlockId(b"b" * 32)


def test_it_waits_is_in_a_block_and_waits_again() -> None:
    log = FragmentLog()
    log.given(ONE, now_s=1.0)
    log.waits(ONE, now_s=2.0)
    entry = log.get(ONE)
    assert entry is not None
    assert (entry.is_own, entry.received_s, entry.updated_s) == (True, 1.0, 2.0)
    assert entry.status is FragmentStatus.PENDING
    log.is_in(ONE, BlockDate(0, 7), BLOCK, now_s=3.0)
    assert (entry.status, entry.date, entry.block) == (
        FragmentStatus.IN_BLOCK,
        BlockDate(0, 7),
        BLOCK,
    )
    log.waits(ONE, now_s=4.0)
    assert (entry.status, entry.date, entry.block) == (FragmentStatus.PENDING, None, None)


def test_what_others_tell_is_not_its_own_and_why_it_came_to_nothing_is_kept() -> None:
    log = FragmentLog()
    log.rejected(OTHER, "x" * 1000, now_s=1.0)
    entry = log.get(OTHER)
    assert entry is not None
    assert not entry.is_own
    assert entry.status is FragmentStatus.REJECTED
    assert entry.reason == "x" * REASON_LENGTH_MAX
    log.waits(OTHER, now_s=2.0)
    assert (entry.status, entry.reason) == (FragmentStatus.PENDING, "")
    assert log.get(ONE) is None


def test_what_is_in_a_block_is_not_rejected_by_being_told_again() -> None:
    log = FragmentLog()
    log.is_in(ONE, BlockDate(0, 7), BLOCK, now_s=1.0)
    log.rejected(ONE, "its counter was used", now_s=2.0)
    entry = log.get(ONE)
    assert entry is not None
    assert entry.status is FragmentStatus.IN_BLOCK


def test_the_oldest_go() -> None:
    log = FragmentLog(kept_max=2)
    third = FragmentId(b"3" * 32)
    for fragment in (ONE, OTHER, third):
        log.waits(fragment, now_s=1.0)
    assert [entry.fragment for entry in log] == [OTHER, third]
