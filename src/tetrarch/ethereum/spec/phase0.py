"""Phase0 containers: what every later fork builds on.

Source: ethereum/consensus-specs, phase0/beacon-chain.md and phase0/validator.md.
"""

from functools import cache

from tetrarch.ethereum.spec.block_types import block_types, signed
from tetrarch.ethereum.spec.presets import Preset
from tetrarch.ethereum.spec.type_table import TypeTable
from tetrarch.ssz.basic import boolean, bytes4, bytes32, bytes48, bytes96, uint64
from tetrarch.ssz.bits import Bitlist, Bitvector
from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszType
from tetrarch.ssz.sequence import List, Vector

DEPOSIT_CONTRACT_TREE_DEPTH = 32
JUSTIFICATION_BITS_LENGTH = 4


@cache
def types(preset: Preset) -> TypeTable:
    """All containers of Phase0."""
    table = _with_operations(_common())
    table = _with_attestations(table, preset)
    table = table.extended(*block_types(_body(table, preset)))
    roots = Vector(bytes32, preset.slots_per_historical_root)
    batch = Container("HistoricalBatch", {"block_roots": roots, "state_roots": roots})
    return table.extended(batch, _state(table, preset))


def _common() -> TypeTable:
    """Fixed-size containers without operations."""
    header = Container(
        "BeaconBlockHeader",
        {
            "slot": uint64,
            "proposer_index": uint64,
            "parent_root": bytes32,
            "state_root": bytes32,
            "body_root": bytes32,
        },
    )
    checkpoint = Container("Checkpoint", {"epoch": uint64, "root": bytes32})
    validator = Container(
        "Validator",
        {
            "pubkey": bytes48,
            "withdrawal_credentials": bytes32,
            "effective_balance": uint64,
            "slashed": boolean,
            "activation_eligibility_epoch": uint64,
            "activation_epoch": uint64,
            "exit_epoch": uint64,
            "withdrawable_epoch": uint64,
        },
    )
    eth1_data = {"deposit_root": bytes32, "deposit_count": uint64, "block_hash": bytes32}
    fork = {"previous_version": bytes4, "current_version": bytes4, "epoch": uint64}
    fork_data = {"current_version": bytes4, "genesis_validators_root": bytes32}
    return TypeTable({}).extended(
        header,
        checkpoint,
        validator,
        Container("Eth1Data", eth1_data),
        Container("Fork", fork),
        Container("ForkData", fork_data),
        Container("SigningData", {"object_root": bytes32, "domain": bytes32}),
        signed("SignedBeaconBlockHeader", header),
    )


def _with_operations(table: TypeTable) -> TypeTable:
    """Operations whose shape no fork has changed."""
    message = {"pubkey": bytes48, "withdrawal_credentials": bytes32, "amount": uint64}
    deposit_data = Container("DepositData", {**message, "signature": bytes96})
    proof = Vector(bytes32, DEPOSIT_CONTRACT_TREE_DEPTH + 1)
    voluntary_exit = Container("VoluntaryExit", {"epoch": uint64, "validator_index": uint64})
    header = table.SignedBeaconBlockHeader
    slashing = {"signed_header_1": header, "signed_header_2": header}
    return table.extended(
        Container("DepositMessage", message),
        deposit_data,
        Container("Deposit", {"proof": proof, "data": deposit_data}),
        voluntary_exit,
        signed("SignedVoluntaryExit", voluntary_exit),
        Container("ProposerSlashing", slashing),
    )


def _with_attestations(table: TypeTable, preset: Preset) -> TypeTable:
    data = Container(
        "AttestationData",
        {
            "slot": uint64,
            "index": uint64,
            "beacon_block_root": bytes32,
            "source": table.Checkpoint,
            "target": table.Checkpoint,
        },
    )
    bits = Bitlist(preset.max_validators_per_committee)
    pending = Container(
        "PendingAttestation",
        {
            "aggregation_bits": bits,
            "data": data,
            "inclusion_delay": uint64,
            "proposer_index": uint64,
        },
    )
    attestation = Container(
        "Attestation", {"aggregation_bits": bits, "data": data, "signature": bytes96}
    )
    return table.extended(
        data, pending, *attestation_types(attestation, preset.max_validators_per_committee)
    )


def attestation_types(attestation: Container, attesters_max: int) -> tuple[Container, ...]:
    """``attestation`` and the containers that hold one; ``attesters_max`` may sign it."""
    indexed = Container(
        "IndexedAttestation",
        {
            "attesting_indices": List(uint64, attesters_max),
            "data": attestation.fields["data"],
            "signature": bytes96,
        },
    )
    proof = Container(
        "AggregateAndProof",
        {"aggregator_index": uint64, "aggregate": attestation, "selection_proof": bytes96},
    )
    slashing = Container("AttesterSlashing", {"attestation_1": indexed, "attestation_2": indexed})
    return attestation, indexed, slashing, proof, signed("SignedAggregateAndProof", proof)


def _body(table: TypeTable, preset: Preset) -> Container:
    return Container(
        "BeaconBlockBody",
        {
            "randao_reveal": bytes96,
            "eth1_data": table.Eth1Data,
            "graffiti": bytes32,
            "proposer_slashings": List(table.ProposerSlashing, preset.max_proposer_slashings),
            "attester_slashings": List(table.AttesterSlashing, preset.max_attester_slashings),
            "attestations": List(table.Attestation, preset.max_attestations),
            "deposits": List(table.Deposit, preset.max_deposits),
            "voluntary_exits": List(table.SignedVoluntaryExit, preset.max_voluntary_exits),
        },
    )


def _state(table: TypeTable, preset: Preset) -> Container:
    roots = Vector(bytes32, preset.slots_per_historical_root)
    votes_max = preset.epochs_per_eth1_voting_period * preset.slots_per_epoch
    pending: SszType = List(
        table.PendingAttestation, preset.max_attestations * preset.slots_per_epoch
    )
    return Container(
        "BeaconState",
        {
            "genesis_time": uint64,
            "genesis_validators_root": bytes32,
            "slot": uint64,
            "fork": table.Fork,
            "latest_block_header": table.BeaconBlockHeader,
            "block_roots": roots,
            "state_roots": roots,
            "historical_roots": List(bytes32, preset.historical_roots_limit),
            "eth1_data": table.Eth1Data,
            "eth1_data_votes": List(table.Eth1Data, votes_max),
            "eth1_deposit_index": uint64,
            "validators": List(table.Validator, preset.validator_registry_limit),
            "balances": List(uint64, preset.validator_registry_limit),
            "randao_mixes": Vector(bytes32, preset.epochs_per_historical_vector),
            "slashings": Vector(uint64, preset.epochs_per_slashings_vector),
            "previous_epoch_attestations": pending,
            "current_epoch_attestations": pending,
            "justification_bits": Bitvector(JUSTIFICATION_BITS_LENGTH),
            "previous_justified_checkpoint": table.Checkpoint,
            "current_justified_checkpoint": table.Checkpoint,
            "finalized_checkpoint": table.Checkpoint,
        },
    )
