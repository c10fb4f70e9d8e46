"""Our rules are the specification's: same verdict, same state, on right and wrong input.

The judge is the executable specification. ``make integration`` runs many more than ``make test``.
"""

from collections import Counter
from random import Random
from typing import Any

import pytest
from tests.ethereum.devchain.mutate import mutated
from tests.ethereum.devchain.operations import OperationMaker
from tests.ethereum.devchain.oracle import (
    Oracle,
    ours_on_attestation,
    ours_on_block,
    rules_of,
    spec_of,
    to_oracle,
)
from tests.ethereum.devchain.workshop import Workshop, can_produce, chain_of, disturbed

from tetrarch.ethereum.devchain.chain import DevChain
from tetrarch.ethereum.devchain.committees import committee
from tetrarch.ethereum.devchain.config import FORKS
from tetrarch.ethereum.devchain.genesis import genesis_state
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.slots import process_slots
from tetrarch.ethereum.spec.values import Fork

BLOCKS_PER_STATE = 12
forks = pytest.mark.parametrize("fork", FORKS)


@forks
def test_genesis_is_a_state_of_the_specification(fork: Fork) -> None:
    state = genesis_state(rules_of(fork), validators=64, genesis_time_s=0)
    judge = to_oracle(state)
    assert bytes(judge.hash_tree_root()) == state.root()
    committee = spec_of(fork).get_next_sync_committee(judge)
    assert bytes(committee.hash_tree_root()) == state.next_sync_committee.hash_tree_root()
    if fork is Fork.FULU:
        lookahead = spec_of(fork).initialize_proposer_lookahead(judge)
        assert tuple(int(each) for each in lookahead) == tuple(state.proposer_lookahead)


@forks
def test_own_chain_justifies_and_the_specification_takes_every_block(fork: Fork) -> None:
    chain = chain_of(fork)
    assert (chain.justified[0], chain.finalized[0]) == (3, 2)
    judge = replayed(chain, spec_of(fork))
    assert int(judge.finalized_checkpoint.epoch) == 2


@forks
def test_specification_takes_every_block_while_validators_become_active(fork: Fork) -> None:
    chain = chain_of(fork, 26, waiting=((7, 1), (40, 2), (63, 3)))
    spec = spec_of(fork)
    judge = replayed(chain, spec)
    for epoch, count in ((2, 63), (3, 64)):
        assert len(spec.get_active_validator_indices(judge, epoch)) == count
    state = chain.head_state(25)
    committees = [list(map(int, spec.get_beacon_committee(judge, slot, 0))) for slot in (24, 25)]
    assert committees == [list(committee(state, slot, 0)) for slot in (24, 25)]


@pytest.mark.integration
@forks
def test_own_chain_of_mainnet_s_sizes_is_the_specification_s(fork: Fork) -> None:
    chain = chain_of(fork, 66, "mainnet")
    judge = replayed(chain, spec_of(fork, "mainnet"))
    assert int(judge.slot) == 65


def replayed(chain: DevChain, spec: Any) -> Any:
    """The judge's state after all blocks of ``chain``, which it must all take."""
    judge = to_oracle(chain.tree.state_at(chain.tree.genesis.root, 0))
    nodes = list(chain.tree.nodes())[1:]
    assert len(nodes) == chain.slot
    for node in nodes:
        assert node.signed is not None
        block = spec.SignedBeaconBlock.decode_bytes(node.signed.encode())
        spec.state_transition(judge, block)  # compares the state's root as well
    return judge


def base_states(fork: Fork) -> list[tuple[State, int]]:
    """States within and at the end of an epoch, each with the slot of the next block."""
    chain = chain_of(fork)
    nodes = {node.slot: node for node in chain.tree.nodes()}
    places = ((36, 37), (35, 38), (31, 32), (26, 27))
    return [(chain.tree.state_at(nodes[at].root, at), slot) for at, slot in places]


