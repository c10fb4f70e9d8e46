"""The simulated chain: one truth, equal for equal seeds."""

import asyncio

from tetrarch.duties.types import PubKey
from tetrarch.sim.chain import (
    FIRST_EPOCH,
    MAIN,
    SLOTS_PER_EPOCH,
    SimChain,
)
from tetrarch.sim.loop import SimClock, simulate

PUBKEYS = tuple(PubKey(bytes([number]) * 48) for number in (1, 2, 3))
SLOT = (FIRST_EPOCH + 2) * SLOTS_PER_EPOCH + 3


def test_first_slot_starts_a_second_into_the_run() -> None:
    async def main() -> int:
        clock = SimClock(asyncio.get_running_loop())
        before = SimChain(1, PUBKEYS).spec.slot_at(clock.wall_s())
        await asyncio.sleep(1.1)
        after = SimChain(1, PUBKEYS).spec.slot_at(clock.wall_s())
        assert after == before + 1
        return after

    assert simulate(main, seed=1) == FIRST_EPOCH * SLOTS_PER_EPOCH


def test_equal_seeds_give_equal_chains() -> None:
    first, second, other = (SimChain(seed, PUBKEYS) for seed in (1, 1, 2))
    slots = range(SLOT, SLOT + 100)
    proposers = [first.proposer(slot) for slot in slots]
    assert proposers == [second.proposer(slot) for slot in slots]
    assert proposers != [other.proposer(slot) for slot in slots]
    assert first.root(SLOT) == second.root(SLOT) != other.root(SLOT)


def test_each_validator_attests_once_in_an_epoch() -> None:
    chain = SimChain(1, PUBKEYS)
    for position, pubkey in enumerate(PUBKEYS):
        definition = chain.attester(FIRST_EPOCH, position)
        assert definition.slot // SLOTS_PER_EPOCH == FIRST_EPOCH
        assert definition.pubkey == pubkey == chain.pubkey_of(definition.validator_index)
    assert chain.pubkey_of(0) is None


def test_lag_changes_the_head_and_at_the_epochs_start_the_target() -> None:
    chain = SimChain(1, PUBKEYS)
    first = SLOT - SLOT % SLOTS_PER_EPOCH

    def target(slot: int, lag: int) -> bytes:
        return chain.attestation_data(slot, lag=lag, branch=MAIN).target.root

    assert target(first + 5, 4) == target(first + 5, 0)
    assert target(first, 4) != target(first, 0)


def test_fork_votes_can_surround_those_of_main() -> None:
    chain = SimChain(1, PUBKEYS)
    main = chain.attestation_data(SLOT - SLOTS_PER_EPOCH, lag=0, branch=MAIN)
    fork = chain.attestation_data(SLOT, lag=0, branch="fork")
    assert fork.source.epoch < main.source.epoch < main.target.epoch < fork.target.epoch
