"""Values that flow between the components of the workflow. Frozen, validated once, no I/O.

One value per edge: a *set* carries its duty and one item per validator, ordered by public key,
so that equal sets have equal bytes on every node.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NewType, TypeAlias

from tetrarch.errors import InputInvalid, TetrarchError
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, BeaconBlockHeader, Fork

PubKey = NewType("PubKey", bytes)  # 48 bytes: compressed G1, the validator's root (group) key
ShareIndex = NewType("ShareIndex", int)  # 1-based: x = 0 holds the secret, so it names no node
PeerIndex = NewType("PeerIndex", int)  # 0-based position of an operator in the cluster

PUBLIC_KEY_SIZE_BYTES = 48
SIGNATURE_SIZE_BYTES = 96


class DutyType(IntEnum):
    """The thirteen kinds of duty. The numbers are the seed's and go over the wire."""

    PROPOSER = 1
    ATTESTER = 2
    SIGNATURE = 3
    EXIT = 4
    BUILDER_PROPOSER = 5  # deprecated: see DeprecatedDutyBuilderProposer
    BUILDER_REGISTRATION = 6
    RANDAO = 7
    PREPARE_AGGREGATOR = 8
    AGGREGATOR = 9
    SYNC_MESSAGE = 10
    PREPARE_SYNC_CONTRIBUTION = 11
    SYNC_CONTRIBUTION = 12
    INFO_SYNC = 13


class DeprecatedDutyBuilderProposer(TetrarchError):
    """BUILDER_PROPOSER is deprecated: PROPOSER serves full and blinded blocks."""

    code = "deprecated_duty_builder_proposer"


@dataclass(frozen=True, slots=True, order=True)
class Duty:
    """One unit of work for the whole cluster; sorts by slot, then type, on every node."""

    slot: int
    type: DutyType

    def __str__(self) -> str:
        return f"{self.slot}/{self.type.name.lower()}"


def refuse_deprecated(duty: Duty) -> None:
    """Raise ``DeprecatedDutyBuilderProposer`` for the one deprecated type."""
    if duty.type is DutyType.BUILDER_PROPOSER:
        raise DeprecatedDutyBuilderProposer("handle duty", duty=duty)


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


DutyDefinition: TypeAlias = AttesterDefinition | ProposerDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionSet:
    """What the scheduler knows of one duty: a definition per validator, by public key."""

    duty: Duty
    definitions: tuple[DutyDefinition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedAttestation:
    """Attestation data for one validator, with the definition it answers."""

    definition: AttesterDefinition
    data: AttestationData

    @property
    def pubkey(self) -> PubKey:
        """The validator's root key."""
        return self.definition.pubkey


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedProposal:
    """A full or blinded block for the slot's one proposer."""

    definition: ProposerDefinition
    proposal: Proposal

    @property
    def pubkey(self) -> PubKey:
        """The validator's root key."""
        return self.definition.pubkey


UnsignedData: TypeAlias = UnsignedAttestation | UnsignedProposal


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedDataSet:
    """What consensus decides: the data of one duty for every validator that has it."""

    duty: Duty
    items: tuple[UnsignedData, ...]


# What a signature is over, without the signature. Small on purpose: a block travels as its
# header, its body is already durable in the DutyDB of every node that may sign it.


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationPayload:
    """An attestation's signed content."""

    data: AttestationData

    def message_root(self) -> bytes:
        """Hash tree root of what is signed, 32 bytes."""
        return self.data.hash_tree_root()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalPayload:
    """A block's signed content: its header. ``blinded`` says which body belongs to it."""

    fork: Fork
    blinded: bool
    header: BeaconBlockHeader

    def message_root(self) -> bytes:
        """Hash tree root of what is signed, 32 bytes."""
        return self.header.hash_tree_root()


@dataclass(frozen=True, slots=True, kw_only=True)
class RandaoPayload:
    """A randao reveal's signed content: the epoch."""

    epoch: int

    def message_root(self) -> bytes:
        """Hash tree root of what is signed, 32 bytes."""
        return self.epoch.to_bytes(32, "little")


Payload: TypeAlias = AttestationPayload | ProposalPayload | RandaoPayload


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialSignature:
    """One share's signature over ``payload`` for ``pubkey``.

    ``sub_index`` is 0 except for sync subcommittees, where one validator signs several objects
    in one duty. ``ordinate`` spares whoever reads the signature most of the work, if it is there
    and right (see ``crypto.points.read_signature``); it is no part of what is said or stored.
    """

    pubkey: PubKey
    share_index: ShareIndex
    sub_index: int = 0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialSet:
    """Partial signatures of one share for one duty: one p2p message."""

    duty: Duty
    partials: tuple[PartialSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedPartials:
    """At least threshold partials of distinct shares over one payload of one validator."""

    pubkey: PubKey
    sub_index: int
    payload: Payload
    signatures: tuple[tuple[ShareIndex, bytes], ...]  # by share index


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedSet:
    """All validators of a duty whose partials reached the threshold together."""

    duty: Duty
    matches: tuple[MatchedPartials, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """A payload with the group's verified signature."""

    pubkey: PubKey
    sub_index: int
    payload: Payload
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDataSet:
    """Group signatures of one duty: one write to AggSigDB, one submission."""

    duty: Duty
    items: tuple[SignedData, ...]
