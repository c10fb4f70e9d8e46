"""Values that flow between the components of the workflow. Frozen, validated once, no I/O.

One value per edge: a *set* carries its duty and one item per validator, ordered by public key,
so that equal sets have equal bytes on every node.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from tetrarch.duties.duty import (
    PUBLIC_KEY_SIZE_BYTES,
    SIGNATURE_SIZE_BYTES,
    DeprecatedDutyBuilderProposer,
    Duty,
    DutyType,
    PeerIndex,
    PubKey,
    ShareIndex,
    refuse_deprecated,
)
from tetrarch.duties.payloads import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    ExitPayload,
    Payload,
    ProposalPayload,
    RandaoPayload,
    RegistrationPayload,
    SelectionPayload,
    SyncMessagePayload,
    SyncSelectionPayload,
)
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.aggregates import AggregateAndProof, ContributionAndProof
from tetrarch.ethereum.spec.messages import ValidatorRegistration
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData

__all__ = [
    "PUBLIC_KEY_SIZE_BYTES",
    "SIGNATURE_SIZE_BYTES",
    "AggregatePayload",
    "AttestationPayload",
    "AttesterDefinition",
    "ContributionPayload",
    "DefinitionSet",
    "DeprecatedDutyBuilderProposer",
    "Duty",
    "DutyDefinition",
    "DutyType",
    "ExitDefinition",
    "ExitPayload",
    "MatchedPartials",
    "MatchedSet",
    "PartialSet",
    "PartialSignature",
    "Payload",
    "PeerIndex",
    "ProposalPayload",
    "ProposerDefinition",
    "PubKey",
    "RandaoPayload",
    "RegistrationDefinition",
    "RegistrationPayload",
    "SelectionPayload",
    "ShareIndex",
    "SignedData",
    "SignedDataSet",
    "SyncCommitteeDefinition",
    "SyncHead",
    "SyncMessagePayload",
    "SyncSelectionPayload",
    "UnsignedAggregate",
    "UnsignedAttestation",
    "UnsignedContribution",
    "UnsignedData",
    "UnsignedDataSet",
    "UnsignedProposal",
    "refuse_deprecated",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttesterDefinition:
    """The beacon node's answer "this validator attests in that slot", for one validator."""

    pubkey: PubKey
    slot: int
    validator_index: int
    committee_index: int
    committee_length: int
    committees_at_slot: int
    validator_committee_index: int  # position of the validator within its committee


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposerDefinition:
    """The beacon node's answer "this validator proposes in that slot"."""

    pubkey: PubKey
    slot: int
    validator_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCommitteeDefinition:
    """The beacon node's answer "this validator is in the sync committee", for one slot."""

    pubkey: PubKey
    slot: int
    validator_index: int
    positions: tuple[int, ...]  # places in the sync committee; a validator can have several


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitDefinition:
    """An exit that this node's operator asked for. ``slot`` is the first of its epoch."""

    pubkey: PubKey
    slot: int
    validator_index: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationDefinition:
    """A builder registration that this node's operator asked for."""

    slot: int  # the one that its timestamp lies in
    message: ValidatorRegistration

    @property
    def pubkey(self) -> PubKey:
        """The validator's root key."""
        return PubKey(self.message.pubkey)


DutyDefinition: TypeAlias = (
    AttesterDefinition
    | ProposerDefinition
    | SyncCommitteeDefinition
    | ExitDefinition
    | RegistrationDefinition
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionSet:
    """What the scheduler knows of one duty: a definition per validator, by public key."""

    duty: Duty
    definitions: tuple[DutyDefinition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncHead:
    """What the sync committee's members vote for in a slot. Not agreed: every node sees a head."""

    duty: Duty
    definitions: tuple[SyncCommitteeDefinition, ...]
    beacon_block_root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedAttestation:
    """Attestation data for one validator, with the definition it answers."""

    definition: AttesterDefinition
    data: AttestationData

    @property
    def pubkey(self) -> PubKey:
        """The validator's root key."""
        return self.definition.pubkey

    @property
    def sub_index(self) -> int:
        """0: one for each validator."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedProposal:
    """A full or blinded block for the slot's one proposer."""

    definition: ProposerDefinition
    proposal: Proposal

    @property
    def pubkey(self) -> PubKey:
        """The validator's root key."""
        return self.definition.pubkey

    @property
    def sub_index(self) -> int:
        """0: one for each validator."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedAggregate:
    """An aggregate of a committee's attestations, with the proof that the validator was drawn."""

    pubkey: PubKey
    message: AggregateAndProof

    @property
    def sub_index(self) -> int:
        """0: one for each validator."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedContribution:
    """An aggregate of a sync subcommittee's messages, with the validator's proof."""

    pubkey: PubKey
    message: ContributionAndProof

    @property
    def sub_index(self) -> int:
        """The subcommittee: a validator can aggregate for several."""
        return self.message.contribution.subcommittee_index


UnsignedData: TypeAlias = (
    UnsignedAttestation | UnsignedProposal | UnsignedAggregate | UnsignedContribution
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedDataSet:
    """What consensus decides: the data of one duty for every validator that has it."""

    duty: Duty
    items: tuple[UnsignedData, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialSignature:
    """One share's signature over ``payload`` for ``pubkey``.

    ``ordinate`` spares whoever reads the signature most of the work, if it is there
    and right (see ``crypto.points.read_signature``); it is no part of what is said or stored.
    """

    pubkey: PubKey
    share_index: ShareIndex
    payload: Payload
    signature: bytes
    ordinate: bytes = field(default=b"", compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.pubkey) != PUBLIC_KEY_SIZE_BYTES:
            raise InputInvalid("build partial", field="pubkey", got=len(self.pubkey))
        if len(self.signature) != SIGNATURE_SIZE_BYTES:
            raise InputInvalid("build partial", field="signature", got=len(self.signature))
        if self.share_index < 1:
            raise InputInvalid("build partial", field="share_index", got=self.share_index)

    @property
    def sub_index(self) -> int:
        """0 but for sync subcommittees, where one validator signs for several in one duty."""
        return self.payload.sub_index


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialSet:
    """Partial signatures of one share for one duty: one p2p message."""

    duty: Duty
    partials: tuple[PartialSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedPartials:
    """At least threshold partials of distinct shares over one payload of one validator."""

    pubkey: PubKey
    payload: Payload
    signatures: tuple[tuple[ShareIndex, bytes], ...]  # by share index

    @property
    def sub_index(self) -> int:
        """0 but for sync subcommittees, where one validator signs for several in one duty."""
        return self.payload.sub_index


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedSet:
    """All validators of a duty whose partials reached the threshold together."""

    duty: Duty
    matches: tuple[MatchedPartials, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """A payload with the group's verified signature."""

    pubkey: PubKey
    payload: Payload
    signature: bytes

    @property
    def sub_index(self) -> int:
        """0 but for sync subcommittees, where one validator signs for several in one duty."""
        return self.payload.sub_index


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDataSet:
    """Group signatures of one duty: one write to AggSigDB, one submission."""

    duty: Duty
    items: tuple[SignedData, ...]
