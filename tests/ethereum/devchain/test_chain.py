"""The chain without HTTP, on a clock made of numbers: head, duties, reports, slashable messages."""

from random import Random
from typing import Any

import pytest
from tests.ethereum.devchain.operations import OperationMaker
from tests.ethereum.devchain.oracle import spec_of

from tetrarch.errors import ConfigInvalid
from tetrarch.ethereum.devchain import aggregates
from tetrarch.ethereum.devchain.chain import DevChain, EquivocatingBlock
from tetrarch.ethereum.devchain.committees import proposer_index
from tetrarch.ethereum.devchain.config import FORKS, DevChainConfig, Faults
from tetrarch.ethereum.devchain.duties import attester_assignments, sync_committee_places
from tetrarch.ethereum.devchain.events import ChainEvent
from tetrarch.ethereum.devchain.gossip import UnknownBlock
from tetrarch.ethereum.devchain.http.states import status_of
from tetrarch.ethereum.devchain.keys import interop_key, interop_public_key
from tetrarch.ethereum.devchain.production import BlockWish
from tetrarch.ethereum.devchain.self_run import sign_block, sign_randao, single_attestation
from tetrarch.ethereum.devchain.transition.errors import TransitionInvalid
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root
from tetrarch.ethereum.spec.values import Fork

GENESIS_S = 1_700_000_000
forks = pytest.mark.parametrize("fork", FORKS)


def chain_with(fork: Fork = Fork.ELECTRA, **options: Any) -> DevChain:
    options.setdefault("validators", 16)
    return DevChain(DevChainConfig(genesis_time_s=GENESIS_S, fork=fork, **options))


def run(chain: DevChain, slot: int) -> None:
    """Let time pass until the middle of ``slot``."""
    for each in range(max(chain.slot, 0), slot + 1):
        chain.advance(at(each))


def at(slot: int, into_s: float = 3.0) -> float:
    return GENESIS_S + 6 * slot + into_s


def signed_block(chain: DevChain, slot: int, graffiti: bytes = bytes(32)) -> Any:
    state = chain.tree.state_at(chain.tree.ancestor(chain.head.root, slot - 1).root, slot)
    reveal = sign_randao(state, proposer_index(state))
    return sign_block(
        state, chain.produce(slot, BlockWish(randao_reveal=reveal, graffiti=graffiti))
    )


def vote_of(chain: DevChain, slot: int, place: int = 0, /, **changes: Any) -> Any:
    """A vote of one of the validators that attest in ``slot``."""
    state = chain.head_state(slot)
    epoch = chain.rules.epoch_of(slot)
    duties = [each for each in attester_assignments(state, epoch) if each.slot == slot]
    data = chain.attestation_data(slot, duties[place].committee_index).replace(**changes)
    return single_attestation(state, data, duties[place])


def test_first_interop_key_is_the_known_one() -> None:
    assert interop_public_key(0).hex().startswith("a99a76ed")
    assert interop_key(0).to_bytes().hex().startswith("25295f0d")


@forks
def test_chain_of_its_own_validators_finalizes_without_a_miss(fork: Fork) -> None:
    chain = chain_with(fork, self_run=tuple(range(16)))
    run(chain, 40)
    assert (chain.justified[0], chain.finalized[0]) == (4, 3)
    rows = chain.reports.to_json(chain.since_genesis_ms(at(43)))
    assert {row["status"] for row in rows} == {"in_time"}
    assert sum(row["type"] == "proposer" for row in rows) == 40
    assert all(
        row["included_slot"] == row["slot"] + 1
        for row in rows
        if row["type"] == "attester" and row["slot"] < 40
    )
    assert chain.watch.findings == []


def test_first_sync_committees_can_be_filled_by_choice() -> None:
    """Later ones are drawn as ever: the strict transition knows no exception."""
    config = DevChainConfig(
        genesis_time_s=GENESIS_S, validators=17, self_run=(16,), sync_members=(16,)
    )
    state = DevChain(config).head.state
    assert state is not None
    pubkeys = set(state.current_sync_committee.pubkeys + state.next_sync_committee.pubkeys)
    assert pubkeys == {interop_public_key(16)}
    with pytest.raises(ConfigInvalid, match="sync_members"):
        DevChainConfig(genesis_time_s=GENESIS_S, validators=16, sync_members=(16,))


