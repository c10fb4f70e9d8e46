"""What the nodes of a cluster say to each other in one QBFT instance. Pure, frozen values.

The machine knows a value by its 32-byte hash only: bytes of values travel beside these
messages, and how a message is laid out, hashed and signed stands in ``consensus.codec``.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType, TypeAlias

from tetrarch.duties.types import Duty
from tetrarch.errors import InputInvalid

ValueHash = NewType("ValueHash", bytes)  # 32 bytes; all zero means "no value"

HASH_SIZE_BYTES = 32
SIGNATURE_SIZE_BYTES = 65  # recoverable secp256k1: R, S, V
NO_VALUE = ValueHash(bytes(HASH_SIZE_BYTES))
ROUND_FIRST = 1
ROUNDS_MAX = 1_000  # with growing timers no duty lives this long; bounds what a liar may name


class MessageType(IntEnum):
    """The five kinds of message. The numbers go over the wire and are the reference's."""

    PRE_PREPARE = 1
    PREPARE = 2
    COMMIT = 3
    ROUND_CHANGE = 4
    DECIDED = 5


@dataclass(frozen=True, slots=True)
class Message:
    """One statement of one node. ``prepared_*`` are set in a ROUND_CHANGE only."""

    type: MessageType
    duty: Duty
    source: int  # 0-based index of the node that says and signs it
    round: int
    value_hash: ValueHash = NO_VALUE
    prepared_round: int = 0  # 0: nothing prepared yet
    prepared_hash: ValueHash = NO_VALUE

    def __post_init__(self) -> None:
        if not ROUND_FIRST <= self.round <= ROUNDS_MAX:
            raise InputInvalid("build message", field="round", got=self.round)
        if not 0 <= self.prepared_round <= ROUNDS_MAX:
            raise InputInvalid("build message", field="prepared_round", got=self.prepared_round)
        if len(self.value_hash) != HASH_SIZE_BYTES or len(self.prepared_hash) != HASH_SIZE_BYTES:
            raise InputInvalid("build message", field="value_hash", expected_bytes=HASH_SIZE_BYTES)


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message with its source's signature, verified before the machine sees it."""

    message: Message
    signature: bytes


Justification: TypeAlias = tuple[SignedMessage, ...]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed message with the signed messages of others that entitle its source to send it."""

    signed: SignedMessage
    justification: Justification = ()

    @property
    def message(self) -> Message:
        """The statement itself."""
        return self.signed.message


def quorum(node_count: int) -> int:
    """How many nodes must say the same thing: ceil(2n / 3)."""
    return -(-2 * node_count // 3)


def faulty_max(node_count: int) -> int:
    """How many nodes may lie without harm: floor((n - 1) / 3)."""
    return (node_count - 1) // 3


def leader(duty: Duty, round_: int, node_count: int) -> int:
    """0-based index of the node that proposes in ``round_``: (slot + type + round) mod n."""
    return (duty.slot + int(duty.type) + round_) % node_count
