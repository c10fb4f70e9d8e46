"""Kept answers are dropped exactly when a reorg can have changed them, and never grow without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ethereum.beacon_node.ports import AttesterDuties
from tetrarch.ethereum.beacon_nodes.epoch_cache import (
    EPOCHS_MAX,
    PER_EPOCH_MAX,
    EpochCache,
    Kind,
    deciding_slot,
)


def filled(epoch: int = 10) -> EpochCache:
    cache = EpochCache()
    for kind in Kind:
        cache.put(kind, epoch, "arguments", kind.name, generation=0)
    return cache


@pytest.mark.parametrize(
    ("ancestor", "dropped"),
    [
        (62, ["ATTESTERS", "PROPOSERS", "SYNC", "VALIDATORS"]),
        (64, ["ATTESTERS", "PROPOSERS", "VALIDATORS"]),
        (71, ["ATTESTERS", "PROPOSERS", "VALIDATORS"]),
        (72, ["PROPOSERS", "VALIDATORS"]),
        (79, ["PROPOSERS", "VALIDATORS"]),
        (80, ["VALIDATORS"]),
        (87, ["VALIDATORS"]),
        (88, []),
    ],
)
def test_reorg_drops_what_its_blocks_decided(ancestor: int, dropped: list[str]) -> None:
    cache = filled()  # epoch 10 begins with slot 80
    assert cache.reorganized(ancestor_slot=ancestor, slots_per_epoch=8) == len(dropped)
    gone = [kind.name for kind in Kind if cache.get(kind, 10, "arguments") is None]
    assert sorted(gone) == dropped


def test_head_on_another_chain_drops_the_duties_of_its_epoch_and_the_next() -> None:
    def cache() -> EpochCache:
        made = EpochCache()
        for epoch in (9, 10, 11):
            duties = AttesterDuties(epoch=epoch, dependent_root=bytes([epoch]) * 32, duties=())
            made.put(Kind.ATTESTERS, epoch, (), duties, generation=0)
        return made

    same, other = cache(), cache()
    right = {"previous_root": b"\x0a" * 32, "current_root": b"\x0b" * 32}
    assert same.head_seen(10, **right) == 0
    assert other.head_seen(10, previous_root=b"x" * 32, current_root=b"y" * 32) == 2
    assert [e for e in (9, 10, 11) if other.get(Kind.ATTESTERS, e, ())] == [9]


def test_answer_asked_for_before_a_reorg_is_not_kept() -> None:
    cache = EpochCache()
    before = cache.generation
    cache.reorganized(ancestor_slot=1, slots_per_epoch=8)
    cache.put(Kind.SYNC, 10, (), "old", generation=before)
    assert cache.get(Kind.SYNC, 10, ()) is None
    cache.put(Kind.SYNC, 10, (), "new", generation=cache.generation)
    assert cache.get(Kind.SYNC, 10, ()) == "new"


@given(st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 9), st.integers(0, 99))))
def test_cache_is_bounded_and_keeps_the_newest(
    puts: list[tuple[Kind, int, int]],
) -> None:
    cache = EpochCache()
    for kind, epoch, argument in puts:
        cache.put(kind, epoch, argument, "answer", generation=0)
    assert len(cache._epochs) <= EPOCHS_MAX
    assert all(len(answers) <= PER_EPOCH_MAX for answers in cache._epochs.values())
    if puts:
        newest = max(epoch for _, epoch, _ in puts)
        kind, _, argument = next(put for put in reversed(puts) if put[1] == newest)
        assert cache.get(kind, newest, argument) == "answer"


def test_deciding_slots_are_the_specifications() -> None:
    slots = {kind.name: deciding_slot(kind, 10, 32) for kind in Kind}
    assert slots == {"ATTESTERS": 287, "PROPOSERS": 319, "SYNC": 255, "VALIDATORS": 351}
