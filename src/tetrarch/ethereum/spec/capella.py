"""Capella: withdrawals and changes of withdrawal credentials.

Source: ethereum/consensus-specs, capella/beacon-chain.md.
"""

from functools import cache

from tetrarch.ethereum.spec import bellatrix
from tetrarch.ethereum.spec.block_types import blinded_body, block_types, signed
from tetrarch.ethereum.spec.presets import Preset
from tetrarch.ethereum.spec.type_table import TypeTable, changed
from tetrarch.ssz.basic import bytes20, bytes32, bytes48, uint64
from tetrarch.ssz.container import Container
from tetrarch.ssz.sequence import List


@cache
def types(preset: Preset) -> TypeTable:
    """All containers of Capella."""
    table = _with_operations(bellatrix.types(preset))
    payload = changed(
        table.ExecutionPayload,
        withdrawals=List(table.Withdrawal, preset.max_withdrawals_per_payload),
    )
    header = changed(table.ExecutionPayloadHeader, withdrawals_root=bytes32)
    changes = List(table.SignedBLSToExecutionChange, preset.max_bls_to_execution_changes)
    body = changed(
        table.BeaconBlockBody, execution_payload=payload, bls_to_execution_changes=changes
    )
    state = changed(
        table.BeaconState,
        latest_execution_payload_header=header,
        next_withdrawal_index=uint64,
        next_withdrawal_validator_index=uint64,
        historical_summaries=List(table.HistoricalSummary, preset.historical_roots_limit),
    )
    return table.extended(
        payload, header, state, *block_types(body), *block_types(blinded_body(body, header))
    )


def _with_operations(table: TypeTable) -> TypeTable:
    change = Container(
        "BLSToExecutionChange",
        {"validator_index": uint64, "from_bls_pubkey": bytes48, "to_execution_address": bytes20},
    )
    withdrawal = Container(
        "Withdrawal",
        {"index": uint64, "validator_index": uint64, "address": bytes20, "amount": uint64},
    )
    summary = {"block_summary_root": bytes32, "state_summary_root": bytes32}
    return table.extended(
        change,
        signed("SignedBLSToExecutionChange", change),
        withdrawal,
        Container("HistoricalSummary", summary),
    )