def judge_blocks(fork: Fork, seed: str, count: int) -> Counter[str]:
    """Compare verdicts on ``count`` blocks; how many were taken and refused."""
    rng, oracle, seen = Random(f"{fork}/{seed}"), Oracle(fork), Counter[str]()
    bases = base_states(fork)
    while seen.total() < count:
        base, slot = rng.choices(bases, (4, 3, 1, 3))[0]  # an epoch's end costs the judge 0.25 s
        state = disturbed(rng, base) if rng.random() < 0.6 else base.copy()
        if not can_produce(state, slot):
            continue
        workshop = Workshop(rng, state, slot)
        for number in range(min(BLOCKS_PER_STATE, count - seen.total())):
            signed: Any = workshop.judged_block()
            ours = ours_on_block(workshop.state, signed)
            theirs = oracle.on_block(workshop.state, signed)
            where = f"{fork}/{seed}, block {seen.total()}, number {number} on its state"
            assert ours == theirs, f"{where}: ours {ours!r}, the specification {theirs!r}"
            seen["refused" if ours is None else "taken"] += 1
    return seen


def judge_attestations(fork: Fork, seed: str, count: int) -> Counter[str]:
    rng, oracle, seen = Random(f"{fork}/{seed}"), Oracle(fork), Counter[str]()
    bases = base_states(fork)
    while seen.total() < count:
        base, slot = rng.choice(bases)
        state = (disturbed(rng, base) if rng.random() < 0.3 else base).copy()
        process_slots(state, slot)
        maker = OperationMaker(rng, state)
        for _ in range(min(20, count - seen.total())):
            attestation = maker.attestation()
            if rng.random() < 0.5:
                attestation = mutated(rng, attestation.ssz_type, attestation)
            ours = ours_on_attestation(state, attestation)
            theirs = oracle.on_attestation(state, attestation)
            assert ours == theirs, f"{fork}/{seed}, attestation {seen.total()}"
            seen["refused" if ours is None else "taken"] += 1
    return seen


def judge_epochs(fork: Fork, seed: str, count: int) -> None:
    rng, oracle = Random(f"{fork}/{seed}"), Oracle(fork)
    for number in range(count):
        base, _ = rng.choice(base_states(fork))
        state = disturbed(rng, base)
        slots = state.rules.preset.slots_per_epoch
        slot = (state.slot // slots + rng.choice((1, 1, 2, 6))) * slots
        theirs = oracle.on_slots(state, slot)
        process_slots(state, slot)
        assert state.root() == theirs, f"{fork}/{seed}, epoch {number}"


@forks
def test_verdict_on_changed_blocks_is_the_specification_s(fork: Fork) -> None:
    seen = judge_blocks(fork, "few", 60)
    assert min(seen["taken"], seen["refused"]) >= 10, seen


@forks
def test_verdict_on_changed_attestations_is_the_specification_s(fork: Fork) -> None:
    seen = judge_attestations(fork, "few", 60)
    assert min(seen["taken"], seen["refused"]) >= 5, seen


@forks
def test_epochs_of_disturbed_states_end_as_in_the_specification(fork: Fork) -> None:
    judge_epochs(fork, "few", 3)


@pytest.mark.integration
@pytest.mark.timeout(2400)
@forks
def test_verdict_on_a_thousand_changed_blocks(fork: Fork) -> None:
    seen = judge_blocks(fork, "many", 1000)
    assert min(seen["taken"], seen["refused"]) >= 200, seen


@pytest.mark.integration
@pytest.mark.timeout(2400)
@forks
def test_verdict_on_a_thousand_changed_attestations(fork: Fork) -> None:
    seen = judge_attestations(fork, "many", 1000)
    assert min(seen["taken"], seen["refused"]) >= 200, seen


@pytest.mark.integration
@pytest.mark.timeout(2400)
@forks
def test_thirty_disturbed_epochs(fork: Fork) -> None:
    judge_epochs(fork, "many", 30)
