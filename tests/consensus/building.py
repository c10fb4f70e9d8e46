"""Short ways to write messages down. Leaders of DUTY with four nodes: 3, 0, 1, 2, 3 ..."""

from tetrarch.consensus.codec import hash_value
from tetrarch.consensus.events import Effect, Received
from tetrarch.consensus.messages import (
    NO_VALUE,
    Envelope,
    Justification,
    Message,
    MessageType,
    SignedMessage,
    ValueHash,
    leader,
)
from tetrarch.duties.types import Duty, DutyType

DUTY = Duty(0, DutyType.ATTESTER)
A, B, C = (hash_value(text) for text in (b"a", b"b", b"c"))
PRE_PREPARE, PREPARE, COMMIT, ROUND_CHANGE, DECIDED = MessageType


def signed(
    kind: MessageType,
    source: int,
    round_: int,
    value: ValueHash = NO_VALUE,
    *,
    prepared: tuple[int, ValueHash] = (0, NO_VALUE),
    duty: Duty = DUTY,
) -> SignedMessage:
    return SignedMessage(Message(kind, duty, source, round_, value, *prepared), b"s" * 65)


def proposal(round_: int, value: ValueHash, *, duty: Duty = DUTY) -> Justification:
    """What a PREPARE carries: the leader's word, of a cluster of four."""
    return (signed(PRE_PREPARE, leader(duty, round_, 4), round_, value, duty=duty),)


def heard(
    kind: MessageType,
    source: int,
    round_: int,
    value: ValueHash = NO_VALUE,
    *,
    prepared: tuple[int, ValueHash] = (0, NO_VALUE),
    proof: Justification = (),
    duty: Duty = DUTY,
) -> Received:
    if kind is PREPARE and not proof:
        proof = proposal(round_, value, duty=duty)
    return Received(
        Envelope(signed(kind, source, round_, value, prepared=prepared, duty=duty), proof)
    )


def votes(kind: MessageType, sources: str, round_: int, value: ValueHash) -> Justification:
    """One vote of each source named in ``sources``: ``"012"``."""
    return tuple(signed(kind, int(source), round_, value) for source in sources)


def changes(sources: str, round_: int) -> Justification:
    """ROUND-CHANGEs of nodes that have prepared nothing."""
    return tuple(signed(ROUND_CHANGE, int(source), round_) for source in sources)


def kinds(effects: list[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]
