"""What aggregators sign: aggregates of attestations and of sync messages, with their proofs.

Their shapes depend on the preset (sizes of bit strings) and, for attestations, on the fork.

Source: consensus-specs phase0/validator.md (AggregateAndProof), electra/validator.md,
altair/validator.md (ContributionAndProof).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from tetrarch.ethereum.spec.attestations import Attestation, SlotAttestation
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.messages import check_signature
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.container import Container, Record

Aggregate: TypeAlias = Attestation | SlotAttestation  # before Electra, and from it on


def aggregate_from_ssz(fork: Fork, data: bytes, *, preset: str) -> Aggregate:
    """Decode an aggregate in the shape of ``fork``; raises InputInvalid."""
    if fork.at_least(Fork.ELECTRA):
        return SlotAttestation.from_ssz(data, preset=preset)
    return Attestation.from_ssz(data)


def _aggregate_of(fork: Fork, record: Record, preset: str) -> Aggregate:
    if fork.at_least(Fork.ELECTRA):
        return SlotAttestation.of_record(record, preset)
    return Attestation.of_record(record)


def aggregate_from_json(fork: Fork, value: object, *, preset: str) -> Aggregate:
    """Read the beacon API's object in the shape of ``fork``; raises InputInvalid."""
    if fork.at_least(Fork.ELECTRA):
        return SlotAttestation.from_json(value, preset=preset)
    return Attestation.from_json(value)


class _Coded(ABC):
    """Coded by a container that depends on the value's preset, and maybe its fork."""

    __slots__ = ()

    @abstractmethod
    def _container(self) -> Container: ...

    def to_ssz(self) -> bytes:
        """Its bytes."""
        return self._container().encode(self)

    def to_json(self) -> dict[str, Any]:
        """The beacon API's object."""
        return self._container().to_json(self)

    def hash_tree_root(self) -> bytes:
        """32 bytes."""
        return self._container().hash_tree_root(self)


class _OfFork(_Coded):
    """Its shape depends on the fork, too."""

    __slots__ = ()

    @staticmethod
    @abstractmethod
    def _kind(fork: Fork, preset: str) -> Container: ...

    @classmethod
    @abstractmethod
    def _of(cls, record: Record, fork: Fork, preset: str) -> Self: ...

    @classmethod
    def from_ssz(cls, fork: Fork, data: bytes, *, preset: str) -> Self:
        """Decode; raises InputInvalid that names the field."""
        return cls._of(cls._kind(fork, preset).decode(data), fork, preset)

    @classmethod
    def from_json(cls, fork: Fork, value: object, *, preset: str) -> Self:
        """Read the beacon API's object; raises InputInvalid that names the field."""
        return cls._of(cls._kind(fork, preset).from_json(value), fork, preset)


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateAndProof(_OfFork):
    """Validator ``aggregator_index`` vouches for ``aggregate``; its proof shows it was drawn."""

    fork: Fork
    preset: str
    aggregator_index: int
    aggregate: Aggregate
    selection_proof: bytes

    def __post_init__(self) -> None:
        check_signature(self.selection_proof)

    @property
    def slot(self) -> int:
        """The slot that is voted in."""
        return self.aggregate.data.slot

    def _container(self) -> Container:
        return self._kind(self.fork, self.preset)

    @staticmethod
    def _kind(fork: Fork, preset: str) -> Container:
        return spec_types(fork, preset).AggregateAndProof

    @classmethod
    def _of(cls, record: Record, fork: Fork, preset: str) -> Self:
        return cls(
            fork=fork,
            preset=preset,
            aggregator_index=record.aggregator_index,
            aggregate=_aggregate_of(fork, record.aggregate, preset),
            selection_proof=record.selection_proof,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAggregateAndProof(_OfFork):
    """``message`` with the aggregator's signature."""

    message: AggregateAndProof
    signature: bytes

    def __post_init__(self) -> None:
        check_signature(self.signature)

    def _container(self) -> Container:
        return self._kind(self.message.fork, self.message.preset)

    @staticmethod
    def _kind(fork: Fork, preset: str) -> Container:
        return spec_types(fork, preset).SignedAggregateAndProof

    @classmethod
    def _of(cls, record: Record, fork: Fork, preset: str) -> Self:
        message = AggregateAndProof._of(record.message, fork, preset)  # noqa: SLF001 - this file's class
        return cls(message=message, signature=record.signature)


class _OfPreset(_Coded):
    """Its shape is the same in every fork that has it."""

    __slots__ = ()

    @staticmethod
    @abstractmethod
    def _kind(preset: str) -> Container: ...

    @classmethod
    @abstractmethod
    def _of(cls, record: Record, preset: str) -> Self: ...

    @classmethod
    def from_ssz(cls, data: bytes, *, preset: str) -> Self:
        """Decode; raises InputInvalid that names the field."""
        return cls._of(cls._kind(preset).decode(data), preset)

    @classmethod
    def from_json(cls, value: object, *, preset: str) -> Self:
        """Read the beacon API's object; raises InputInvalid that names the field."""
        return cls._of(cls._kind(preset).from_json(value), preset)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCommitteeContribution(_OfPreset):
    """The votes of one sync subcommittee for one head, aggregated. 160 bytes (mainnet)."""

    preset: str
    slot: int
    beacon_block_root: bytes
    subcommittee_index: int
    aggregation_bits: Bits
    signature: bytes

    def __post_init__(self) -> None:
        check_signature(self.signature)
        self._container().fields["aggregation_bits"].coerce(self.aggregation_bits)

    def _container(self) -> Container:
        return self._kind(self.preset)

    @staticmethod
    def _kind(preset: str) -> Container:
        return spec_types(Fork.ALTAIR, preset).SyncCommitteeContribution

    @classmethod
    def _of(cls, record: Record, preset: str) -> Self:
        names = cls._kind(preset).fields
        return cls(preset=preset, **{name: getattr(record, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributionAndProof(_OfPreset):
    """Validator ``aggregator_index`` vouches for ``contribution``; its proof shows it was drawn."""

    aggregator_index: int
    contribution: SyncCommitteeContribution
    selection_proof: bytes

    def __post_init__(self) -> None:
        check_signature(self.selection_proof)

    @property
    def slot(self) -> int:
        """The slot that is voted in."""
        return self.contribution.slot

    def _container(self) -> Container:
        return self._kind(self.contribution.preset)

    @staticmethod
    def _kind(preset: str) -> Container:
        return spec_types(Fork.ALTAIR, preset).ContributionAndProof

    @classmethod
    def _of(cls, record: Record, preset: str) -> Self:
        return cls(
            aggregator_index=record.aggregator_index,
            contribution=SyncCommitteeContribution._of(record.contribution, preset),  # noqa: SLF001 - this file's class
            selection_proof=record.selection_proof,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedContributionAndProof(_OfPreset):
    """``message`` with the aggregator's signature."""

    message: ContributionAndProof
    signature: bytes

    def __post_init__(self) -> None:
        check_signature(self.signature)

    def _container(self) -> Container:
        return self._kind(self.message.contribution.preset)

    @staticmethod
    def _kind(preset: str) -> Container:
        return spec_types(Fork.ALTAIR, preset).SignedContributionAndProof

    @classmethod
    def _of(cls, record: Record, preset: str) -> Self:
        message = ContributionAndProof._of(record.message, preset)  # noqa: SLF001 - this file's class
        return cls(message=message, signature=record.signature)