@forks
def test_validator_of_a_later_epoch_has_duties_from_its_first_slot_on(fork: Fork) -> None:
    waiting = {14: 2, 15: 3}
    chain = chain_with(fork, self_run=tuple(range(16)), activate_later=tuple(waiting.items()))
    assert waiting.keys().isdisjoint(sync_committee_places(chain.head_state(0), 0))
    run(chain, 23)
    state = chain.head_state(23)
    assert [status_of(state.validators[each], 2, 1) for each in (13, 14, 15)] == [
        "active_ongoing",
        "active_ongoing",
        "pending_queued",
    ]
    run(chain, 40)
    rows = chain.reports.to_json(chain.since_genesis_ms(at(43)))
    assert {row["status"] for row in rows} == {"in_time"}
    for epoch in range(5):
        slots = range(8 * epoch, 8 * epoch + 8)
        of_epoch = [row for row in rows if row["slot"] in slots]
        active = [index for index in range(16) if waiting.get(index, 0) <= epoch]
        voters = [row["validator_index"] for row in of_epoch if row["type"] == "attester"]
        assert sorted(voters) == active
        assert {row["validator_index"] for row in of_epoch} <= set(active)
    assert chain.finalized[0] == 3


def test_duties_become_late_or_missed() -> None:
    chain = chain_with()
    run(chain, 2)
    chain.import_block(signed_block(chain, 1), at(2))  # a slot late
    chain.import_block(signed_block(chain, 2), at(2, 1.9))
    chain.submit_attestation(vote_of(chain, 2), at(2, 3.9))
    chain.submit_attestation(vote_of(chain, 2, 1), at(2, 4.1))
    run(chain, 5)

    def statuses(type_: str, slot: int, now: float) -> list[str]:
        rows = chain.reports.to_json(chain.since_genesis_ms(now), from_slot=slot)
        return [row["status"] for row in rows if (row["slot"], row["type"]) == (slot, type_)]

    assert statuses("proposer", 1, at(5)) == ["late"]
    assert statuses("proposer", 2, at(5)) == ["in_time"]
    assert sorted(statuses("attester", 2, at(5))) == ["in_time", "late"]
    assert statuses("proposer", 4, at(5)) == ["open"]
    assert statuses("proposer", 4, at(6, 0)) == ["missed"]
    assert set(statuses("attester", 3, at(5))) == {"missed"}


def test_second_block_of_a_slot_is_refused_and_reported() -> None:
    chain = chain_with()
    run(chain, 1)
    first, second = signed_block(chain, 1), signed_block(chain, 1, b"2".ljust(32))
    node = chain.import_block(first, at(1))
    assert chain.import_block(first, at(1)) is node
    with pytest.raises(EquivocatingBlock):
        chain.import_block(second, at(1))
    assert chain.head is node
    assert [each.kind for each in chain.watch.findings] == ["double_proposal"]


@forks
def test_double_vote_is_reported_even_for_an_unknown_block(fork: Fork) -> None:
    chain = chain_with(fork)
    run(chain, 1)
    chain.import_block(signed_block(chain, 1), at(1))
    chain.submit_attestation(vote_of(chain, 1), at(1))
    other = vote_of(chain, 1, beacon_block_root=b"\1" * 32)
    with pytest.raises(UnknownBlock):
        chain.submit_attestation(other, at(1))
    assert [each.kind for each in chain.watch.findings] == ["double_vote"]


@forks
def test_repeated_vote_is_taken_in_its_time_and_refused_after_it(fork: Fork) -> None:
    chain = chain_with(fork)
    run(chain, 1)
    vote = vote_of(chain, 1)
    chain.submit_attestation(vote, at(1))
    chain.submit_attestation(vote, at(1, 3.5))
    with pytest.raises(TransitionInvalid, match="signature"):
        chain.submit_attestation(vote.replace(signature=bytes(96)), at(1, 3.5))
    run(chain, 40)
    with pytest.raises((TransitionInvalid, UnknownBlock)):
        chain.submit_attestation(vote, at(40))
    assert chain.watch.findings == []


def test_vote_with_a_wrong_signature_is_no_evidence() -> None:
    chain = chain_with()
    run(chain, 1)
    chain.submit_attestation(vote_of(chain, 1), at(1))
    other = vote_of(chain, 1, beacon_block_root=b"\1" * 32)
    with pytest.raises(TransitionInvalid, match="signature"):
        chain.submit_attestation(other.replace(signature=bytes(96)), at(1))
    assert chain.watch.findings == []


