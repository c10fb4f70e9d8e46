"""Electra: attestations over whole slots, single attestations, requests from the execution layer.

Source: ethereum/consensus-specs, electra/beacon-chain.md and electra/validator.md.
"""

from functools import cache

from tetrarch.ethereum.spec import deneb
from tetrarch.ethereum.spec.block_types import blinded_body, block_types, contents_types
from tetrarch.ethereum.spec.phase0 import attestation_types
from tetrarch.ethereum.spec.presets import Preset
from tetrarch.ethereum.spec.type_table import TypeTable, changed
from tetrarch.ssz.basic import bytes20, bytes32, bytes48, bytes96, uint64
from tetrarch.ssz.bits import Bitlist, Bitvector
from tetrarch.ssz.container import Container
from tetrarch.ssz.sequence import List


@cache
def types(preset: Preset) -> TypeTable:
    """All containers of Electra."""
    table = _with_attestations(deneb.types(preset), preset)
    table = _with_requests(table, preset)
    body = changed(
        table.BeaconBlockBody,
        attester_slashings=List(table.AttesterSlashing, preset.max_attester_slashings_electra),
        attestations=List(table.Attestation, preset.max_attestations_electra),
        execution_requests=table.ExecutionRequests,
    )
    blinded = blinded_body(body, table.ExecutionPayloadHeader)
    table = table.extended(*block_types(body), *block_types(blinded))
    table = _with_state(table, preset)
    return contents_types(table, preset, proofs_per_blob=1)


def _with_attestations(table: TypeTable, preset: Preset) -> TypeTable:
    attesters_max = preset.max_validators_per_committee * preset.max_committees_per_slot
    attestation = changed(
        table.Attestation,
        aggregation_bits=Bitlist(attesters_max),
        committee_bits=Bitvector(preset.max_committees_per_slot),
    )
    single = Container(
        "SingleAttestation",
        {
            "committee_index": uint64,
            "attester_index": uint64,
            "data": table.AttestationData,
            "signature": bytes96,
        },
    )
    return table.extended(single, *attestation_types(attestation, attesters_max))


def _with_requests(table: TypeTable, preset: Preset) -> TypeTable:
    deposit = changed(table.DepositData, index=uint64)
    deposit = Container("DepositRequest", deposit.fields)
    withdrawal = Container(
        "WithdrawalRequest",
        {"source_address": bytes20, "validator_pubkey": bytes48, "amount": uint64},
    )
    consolidation = Container(
        "ConsolidationRequest",
        {"source_address": bytes20, "source_pubkey": bytes48, "target_pubkey": bytes48},
    )
    requests = Container(
        "ExecutionRequests",
        {
            "deposits": List(deposit, preset.max_deposit_requests_per_payload),
            "withdrawals": List(withdrawal, preset.max_withdrawal_requests_per_payload),
            "consolidations": List(consolidation, preset.max_consolidation_requests_per_payload),
        },
    )
    return table.extended(deposit, withdrawal, consolidation, requests)


def _with_state(table: TypeTable, preset: Preset) -> TypeTable:
    deposit = Container(
        "PendingDeposit",
        {
            "pubkey": bytes48,
            "withdrawal_credentials": bytes32,
            "amount": uint64,
            "signature": bytes96,
            "slot": uint64,
        },
    )
    withdrawal = Container(
        "PendingPartialWithdrawal",
        {"validator_index": uint64, "amount": uint64, "withdrawable_epoch": uint64},
    )
    consolidation = Container(
        "PendingConsolidation", {"source_index": uint64, "target_index": uint64}
    )
    state = changed(
        table.BeaconState,
        deposit_requests_start_index=uint64,
        deposit_balance_to_consume=uint64,
        exit_balance_to_consume=uint64,
        earliest_exit_epoch=uint64,
        consolidation_balance_to_consume=uint64,
        earliest_consolidation_epoch=uint64,
        pending_deposits=List(deposit, preset.pending_deposits_limit),
        pending_partial_withdrawals=List(withdrawal, preset.pending_partial_withdrawals_limit),
        pending_consolidations=List(consolidation, preset.pending_consolidations_limit),
    )
    return table.extended(deposit, withdrawal, consolidation, state)
