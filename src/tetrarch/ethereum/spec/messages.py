"""Small messages that validators sign once in a while, with their bytes, JSON and roots.

One class per message; each has a ``Signed...`` twin where the specification has one. They are
decoded and hashed through the general codec: they are few.

Source: consensus-specs phase0/beacon-chain.md (VoluntaryExit), altair/validator.md (sync
committees); builder-specs (ValidatorRegistrationV1).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.presets import MAINNET
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.container import Container, Record

SIGNATURE_SIZE_BYTES = 96


class _Message:
    """A value that is coded by one container, the same under every preset."""

    __slots__ = ()
    _container: ClassVar[Container]

    def to_ssz(self) -> bytes:
        """Its bytes."""
        return self._container.encode(self)

    def to_json(self) -> dict[str, Any]:
        """The beacon API's object."""
        return self._container.to_json(self)

    def hash_tree_root(self) -> bytes:
        """32 bytes."""
        return self._container.hash_tree_root(self)

    @classmethod
    def from_ssz(cls, data: bytes) -> Self:
        """Decode; raises InputInvalid that names the field."""
        return cls._of(cls._container.decode(data))

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read the beacon API's object; raises InputInvalid that names the field."""
        return cls._of(cls._container.from_json(value))

    @classmethod
    def _of(cls, record: Record) -> Self:
        return cls(**{name: getattr(record, name) for name in cls._container.fields})


@dataclass(frozen=True, slots=True, kw_only=True)
class VoluntaryExit(_Message):
    """Validator ``validator_index`` wants to leave from ``epoch`` on. It cannot be taken back."""

    _container = spec_types(Fork.PHASE0, MAINNET).VoluntaryExit

    epoch: int
    validator_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedVoluntaryExit(_Message):
    """An exit with the validator's signature."""

    _container = spec_types(Fork.PHASE0, MAINNET).SignedVoluntaryExit

    message: VoluntaryExit
    signature: bytes

    def __post_init__(self) -> None:
        check_signature(self.signature)

    @classmethod
    def _of(cls, record: Record) -> Self:
        return cls(message=VoluntaryExit._of(record.message), signature=record.signature)  # noqa: SLF001 - this file's class


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorRegistration(_Message):
    """Tells builders where the blocks of ``pubkey`` pay. ``timestamp`` is Unix seconds."""

    _container = spec_types(Fork.BELLATRIX, MAINNET).ValidatorRegistration

    fee_recipient: bytes  # 20 bytes
    gas_limit: int
    timestamp: int
    pubkey: bytes  # 48 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedValidatorRegistration(_Message):
    """A registration with the validator's signature."""

    _container = spec_types(Fork.BELLATRIX, MAINNET).SignedValidatorRegistration

    message: ValidatorRegistration
    signature: bytes

    def __post_init__(self) -> None:
        check_signature(self.signature)

    @classmethod
    def _of(cls, record: Record) -> Self:
        return cls(message=ValidatorRegistration._of(record.message), signature=record.signature)  # noqa: SLF001


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCommitteeMessage(_Message):
    """A sync committee member's vote for the head. What is signed is ``beacon_block_root``."""

    _container = spec_types(Fork.ALTAIR, MAINNET).SyncCommitteeMessage

    slot: int
    beacon_block_root: bytes
    validator_index: int
    signature: bytes

    def __post_init__(self) -> None:
        check_signature(self.signature)


def check_signature(signature: bytes) -> None:
    """Raise InputInvalid unless it is 96 bytes."""
    if len(signature) != SIGNATURE_SIZE_BYTES:
        raise InputInvalid("build message", field="signature", got=len(signature))