@pytest.mark.parametrize(
    "changes",
    [
        {"slot": 3},
        {"index": 1},
        {"slot": 9},
        {"beacon_block_root": b"\1" * 32},
    ],
)
def test_wrong_vote_is_refused(changes: dict[str, Any]) -> None:
    chain = chain_with()
    run(chain, 1)
    with pytest.raises((TransitionInvalid, UnknownBlock)):
        chain.submit_attestation(vote_of(chain, 1, **changes), at(1))


@forks
def test_wrong_checkpoints_are_refused(fork: Fork) -> None:
    chain = chain_with(fork, self_run=tuple(range(16)))
    run(chain, 26)
    assert chain.justified[0] == 2
    wrong = chain.rules.types.Checkpoint(epoch=1, root=b"\1" * 32)
    votes = {
        "source": vote_of(chain, 26, source=wrong),
        "target": vote_of(chain, 26, target=wrong.replace(epoch=3)),
    }
    for name, vote in votes.items():
        with pytest.raises(TransitionInvalid, match=name):
            chain.submit_attestation(vote, at(26))


def test_blocks_of_the_future_or_without_parent_are_refused() -> None:
    chain = chain_with()
    run(chain, 1)
    block = signed_block(chain, 1)
    with pytest.raises(TransitionInvalid, match="future"):
        chain.import_block(block, at(0))
    orphan = block.replace(message=block.message.replace(parent_root=b"\1" * 32))
    with pytest.raises(UnknownBlock):
        chain.import_block(orphan, at(1))
    unsigned = block.replace(signature=bytes(96))
    with pytest.raises(TransitionInvalid, match="signature"):
        chain.import_block(unsigned, at(1))
    assert chain.watch.findings == []
    assert chain.import_block(block, at(0, 5.6)) is chain.head  # 0.4 s early is allowed


def test_votes_decide_between_two_branches() -> None:
    chain, other = chain_with(), chain_with()
    for each in (chain, other):
        run(each, 2)
    blocks = [signed_block(chain, 1), signed_block(other, 2)]
    events: list[ChainEvent] = []
    for signed in blocks:
        chain.import_block(signed, at(2))
        other.import_block(signed, at(2))
    branches = {signed.message.hash_tree_root() for signed in blocks}
    assert chain.head.root == other.head.root == max(branches)
    chain.listeners.append(events.append)
    loser = min(branches)
    state = chain.tree.state_at(loser, 2)
    duty = next(each for each in attester_assignments(state, 0) if each.slot == 2)
    target = chain.rules.types.Checkpoint(epoch=0, root=chain.tree.genesis.root)
    data = chain.attestation_data(2, 0).replace(beacon_block_root=loser, target=target)
    chain.submit_attestation(single_attestation(state, data, duty), at(2))
    run(chain, 3)
    chain.import_block(signed_block(chain, 3), at(3))
    assert chain.tree.is_ancestor(loser, chain.head.root)
    assert "chain_reorg" in [event.topic for event in events]


def test_reorg_fault_abandons_blocks_once() -> None:
    chain = chain_with(self_run=tuple(range(16)))
    events: list[ChainEvent] = []
    chain.listeners.append(events.append)
    run(chain, 5)
    third = chain.tree.ancestor(chain.head.root, 3).root
    chain.faults = Faults(reorg_depth=2)
    run(chain, 8)
    assert [event.topic for event in events].count("chain_reorg") == 1
    assert chain.tree.ancestor(chain.head.root, 5).root == third
    assert chain.head.slot == 8
    assert chain.faults.reorg_depth == 0


def test_absent_validators_do_not_stop_the_others() -> None:
    chain = chain_with(self_run=tuple(range(4, 16)))
    run(chain, 40)
    assert chain.justified[0] >= 3
    rows = chain.reports.to_json(chain.since_genesis_ms(at(50)))
    missed = {row["validator_index"] for row in rows if row["status"] == "missed"}
    assert missed <= {0, 1, 2, 3}


def test_long_pause_is_caught_up() -> None:
    chain = chain_with(self_run=tuple(range(16)))
    chain.advance(at(20))
    assert chain.head.slot == 20
    chain.advance(at(10))
    assert chain.slot == 20


