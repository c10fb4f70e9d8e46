"""Signed attestations as they are submitted and aggregated, in all shapes of the forks.

* ``Attestation``        before Electra: submitted with one bit set, aggregated with many.
* ``SingleAttestation``  Electra on: what one validator submits; names itself, has no bits.
* ``SlotAttestation``    Electra on: an aggregate over some committees of a slot.

Source: consensus-specs phase0/beacon-chain.md, electra/beacon-chain.md, electra/validator.md.
"""

from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.presets import MAINNET
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.container import Container, Record
from tetrarch.ssz.sequence import List

SIGNATURE_SIZE_BYTES = 96
SUBMISSIONS_MAX = 2**17  # every attester of a full slot: 64 committees of 2048

# These two are equal in both presets; a slot attestation is not: it names its preset.
_ATTESTATION = spec_types(Fork.PHASE0, MAINNET).Attestation
_SINGLE_ATTESTATION = spec_types(Fork.ELECTRA, MAINNET).SingleAttestation


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """Votes of one committee for ``data``, before Electra; bit i is the committee's i-th member."""

    aggregation_bits: Bits
    data: AttestationData
    signature: bytes

    def __post_init__(self) -> None:
        _check_signature(self.signature)
        _ATTESTATION.fields["aggregation_bits"].coerce(self.aggregation_bits)

    @property
    def committee_index(self) -> int:
        """The committee whose members the bits are."""
        return self.data.index

    @property
    def validator_committee_index(self) -> int:
        """Position of the only voter in its committee; raises InputInvalid if not exactly one."""
        return only_bit(self.aggregation_bits, what="aggregation_bits")

    def to_ssz(self) -> bytes:
        """228 bytes and the bits."""
        return _ATTESTATION.encode(self)

    def to_json(self) -> dict[str, Any]:
        """The beacon API's object."""
        return _ATTESTATION.to_json(self)

    @classmethod
    def from_ssz(cls, data: bytes) -> Self:
        """Decode; raises InputInvalid that names the field."""
        return cls.of_record(_ATTESTATION.decode(data))

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read the beacon API's object; raises InputInvalid that names the field."""
        return cls.of_record(_ATTESTATION.from_json(value))

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """The value of a decoded record."""
        return cls(
            aggregation_bits=record.aggregation_bits,
            data=attestation_data(record.data),
            signature=record.signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleAttestation:
    """One validator's vote, from Electra on."""

    committee_index: int
    attester_index: int  # the validator's index in the registry
    data: AttestationData
    signature: bytes

    def __post_init__(self) -> None:
        _check_signature(self.signature)

    def to_ssz(self) -> bytes:
        """240 bytes."""
        return _SINGLE_ATTESTATION.encode(self)

    def to_json(self) -> dict[str, Any]:
        """The beacon API's object."""
        return _SINGLE_ATTESTATION.to_json(self)

    @classmethod
    def from_ssz(cls, data: bytes) -> Self:
        """Decode 240 bytes; raises InputInvalid."""
        return cls.of_record(_SINGLE_ATTESTATION.decode(data))

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read the beacon API's object; raises InputInvalid that names the field."""
        return cls.of_record(_SINGLE_ATTESTATION.from_json(value))

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """The value of a decoded record."""
        return cls(
            committee_index=record.committee_index,
            attester_index=record.attester_index,
            data=attestation_data(record.data),
            signature=record.signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotAttestation:
    """Votes of some committees of one slot, from Electra on (the spec's name is Attestation).

    ``aggregation_bits`` are those of the committees in ``committee_bits``, one after another.
    """

    preset: str  # decides how many committees a slot can have
    aggregation_bits: Bits
    data: AttestationData
    signature: bytes
    committee_bits: Bits

    def __post_init__(self) -> None:
        _check_signature(self.signature)
        for name in ("aggregation_bits", "committee_bits"):
            self._type(self.preset).fields[name].coerce(getattr(self, name))

    @property
    def committee_index(self) -> int:
        """The only committee that takes part; raises InputInvalid if not exactly one."""
        return only_bit(self.committee_bits, what="committee_bits")

    @property
    def validator_committee_index(self) -> int:
        """Position of the only voter in the only committee; raises InputInvalid otherwise."""
        _ = self.committee_index
        return only_bit(self.aggregation_bits, what="aggregation_bits")

    def to_ssz(self) -> bytes:
        """236 bytes (mainnet) and the bits."""
        return self._type(self.preset).encode(self)

    def to_json(self) -> dict[str, Any]:
        """The beacon API's object."""
        return self._type(self.preset).to_json(self)

    @classmethod
    def from_ssz(cls, data: bytes, *, preset: str) -> Self:
        """Decode; raises InputInvalid that names the field."""
        return cls.of_record(cls._type(preset).decode(data), preset)

    @classmethod
    def from_json(cls, value: object, *, preset: str) -> Self:
        """Read the beacon API's object; raises InputInvalid that names the field."""
        return cls.of_record(cls._type(preset).from_json(value), preset)

    @staticmethod
    def _type(preset: str) -> Container:
        return spec_types(Fork.ELECTRA, preset).Attestation

    @classmethod
    def of_record(cls, record: Record, preset: str) -> Self:
        """The value of a decoded record."""
        return cls(
            preset=preset,
            aggregation_bits=record.aggregation_bits,
            data=attestation_data(record.data),
            signature=record.signature,
            committee_bits=record.committee_bits,
        )


SubmittedAttestation: TypeAlias = Attestation | SingleAttestation


def build_attestation(
    data: AttestationData,
    *,
    committee_length: int,
    validator_committee_index: int,
    signature: bytes,
) -> Attestation:
    """What one validator submits before Electra: its own bit set among ``committee_length``.

    Raises:
        InputInvalid: the position is not in the committee, or the signature is not 96 bytes.
    """
    if not 0 <= validator_committee_index < committee_length:
        raise InputInvalid(
            "build attestation", position=validator_committee_index, committee=committee_length
        )
    bits = Bits.single(validator_committee_index, committee_length)
    return Attestation(aggregation_bits=bits, data=data, signature=signature)


def submissions_from_json(fork: Fork, value: object) -> tuple[SubmittedAttestation, ...]:
    """Read the array that a validator client submits under ``fork``; raises InputInvalid."""
    kind, build = _submitted(fork)
    return tuple(build(record) for record in List(kind, SUBMISSIONS_MAX).from_json(value))


def submissions_from_ssz(fork: Fork, data: bytes) -> tuple[SubmittedAttestation, ...]:
    """Decode the SSZ list that a validator client submits; raises InputInvalid."""
    kind, build = _submitted(fork)
    return tuple(build(record) for record in List(kind, SUBMISSIONS_MAX).decode(data))


def submissions_to_json(attestations: tuple[SubmittedAttestation, ...]) -> list[dict[str, Any]]:
    """The array to submit."""
    return [attestation.to_json() for attestation in attestations]


def submissions_to_ssz(fork: Fork, attestations: tuple[SubmittedAttestation, ...]) -> bytes:
    """The SSZ list to submit; all of them in the shape of ``fork``."""
    kind, _ = _submitted(fork)
    return List(kind, SUBMISSIONS_MAX).encode(attestations)


def only_bit(bits: Bits, *, what: str) -> int:
    """Position of the single set bit.

    Raises:
        InputInvalid: none or several are set; names ``what``.
    """
    if bits.count() != 1:
        raise InputInvalid("find the only bit", field=what, set_bits=bits.count())
    return bits.indices()[0]


def attestation_data(record: Record) -> AttestationData:
    """The hand-written value of a decoded AttestationData record."""
    return AttestationData(
        slot=record.slot,
        index=record.index,
        beacon_block_root=record.beacon_block_root,
        source=Checkpoint(epoch=record.source.epoch, root=record.source.root),
        target=Checkpoint(epoch=record.target.epoch, root=record.target.root),
    )


def _submitted(fork: Fork) -> tuple[Container, Any]:
    if fork.at_least(Fork.ELECTRA):
        return _SINGLE_ATTESTATION, SingleAttestation.of_record
    return _ATTESTATION, Attestation.of_record


def _check_signature(signature: bytes) -> None:
    if len(signature) != SIGNATURE_SIZE_BYTES:
        raise InputInvalid("build attestation", field="signature", got=len(signature))
