"""What a signature is over, without the signature: one class for each kind of message.

Small on purpose: a block travels as its header, its body is already durable in the DutyDB of
every node that may sign it. Each class says which duty it belongs to, when, and under which
domain it is signed; ``plausible`` asks nothing else.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from tetrarch.duties.duty import DutyType
from tetrarch.ethereum.spec.aggregates import AggregateAndProof, ContributionAndProof
from tetrarch.ethereum.spec.altair import SYNC_COMMITTEE_SUBNET_COUNT
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.messages import ValidatorRegistration, VoluntaryExit
from tetrarch.ethereum.spec.selection import sync_selection_root
from tetrarch.ethereum.spec.values import AttestationData, BeaconBlockHeader, Fork, uint64_root


class Signable(Protocol):
    """What all payloads have in common."""

    DUTY_TYPE: ClassVar[DutyType]
    DOMAIN_TYPE: ClassVar[DomainType]

    @property
    def sub_index(self) -> int:
        """The sync subcommittee, where one validator signs for several in one duty; else 0."""
        ...

    def message_root(self) -> bytes:
        """Hash tree root of what is signed, 32 bytes."""
        ...

    def signing_epoch(self, chain: ChainSpec) -> int:
        """The epoch whose fork the signature is made for."""
        ...

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """Whether it can belong to its duty in ``slot``."""
        ...


class _OneForEach:
    """A validator signs one of them in a duty."""

    __slots__ = ()

    @property
    def sub_index(self) -> int:
        """See ``Signable``."""
        return 0


class _HasSlot(Protocol):
    @property
    def slot(self) -> int: ...


class _SignedInSlot:
    """It names its slot, and is signed for that slot's epoch."""

    __slots__ = ()

    def signing_epoch(self: _HasSlot, chain: ChainSpec) -> int:
        """See ``Signable``."""
        return chain.epoch_of(self.slot)


class _OfItsSlot(_SignedInSlot):
    """Nothing but its slot ties it to a duty."""

    __slots__ = ()

    def is_of(self: _HasSlot, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        del chain
        return self.slot == slot


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationPayload(_OneForEach):
    """An attestation's signed content."""

    DUTY_TYPE = DutyType.ATTESTER
    DOMAIN_TYPE = DomainType.BEACON_ATTESTER

    data: AttestationData

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return self.data.hash_tree_root()

    def signing_epoch(self, chain: ChainSpec) -> int:
        """See ``Signable``."""
        del chain
        return self.data.target.epoch

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        return self.data.slot == slot and self.data.target.epoch == chain.epoch_of(slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalPayload(_SignedInSlot, _OneForEach):
    """A block's signed content: its header. ``blinded`` says which body belongs to it."""

    DUTY_TYPE = DutyType.PROPOSER
    DOMAIN_TYPE = DomainType.BEACON_PROPOSER

    fork: Fork
    blinded: bool
    header: BeaconBlockHeader

    @property
    def slot(self) -> int:
        """The slot it is for."""
        return self.header.slot

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return self.header.hash_tree_root()

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        return self.slot == slot and self.fork is chain.fork_at_slot(slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandaoPayload(_OneForEach):
    """A randao reveal's signed content: the epoch."""

    DUTY_TYPE = DutyType.RANDAO
    DOMAIN_TYPE = DomainType.RANDAO

    epoch: int

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return uint64_root(self.epoch)

    def signing_epoch(self, chain: ChainSpec) -> int:
        """See ``Signable``."""
        del chain
        return self.epoch

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        return self.epoch == chain.epoch_of(slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionPayload(_OfItsSlot, _OneForEach):
    """A beacon committee selection proof's signed content: the slot."""

    DUTY_TYPE = DutyType.PREPARE_AGGREGATOR
    DOMAIN_TYPE = DomainType.SELECTION_PROOF

    slot: int

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return uint64_root(self.slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatePayload(_SignedInSlot, _OneForEach):
    """An aggregate's signed content: the aggregate with its aggregator's proof."""

    DUTY_TYPE = DutyType.AGGREGATOR
    DOMAIN_TYPE = DomainType.AGGREGATE_AND_PROOF

    message: AggregateAndProof

    @property
    def slot(self) -> int:
        """The slot it is for."""
        return self.message.slot

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return self.message.hash_tree_root()

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        message = self.message
        fits = message.fork is chain.fork_at_slot(slot) and message.preset == chain.preset
        return self.slot == slot and fits


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncMessagePayload(_OfItsSlot, _OneForEach):
    """A sync message's signed content: the head's root. The slot decides the domain alone."""

    DUTY_TYPE = DutyType.SYNC_MESSAGE
    DOMAIN_TYPE = DomainType.SYNC_COMMITTEE

    slot: int
    beacon_block_root: bytes

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return self.beacon_block_root


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSelectionPayload(_SignedInSlot):
    """A sync subcommittee selection proof's signed content: the slot and the subcommittee."""

    DUTY_TYPE = DutyType.PREPARE_SYNC_CONTRIBUTION
    DOMAIN_TYPE = DomainType.SYNC_COMMITTEE_SELECTION_PROOF

    slot: int
    subcommittee_index: int

    @property
    def sub_index(self) -> int:
        """See ``Signable``."""
        return self.subcommittee_index

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return sync_selection_root(self.slot, self.subcommittee_index)

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        del chain
        return self.slot == slot and self.subcommittee_index < SYNC_COMMITTEE_SUBNET_COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributionPayload(_SignedInSlot):
    """A contribution's signed content: the contribution with its aggregator's proof."""

    DUTY_TYPE = DutyType.SYNC_CONTRIBUTION
    DOMAIN_TYPE = DomainType.CONTRIBUTION_AND_PROOF

    message: ContributionAndProof

    @property
    def slot(self) -> int:
        """The slot it is for."""
        return self.message.slot

    @property
    def sub_index(self) -> int:
        """See ``Signable``."""
        return self.message.contribution.subcommittee_index

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return self.message.hash_tree_root()

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        fits = self.message.contribution.preset == chain.preset
        return self.slot == slot and fits and self.sub_index < SYNC_COMMITTEE_SUBNET_COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPayload(_OneForEach):
    """An exit's signed content. Its duty stands in the first slot of the exit's epoch."""

    DUTY_TYPE = DutyType.EXIT
    DOMAIN_TYPE = DomainType.VOLUNTARY_EXIT

    message: VoluntaryExit

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return self.message.hash_tree_root()

    def signing_epoch(self, chain: ChainSpec) -> int:
        """See ``Signable``."""
        del chain
        return self.message.epoch

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        return slot == chain.first_slot(self.message.epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationPayload(_OneForEach):
    """A builder registration's signed content. Its timestamp lies in the duty's slot."""

    DUTY_TYPE = DutyType.BUILDER_REGISTRATION
    DOMAIN_TYPE = DomainType.APPLICATION_BUILDER

    message: ValidatorRegistration

    def message_root(self) -> bytes:
        """See ``Signable``."""
        return self.message.hash_tree_root()

    def signing_epoch(self, chain: ChainSpec) -> int:
        """See ``Signable``."""
        return max(chain.epoch_of(chain.slot_at(self.message.timestamp)), 0)

    def is_of(self, slot: int, chain: ChainSpec) -> bool:
        """See ``Signable``."""
        return slot == max(chain.slot_at(self.message.timestamp), 0)


Payload: TypeAlias = (
    AttestationPayload
    | ProposalPayload
    | RandaoPayload
    | SelectionPayload
    | AggregatePayload
    | SyncMessagePayload
    | SyncSelectionPayload
    | ContributionPayload
    | ExitPayload
    | RegistrationPayload
)