@forks
def test_operations_are_taken_once_and_get_into_a_block(fork: Fork) -> None:
    chain = chain_with(fork, self_run=tuple(range(16)))
    run(chain, 3)
    state = chain.head_state(3)
    maker = OperationMaker(Random(1), state)
    maker.often = lambda share=1.0: share > 0.5  # type: ignore[method-assign]  # only right ones
    proposer_next = proposer_index(chain.head_state(4))
    slashing = maker.proposer_slashing()
    while slashing.signed_header_1.message.proposer_index == proposer_next:
        slashing = maker.proposer_slashing()
    aggregates.submit_operation(chain, "proposer_slashings", slashing)
    with pytest.raises(TransitionInvalid):
        aggregates.submit_operation(chain, "voluntary_exits", maker.voluntary_exit())
    if chain.rules.has_payload:
        change = maker.bls_to_execution_change()
        aggregates.submit_operation(chain, "bls_to_execution_changes", change)
    run(chain, 4)
    body = chain.head.signed.message.body if chain.head.signed else None
    assert chain.head.slot == 4
    assert body is not None
    assert body.proposer_slashings == (slashing,)
    assert not chain.rules.has_payload or len(body.bls_to_execution_changes) == 1
    assert chain.operations.all("proposer_slashings") == []


@forks
def test_aggregates_and_sync_messages_are_verified_and_used(fork: Fork) -> None:
    chain = chain_with(fork)
    run(chain, 1)
    chain.import_block(signed_block(chain, 1), at(1))
    vote = vote_of(chain, 1)
    chain.submit_attestation(vote, at(1))
    state, types = chain.head_state(1), chain.rules.types
    duty = next(each for each in attester_assignments(state, 0) if each.slot == 1)
    root = vote.data.hash_tree_root()
    aggregate = chain.attestations.aggregate_for(root, duty.committee_index)
    assert aggregate is not None
    key, slot_root = interop_key(duty.validator_index), (1).to_bytes(32, "little")
    domain = state.domain(DomainType.SELECTION_PROOF, 0)
    message = types.AggregateAndProof(
        aggregator_index=duty.validator_index,
        aggregate=aggregate,
        selection_proof=key.sign(compute_signing_root(slot_root, domain)),
    )
    domain = state.domain(DomainType.AGGREGATE_AND_PROOF, 0)
    signature = key.sign(compute_signing_root(message.hash_tree_root(), domain))
    signed: Any = types.SignedAggregateAndProof(message=message, signature=signature)
    aggregates.submit(chain, signed, at(1))
    with pytest.raises(TransitionInvalid):
        aggregates.submit(chain, signed.replace(signature=bytes(96)), at(1))

    member, places = next(iter(sync_committee_places(state, 0).items()))
    domain = state.domain(DomainType.SYNC_COMMITTEE, 0)
    by = interop_key(member).sign(compute_signing_root(chain.head.root, domain))
    sync = types.SyncCommitteeMessage(
        slot=1, beacon_block_root=chain.head.root, validator_index=member, signature=by
    )
    aggregates.submit_sync_message(chain, sync)
    with pytest.raises(TransitionInvalid):
        aggregates.submit_sync_message(chain, sync.replace(signature=bytes(96)))
    part = chain.rules.preset.sync_committee_size // 4
    contribution = aggregates.sync_contribution(chain, 1, chain.head.root, places[0] // part)
    assert contribution is not None
    run(chain, 2)
    block = signed_block(chain, 2).message
    assert block.body.sync_aggregate.sync_committee_bits.count() == len(places)
    assert len(block.body.attestations) == 1


def test_rules_name_versions_as_the_specification_does() -> None:
    spec, chain = spec_of(Fork.FULU), chain_with(Fork.FULU)
    for activation in chain.spec.forks.activations[1:]:
        known = getattr(spec.config, f"{activation.fork.value.upper()}_FORK_VERSION")
        assert bytes(known) == activation.version


@pytest.mark.parametrize(
    "wrong",
    [
        {"fork": Fork.CAPELLA},
        {"validators": 0},
        {"slot_duration_ms": 1},
        {"self_run": (16,)},
        {"activate_later": ((16, 3),)},
        {"activate_later": ((15, 0),)},
        {"activate_later": ((15, 3), (15, 4))},
        {"activate_later": tuple((index, 3) for index in range(16))},
        {"activate_later": ((15, 3),), "sync_members": (15,)},
    ],
)
def test_wrong_options_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid):
        chain_with(**wrong)
