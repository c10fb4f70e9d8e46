"""Altair: sync committees, and participation flags in the place of pending attestations.

Source: ethereum/consensus-specs, altair/beacon-chain.md and altair/validator.md.
"""

from functools import cache

from tetrarch.ethereum.spec import phase0
from tetrarch.ethereum.spec.block_types import block_types, signed
from tetrarch.ethereum.spec.presets import Preset
from tetrarch.ethereum.spec.type_table import TypeTable, changed
from tetrarch.ssz.basic import bytes32, bytes48, bytes96, uint8, uint64
from tetrarch.ssz.bits import Bitvector
from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszType
from tetrarch.ssz.sequence import List, Vector

SYNC_COMMITTEE_SUBNET_COUNT = 4


@cache
def types(preset: Preset) -> TypeTable:
    """All containers of Altair."""
    table = phase0.types(preset)
    table = table.extended(*_sync_types(preset))
    body = changed(table.BeaconBlockBody, sync_aggregate=table.SyncAggregate)
    return table.extended(*block_types(body), _state(table, preset))


def _sync_types(preset: Preset) -> tuple[Container, ...]:
    size = preset.sync_committee_size
    contribution = Container(
        "SyncCommitteeContribution",
        {
            "slot": uint64,
            "beacon_block_root": bytes32,
            "subcommittee_index": uint64,
            "aggregation_bits": Bitvector(size // SYNC_COMMITTEE_SUBNET_COUNT),
            "signature": bytes96,
        },
    )
    proof = Container(
        "ContributionAndProof",
        {"aggregator_index": uint64, "contribution": contribution, "selection_proof": bytes96},
    )
    message: dict[str, SszType] = {
        "slot": uint64,
        "beacon_block_root": bytes32,
        "validator_index": uint64,
        "signature": bytes96,
    }
    aggregate = {"sync_committee_bits": Bitvector(size), "sync_committee_signature": bytes96}
    committee = {"pubkeys": Vector(bytes48, size), "aggregate_pubkey": bytes48}
    return (
        contribution,
        proof,
        signed("SignedContributionAndProof", proof),
        Container("SyncAggregate", aggregate),
        Container("SyncAggregatorSelectionData", {"slot": uint64, "subcommittee_index": uint64}),
        Container("SyncCommittee", committee),
        Container("SyncCommitteeMessage", message),
    )


def _state(table: TypeTable, preset: Preset) -> Container:
    flags = List(uint8, preset.validator_registry_limit)
    renamed = {
        "previous_epoch_attestations": "previous_epoch_participation",
        "current_epoch_attestations": "current_epoch_participation",
    }
    fields: dict[str, SszType] = {
        renamed.get(name, name): flags if name in renamed else each
        for name, each in table.BeaconState.fields.items()
    }
    fields["inactivity_scores"] = List(uint64, preset.validator_registry_limit)
    fields["current_sync_committee"] = table.SyncCommittee
    fields["next_sync_committee"] = table.SyncCommittee
    return Container("BeaconState", fields)
