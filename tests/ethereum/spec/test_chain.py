"""Slots and epochs of one chain."""

import pytest

from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.values import Fork

CHAIN = ChainSpec(
    preset="mainnet",
    genesis_time_s=1000,
    slot_duration_ms=1500,
    slots_per_epoch=32,
    forks=ForkSchedule(
        genesis_fork_version=bytes(4),
        genesis_validators_root=bytes(32),
        activations=(
            ForkActivation(fork=Fork.DENEB, version=bytes(4), epoch=0),
            ForkActivation(fork=Fork.ELECTRA, version=b"\1\0\0\0", epoch=2),
        ),
    ),
)


@pytest.mark.parametrize(
    ("wall_s", "slot"), [(998.5, -1), (999.999, -1), (1000, 0), (1001.499, 0), (1001.5, 1)]
)
def test_slot_at_time(wall_s, slot):
    assert CHAIN.slot_at(wall_s) == slot


def test_slots_and_epochs_agree():
    assert CHAIN.slot_start_s(3) == 1004.5
    assert [CHAIN.epoch_of(slot) for slot in (0, 31, 32)] == [0, 0, 1]
    assert CHAIN.first_slot(2) == 64
    assert CHAIN.fork_at_slot(63) is Fork.DENEB
    assert CHAIN.fork_at_slot(64) is Fork.ELECTRA
