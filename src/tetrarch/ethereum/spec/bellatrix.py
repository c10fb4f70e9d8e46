"""Bellatrix: execution payloads, and with them blinded blocks.

Source: ethereum/consensus-specs, bellatrix/beacon-chain.md; ethereum/builder-specs, bellatrix.
"""

from functools import cache

from tetrarch.ethereum.spec import altair
from tetrarch.ethereum.spec.block_types import blinded_body, block_types, signed
from tetrarch.ethereum.spec.presets import Preset
from tetrarch.ethereum.spec.type_table import TypeTable, changed
from tetrarch.ssz.basic import ByteList, ByteVector, bytes20, bytes32, bytes48, uint64, uint256
from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszType
from tetrarch.ssz.sequence import List


@cache
def types(preset: Preset) -> TypeTable:
    """All containers of Bellatrix."""
    table = altair.types(preset)
    transactions = List(
        ByteList(preset.max_bytes_per_transaction), preset.max_transactions_per_payload
    )
    common = _payload_fields(preset)
    payload = Container("ExecutionPayload", {**common, "transactions": transactions})
    header = Container("ExecutionPayloadHeader", {**common, "transactions_root": bytes32})
    registration = Container(
        "ValidatorRegistration",
        {"fee_recipient": bytes20, "gas_limit": uint64, "timestamp": uint64, "pubkey": bytes48},
    )
    table = table.extended(registration, signed("SignedValidatorRegistration", registration))
    state = changed(table.BeaconState, latest_execution_payload_header=header)
    body = changed(table.BeaconBlockBody, execution_payload=payload)
    return table.extended(
        payload,
        header,
        state,
        *block_types(body),
        *block_types(blinded_body(body, header)),
    )


def _payload_fields(preset: Preset) -> dict[str, SszType]:
    """What a payload and its header share."""
    return {
        "parent_hash": bytes32,
        "fee_recipient": bytes20,
        "state_root": bytes32,
        "receipts_root": bytes32,
        "logs_bloom": ByteVector(preset.bytes_per_logs_bloom),
        "prev_randao": bytes32,
        "block_number": uint64,
        "gas_limit": uint64,
        "gas_used": uint64,
        "timestamp": uint64,
        "extra_data": ByteList(preset.max_extra_data_bytes),
        "base_fee_per_gas": uint256,
        "block_hash": bytes32,
    }
