"""The unit of work, and who it is for. Frozen, validated once, no I/O."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from tetrarch.errors import InputInvalid, TetrarchError

PubKey = NewType("PubKey", bytes)  # 48 bytes: compressed G1, the validator's root (group) key
ShareIndex = NewType("ShareIndex", int)  # 1-based: x = 0 holds the secret, so it names no node
PeerIndex = NewType("PeerIndex", int)  # 0-based position of an operator in the cluster

PUBLIC_KEY_SIZE_BYTES = 48
SIGNATURE_SIZE_BYTES = 96
SLOTS_MAX = 2**63  # what a database integer holds


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


def duty_from(slot: int, number: int) -> Duty:
    """The duty of wire integers; raises InputInvalid for an unknown type."""
    try:
        return Duty(slot, DutyType(number))
    except ValueError:
        raise InputInvalid("decode duty", field="type", got=number) from None
