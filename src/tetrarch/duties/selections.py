"""Selections: which of the cluster's validators were drawn to aggregate, by the group's own proofs.

A proof is the group's signature over the slot (and the subcommittee), made ahead of time by the
PREPARE duties and kept in AggSigDB. All nodes have the same proofs, and so the same draw.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyDefinition,
    DutyType,
    PubKey,
    SignedData,
    SyncCommitteeDefinition,
    SyncMessagePayload,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.selection import is_aggregator, is_sync_aggregator, subcommittees_of

PROVEN_BY = {
    DutyType.AGGREGATOR: DutyType.PREPARE_AGGREGATOR,
    DutyType.SYNC_CONTRIBUTION: DutyType.PREPARE_SYNC_CONTRIBUTION,
}

ProofKey = tuple[PubKey, int]  # root key, sub-index


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What is known of a duty's draw."""

    drawn: Mapping[ProofKey, bytes]  # the proofs of those who aggregate
    missing: int  # proofs that are not there (yet)


class Selections:
    """Query: ``selected``."""

    def __init__(self, *, aggregated: AggSigDB, chain: ChainSpec) -> None:
        self._aggregated = aggregated
        self._chain = chain

    async def selected(self, definition_set: DefinitionSet, *, wait_s: float = 0) -> Selected:
        """Who is drawn for an AGGREGATOR or SYNC_CONTRIBUTION duty, as far as it is known.

        Waits up to ``wait_s`` for proofs that are not there yet.
        """
        duty = definition_set.duty
        by_key = {
            (each.pubkey, sub_index): each
            for each in definition_set.definitions
            for sub_index in _sub_indices(each, self._chain)
        }
        proven = Duty(duty.slot, PROVEN_BY[duty.type])
        proofs = await self._aggregated.collect(proven, by_key, wait_s=wait_s)
        drawn = {
            key: signed.signature
            for key, signed in sorted(proofs.items())
            if _is_drawn(by_key[key], signed.signature, self._chain)
        }
        return Selected(drawn=drawn, missing=len(by_key) - len(proofs))


async def sync_heads(aggregated: AggSigDB, slot: int) -> dict[PubKey, bytes]:
    """The head (32 bytes) that each of the cluster's members voted for, as far as it is signed."""
    signed = await aggregated.signed_of(Duty(slot, DutyType.SYNC_MESSAGE))
    return heads_of(signed.values())


def heads_of(messages: Iterable[SignedData]) -> dict[PubKey, bytes]:
    """The heads (32 bytes) of signed sync messages, by voter."""
    return {
        item.pubkey: item.payload.beacon_block_root
        for item in messages
        if isinstance(item.payload, SyncMessagePayload)
    }


def _sub_indices(definition: DutyDefinition, chain: ChainSpec) -> tuple[int, ...]:
    if isinstance(definition, SyncCommitteeDefinition):
        return subcommittees_of(definition.positions, preset=chain.preset)
    return (0,)


def _is_drawn(definition: DutyDefinition, proof: bytes, chain: ChainSpec) -> bool:
    if isinstance(definition, AttesterDefinition):
        return is_aggregator(definition.committee_length, proof)
    return is_sync_aggregator(proof, preset=chain.preset)
