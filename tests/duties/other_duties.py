"""Values of the duties around attestations and blocks: aggregates, sync committees, the rest."""

from dataclasses import replace
from typing import Any

from tests.duties.duty_world import CHAIN, Validators, attestation_data, block

from tetrarch.crypto.bls import SecretKey
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    DefinitionSet,
    Duty,
    DutyType,
    ExitPayload,
    Payload,
    ProposalPayload,
    PubKey,
    RandaoPayload,
    RegistrationPayload,
    SelectionPayload,
    SyncCommitteeDefinition,
    SyncMessagePayload,
    SyncSelectionPayload,
    UnsignedAggregate,
    UnsignedContribution,
    UnsignedDataSet,
)
from tetrarch.ethereum.spec.aggregates import (
    AggregateAndProof,
    ContributionAndProof,
    SyncCommitteeContribution,
)
from tetrarch.ethereum.spec.attestations import SlotAttestation
from tetrarch.ethereum.spec.messages import ValidatorRegistration, VoluntaryExit
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.bits import Bits

SLOT = 9
HEAD = b"h" * 32
VALIDATORS = Validators(3)


def group_signature(number: int, payload: Payload) -> bytes:
    """What the shares of validator ``number`` combine to (see ``Validators``)."""
    secrets = [SecretKey.from_bytes((each + 7).to_bytes(32, "big")) for each in range(3)]
    by_key = {PubKey(secret.public_key()): secret for secret in secrets}
    return by_key[VALIDATORS.pubkeys[number]].sign(signing_root(payload, CHAIN))


def aggregate(committee: int = 0, *, votes: tuple[int, ...] = (0, 3), **changes: Any) -> Any:
    """Votes of one committee of 8 in ``SLOT``."""
    bits = Bits.of(place in votes for place in range(8))
    return SlotAttestation(
        preset="minimal",
        aggregation_bits=bits,
        data=attestation_data(SLOT, **changes),
        signature=b"\xaa" * 96,
        committee_bits=Bits.single(committee, 4),
    )


def aggregate_and_proof(number: int = 0, **changes: Any) -> AggregateAndProof:
    """Validator ``number`` aggregates its own committee (all are drawn: committees are small)."""
    return AggregateAndProof(
        fork=Fork.ELECTRA,
        preset="minimal",
        aggregator_index=100 + number,
        aggregate=aggregate(number % 2, **changes),
        selection_proof=group_signature(number, SelectionPayload(slot=SLOT)),
    )


def aggregates(*numbers: int) -> UnsignedDataSet:
    """What consensus decides for the slot's aggregators."""
    items = tuple(
        UnsignedAggregate(pubkey=VALIDATORS.pubkeys[each], message=aggregate_and_proof(each))
        for each in numbers or range(3)
    )
    return UnsignedDataSet(duty=Duty(SLOT, DutyType.AGGREGATOR), items=items)


def aggregator_definitions() -> DefinitionSet:
    """The attesters of the slot: whoever is drawn of them aggregates."""
    return replace(VALIDATORS.definitions(SLOT), duty=Duty(SLOT, DutyType.AGGREGATOR))


def contribution(subcommittee: int = 0, *, head: bytes = HEAD, votes: int = 3) -> Any:
    """Messages of one subcommittee of 8."""
    return SyncCommitteeContribution(
        preset="minimal",
        slot=SLOT,
        beacon_block_root=head,
        subcommittee_index=subcommittee,
        aggregation_bits=Bits.of(place < votes for place in range(8)),
        signature=b"\xbb" * 96,
    )


def contribution_and_proof(
    number: int = 0, subcommittee: int = 0, **changes: Any
) -> ContributionAndProof:
    """Validator ``number`` aggregates for ``subcommittee``."""
    payload = SyncSelectionPayload(slot=SLOT, subcommittee_index=subcommittee)
    return ContributionAndProof(
        aggregator_index=100 + number,
        contribution=contribution(subcommittee, **changes),
        selection_proof=group_signature(number, payload),
    )


def contributions(*places: tuple[int, int]) -> UnsignedDataSet:
    """What consensus decides; ``places`` are pairs of a validator's number and a subcommittee."""
    items = tuple(
        UnsignedContribution(
            pubkey=VALIDATORS.pubkeys[number], message=contribution_and_proof(number, subcommittee)
        )
        for number, subcommittee in places or ((0, 0), (0, 2), (1, 0))
    )
    return UnsignedDataSet(duty=Duty(SLOT, DutyType.SYNC_CONTRIBUTION), items=items)


def sync_definitions() -> DefinitionSet:
    """Validator 0 is in subcommittees 0 and 2, validator 1 in 0, validator 2 in 3."""
    places = ((1, 16), (2,), (31,))
    definitions = tuple(
        SyncCommitteeDefinition(
            pubkey=VALIDATORS.pubkeys[number],
            slot=SLOT,
            validator_index=100 + number,
            positions=positions,
        )
        for number, positions in enumerate(places)
    )
    return DefinitionSet(duty=Duty(SLOT, DutyType.SYNC_CONTRIBUTION), definitions=definitions)


def registration(pubkey: PubKey = VALIDATORS.pubkeys[0], **changes: Any) -> ValidatorRegistration:
    """Signed in ``SLOT``."""
    fields: dict[str, Any] = {
        "fee_recipient": b"\x11" * 20,
        "gas_limit": 60_000_000,
        "timestamp": int(CHAIN.slot_start_s(SLOT)) + 3,
        "pubkey": pubkey,
    }
    return ValidatorRegistration(**(fields | changes))


def payloads() -> dict[DutyType, Payload]:
    """One of each kind, of ``SLOT``; an exit's duty stands in slot 8, epoch 1's first."""
    proposal = block(SLOT)
    samples: tuple[Payload, ...] = (
        AttestationPayload(data=attestation_data(SLOT)),
        ProposalPayload(fork=proposal.fork, blinded=False, header=proposal.header),
        RandaoPayload(epoch=1),
        SelectionPayload(slot=SLOT),
        AggregatePayload(message=aggregate_and_proof()),
        SyncMessagePayload(slot=SLOT, beacon_block_root=HEAD),
        SyncSelectionPayload(slot=SLOT, subcommittee_index=2),
        ContributionPayload(message=contribution_and_proof(0, 2)),
        ExitPayload(message=VoluntaryExit(epoch=1, validator_index=100)),
        RegistrationPayload(message=registration()),
    )
    return {payload.DUTY_TYPE: payload for payload in samples}


def duty_of(payload: Payload) -> Duty:
    """The duty that a sample belongs to."""
    slot = 8 if payload.DUTY_TYPE is DutyType.EXIT else SLOT
    return Duty(slot, payload.DUTY_TYPE)
