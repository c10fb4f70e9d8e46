"""Deneb: blobs, whose commitments are in the body and which travel beside the block.

Source: ethereum/consensus-specs, deneb/beacon-chain.md; ethereum/beacon-APIs, types/deneb.
"""

from functools import cache

from tetrarch.ethereum.spec import capella
from tetrarch.ethereum.spec.block_types import (
    blinded_body,
    block_types,
    contents_types,
)
from tetrarch.ethereum.spec.presets import Preset
from tetrarch.ethereum.spec.type_table import TypeTable, changed
from tetrarch.ssz.basic import bytes48, uint64
from tetrarch.ssz.sequence import List


@cache
def types(preset: Preset) -> TypeTable:
    """All containers of Deneb."""
    table = capella.types(preset)
    payload = changed(table.ExecutionPayload, blob_gas_used=uint64, excess_blob_gas=uint64)
    header = changed(table.ExecutionPayloadHeader, blob_gas_used=uint64, excess_blob_gas=uint64)
    body = changed(
        table.BeaconBlockBody,
        execution_payload=payload,
        blob_kzg_commitments=List(bytes48, preset.max_blob_commitments_per_block),
    )
    table = table.extended(
        payload,
        header,
        changed(table.BeaconState, latest_execution_payload_header=header),
        *block_types(body),
        *block_types(blinded_body(body, header)),
    )
    return contents_types(table, preset, proofs_per_blob=1)
