"""Selections: which of the cluster's validators were drawn to aggregate, by the group's own proofs.

A proof is the group's signature over the slot (and the subcommittee), made ahead of time by the
PREPARE duties and kept in AggSigDB. All nodes have the same proofs, and so the same draw.

A validator client begins the PREPARE duties, if it runs in distributed mode. One that does not
takes its own partial proof for the lot, and asks for aggregates that nobody can make.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyDefinition,
    DutyType,
    PartialSet,
    PubKey,
    ShareIndex,
    SignedData,
    SyncCommitteeDefinition,
    SyncMessagePayload,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.selection import is_aggregator, is_sync_aggregator, subcommittees_of
from tetrarch.observability.logs import Log

PROVEN_BY = {
    DutyType.AGGREGATOR: DutyType.PREPARE_AGGREGATOR,
    DutyType.SYNC_CONTRIBUTION: DutyType.PREPARE_SYNC_CONTRIBUTION,
}

UNASKED_MEND = "run the validator client in distributed mode, or it does not aggregate"

ProofKey = tuple[PubKey, int]  # root key, sub-index


class OwnPartials(Protocol):
    """Query: ParSigDB."""

    def own_partials(self, duty: Duty, share_index: ShareIndex) -> PartialSet | None:
        """The stored partials of a share for an open duty, or None."""
        ...


class ProofSource:
    """Whether this node hands in its part of selection proofs. Told once until they are there."""

    def __init__(self, *, own: OwnPartials | None, share_index: ShareIndex, log: Log) -> None:
        """``own`` is None where the node signs by itself: it makes its part always."""
        self._own = own
        self._share_index = share_index
        self._log = log
        self._told = False

    def has_proofs(self, duty: Duty) -> bool:
        """Whether our share's proofs for an AGGREGATOR or SYNC_CONTRIBUTION duty are handed in."""
        if self._own is None:
            return True
        proven = Duty(duty.slot, PROVEN_BY[duty.type])
        return self._own.own_partials(proven, self._share_index) is not None

    def note_unasked(self, duty: Duty) -> None:
        """No proof of the duty is there, and our client did not hand in its own."""
        if not self._told:
            self._log.warning("selections_not_asked", duty=str(duty), mend=UNASKED_MEND)
        self._told = True

    def note_answered(self) -> None:
        """Proofs of a duty are there."""
        self._told = False


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
