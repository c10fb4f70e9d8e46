"""When a message entitles its receiver to act on it. Pure functions, no state.

Two quorums of the same size share more than f nodes, hence an honest one; every rule here rests
on that. The rules are exact: an honest node sends exactly these sets, so anything else
(other types, other rounds, a source twice, more than asked for) is refused.

Source: H. Moniz, "The Istanbul BFT Consensus Algorithm", 2020, algorithm 4 (JustifyPrePrepare,
JustifyRoundChange, HighestPrepared).
"""

from collections.abc import Iterable

from tetrarch.consensus.messages import (
    NO_VALUE,
    ROUND_FIRST,
    Envelope,
    Justification,
    Message,
    MessageType,
    ValueHash,
    leader,
    quorum,
)


def justified(envelope: Envelope, node_count: int) -> bool:
    """Whether ``envelope`` proves what its type must prove. Signatures are checked before."""
    message = envelope.message
    if any(part.message.duty != message.duty for part in envelope.justification):
        return False
    match message.type:
        case MessageType.PRE_PREPARE:
            return _pre_prepare_justified(message, envelope.justification, node_count)
        case MessageType.PREPARE:
            return _names_its_proposal(message, envelope.justification, node_count)
        case MessageType.COMMIT:
            return message.value_hash != NO_VALUE and not envelope.justification
        case MessageType.ROUND_CHANGE:
            return _round_change_justified(message, envelope.justification, node_count)
        case MessageType.DECIDED:
            return message.value_hash != NO_VALUE and _proves(
                envelope.justification,
                MessageType.COMMIT,
                message.round,
                message.value_hash,
                node_count,
            )


def _names_its_proposal(message: Message, parts: Justification, node_count: int) -> bool:
    """Whether it carries the leader's word for this very value: no vote without a proposal."""
    if message.value_hash == NO_VALUE or len(parts) != 1:
        return False
    proposal = parts[0].message
    return (
        proposal.type is MessageType.PRE_PREPARE
        and proposal.source == leader(message.duty, message.round, node_count)
        and (proposal.round, proposal.value_hash) == (message.round, message.value_hash)
    )


def _pre_prepare_justified(message: Message, parts: Justification, node_count: int) -> bool:
    leads = message.source == leader(message.duty, message.round, node_count)
    if not leads or message.value_hash == NO_VALUE:
        return False
    if message.round == ROUND_FIRST:
        return not parts
    return _round_change_quorum_allows(message, parts, node_count)


def _round_change_quorum_allows(message: Message, parts: Justification, node_count: int) -> bool:
    """Whether a quorum's ROUND-CHANGEs leave the leader free, or bind it to this very value."""
    changes = [part.message for part in parts if part.message.type is MessageType.ROUND_CHANGE]
    rest = tuple(part for part in parts if part.message.type is not MessageType.ROUND_CHANGE)
    if len(changes) < quorum(node_count) or not _sources_differ(changes):
        return False
    if any(change.round != message.round for change in changes):
        return False
    highest = max(change.prepared_round for change in changes)
    if highest == 0:  # nobody of the quorum prepared anything: any value will do
        return not rest and all(change.prepared_hash == NO_VALUE for change in changes)
    named = any(
        change.prepared_round == highest and change.prepared_hash == message.value_hash
        for change in changes
    )
    return (
        named
        and highest < message.round
        and _proves(rest, MessageType.PREPARE, highest, message.value_hash, node_count)
    )


def _round_change_justified(message: Message, parts: Justification, node_count: int) -> bool:
    if message.value_hash != NO_VALUE:
        return False
    if message.prepared_round == 0:
        return message.prepared_hash == NO_VALUE and not parts
    if message.prepared_hash == NO_VALUE or message.prepared_round >= message.round:
        return False
    return _proves(
        parts, MessageType.PREPARE, message.prepared_round, message.prepared_hash, node_count
    )


def _proves(
    parts: Justification, kind: MessageType, round_: int, value_hash: ValueHash, node_count: int
) -> bool:
    """Whether ``parts`` are a quorum of distinct nodes that say ``kind`` of exactly this."""
    return (
        len(parts) >= quorum(node_count)
        and all(
            part.message.type is kind
            and part.message.round == round_
            and part.message.value_hash == value_hash
            for part in parts
        )
        and _sources_differ(part.message for part in parts)
    )


def _sources_differ(messages: Iterable[Message]) -> bool:
    sources = [message.source for message in messages]
    return len(set(sources)) == len(sources)
