"""Bytes of what consensus decides, and DutyDB stores: unsigned data sets.

They are hashed, so they have an explicit layout, given below. Decoding is the one place where
such bytes become values: anything but a well-formed set in canonical order is ``ValueInvalid``.

    unsigned data set    u8 version=1 | u64 slot | u8 type | u16 count | body
    attester body        u16 data_count | data_count * 128 B AttestationData
                         | count * (48 B pubkey | 5 * u64 | u16 data_number)
                         the u64: validator index, committee index, committee length,
                         committees at slot, position in the committee
    proposer body        48 B pubkey | u64 validator index | u8 fork | u8 blinded | block's SSZ
    aggregator body      u8 fork | u16 part_count | part_count * (u32 size | part's SSZ)
                         | count * (48 B pubkey | u64 aggregator index | 96 B selection proof
                         | u16 part_number); a part is an aggregated attestation
    contribution body    the same with fork 0; a part is a SyncCommitteeContribution

All integers little-endian. Items stand in the order of their public keys and subcommittees,
attestation data and parts in the order of first use, so equal sets have equal bytes.
"""

import struct
from typing import Any

from tetrarch.duties.duty import SLOTS_MAX, duty_from
from tetrarch.duties.types import (
    AttesterDefinition,
    Duty,
    DutyType,
    ProposerDefinition,
    PubKey,
    UnsignedAggregate,
    UnsignedAttestation,
    UnsignedContribution,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.errors import InputInvalid, invariant
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    AggregateAndProof,
    ContributionAndProof,
    SyncCommitteeContribution,
    aggregate_from_ssz,
)
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, Fork

VALUE_VERSION = 1
_HEAD = struct.Struct("<BQBH")
_COUNT = struct.Struct("<H")
_ATTESTER_ITEM = struct.Struct("<48sQQQQQH")
_PROPOSER_HEAD = struct.Struct("<48sQBB")
_PARTS_HEAD = struct.Struct("<BH")
_PART_SIZE = struct.Struct("<I")
_PROOF_ITEM = struct.Struct("<48sQ96sH")
_FORKS = tuple(Fork)


class ValueInvalid(InputInvalid):
    """A peer's value is not a well-formed unsigned data set."""

    code = "value_invalid"


def encode_unsigned(data_set: UnsignedDataSet) -> bytes:
    """The bytes that consensus decides on. Cost: 60 us for 100 attesters."""
    duty, items = data_set.duty, data_set.items
    head = _HEAD.pack(VALUE_VERSION, duty.slot, int(duty.type), len(items))
    if duty.type is DutyType.PROPOSER:
        invariant(len(items) == 1, "a slot has one proposer")
        item = items[0]
        invariant(isinstance(item, UnsignedProposal), "proposer data is a proposal")
        return head + _encode_proposal(item)  # type: ignore[arg-type]  # narrowed by the invariant
    if duty.type is DutyType.ATTESTER:
        return head + _encode_attestations(items)
    return head + _encode_proofs(duty, items)


def _encode_attestations(items: tuple[Any, ...]) -> bytes:
    numbers: dict[AttestationData, int] = {}
    rows = []
    for item in items:
        invariant(isinstance(item, UnsignedAttestation), "attester data is an attestation")
        d = item.definition
        number = numbers.setdefault(item.data, len(numbers))
        rows.append(
            _ATTESTER_ITEM.pack(
                d.pubkey,
                d.validator_index,
                d.committee_index,
                d.committee_length,
                d.committees_at_slot,
                d.validator_committee_index,
                number,
            )
        )
    datas = b"".join(data.to_ssz() for data in numbers)
    return _COUNT.pack(len(numbers)) + datas + b"".join(rows)


def _encode_proposal(item: UnsignedProposal) -> bytes:
    proposal, definition = item.proposal, item.definition
    head = _PROPOSER_HEAD.pack(
        definition.pubkey, definition.validator_index, proposal.fork.order, proposal.blinded
    )
    return head + proposal.ssz


def _encode_proofs(duty: Duty, items: tuple[Any, ...]) -> bytes:
    kind = UnsignedAggregate if duty.type is DutyType.AGGREGATOR else UnsignedContribution
    numbers: dict[Aggregate | SyncCommitteeContribution, int] = {}
    rows = []
    fork = 0
    for item in items:
        invariant(isinstance(item, kind), "the items are of the duty's kind")
        message = item.message
        if isinstance(message, AggregateAndProof):
            part, fork = message.aggregate, message.fork.order
        else:
            part = message.contribution
        number = numbers.setdefault(part, len(numbers))
        proof = message.selection_proof
        rows.append(_PROOF_ITEM.pack(item.pubkey, message.aggregator_index, proof, number))
    parts = [part.to_ssz() for part in numbers]
    sized = b"".join(_PART_SIZE.pack(len(part)) + part for part in parts)
    return _PARTS_HEAD.pack(fork, len(parts)) + sized + b"".join(rows)


def decode_unsigned(data: bytes, *, preset: str) -> UnsignedDataSet:
    """Read what consensus carries; the inverse of ``encode_unsigned``.

    Raises:
        ValueInvalid: the bytes are not exactly one well-formed set in canonical order.
    """
    try:
        return _decode_unsigned(data, preset)
    except struct.error:
        raise ValueInvalid("decode value", reason="too short") from None
    except ValueInvalid:
        raise
    except InputInvalid as error:
        raise ValueInvalid("decode value", reason=error) from error


def _decode_unsigned(data: bytes, preset: str) -> UnsignedDataSet:
    version, slot, number, count = _HEAD.unpack_from(data)
    if version != VALUE_VERSION or slot >= SLOTS_MAX:
        raise ValueInvalid("decode value", field="head")
    duty = duty_from(slot, number)
    body = data[_HEAD.size :]
    if duty.type is DutyType.PROPOSER:
        items: tuple[Any, ...] = (_decode_proposal(duty, count, body, preset),)
    elif duty.type is DutyType.ATTESTER:
        items = _decode_attestations(duty, count, body)
    elif duty.type is DutyType.AGGREGATOR:
        items = _decode_aggregates(count, body, preset)
    elif duty.type is DutyType.SYNC_CONTRIBUTION:
        items = _decode_contributions(count, body, preset)
    else:
        raise ValueInvalid("decode value", field="type", got=duty.type.name)
    return UnsignedDataSet(duty=duty, items=items)


def _decode_proposal(duty: Duty, count: int, body: bytes, preset: str) -> UnsignedProposal:
    pubkey, validator_index, fork_number, blinded = _PROPOSER_HEAD.unpack_from(body)
    if count != 1 or fork_number >= len(_FORKS) or blinded > 1:
        raise ValueInvalid("decode value", field="proposal")
    proposal = Proposal.from_ssz(
        _FORKS[fork_number], bool(blinded), body[_PROPOSER_HEAD.size :], preset=preset
    )
    definition = ProposerDefinition(
        pubkey=PubKey(pubkey), slot=duty.slot, validator_index=validator_index
    )
    return UnsignedProposal(definition=definition, proposal=proposal)


def _decode_attestations(duty: Duty, count: int, body: bytes) -> tuple[UnsignedAttestation, ...]:
    (data_count,) = _COUNT.unpack_from(body)
    rows_at = _COUNT.size + 128 * data_count
    if count < 1 or len(body) != rows_at + count * _ATTESTER_ITEM.size:
        raise ValueInvalid("decode value", field="length")
    starts = range(_COUNT.size, rows_at, 128)
    datas = tuple(AttestationData.from_ssz(body[at : at + 128]) for at in starts)
    items = []
    last_key, next_number = b"", 0
    for row in _ATTESTER_ITEM.iter_unpack(body[rows_at:]):
        pubkey, validator, committee, length, committees, position, number = row
        # Canonical form only: sorted, no repeats, data numbered by first use, none unused.
        if pubkey <= last_key or number > next_number or number >= data_count:
            raise ValueInvalid("decode value", field="order")
        last_key, next_number = pubkey, max(next_number, number + 1)
        definition = AttesterDefinition(
            pubkey=PubKey(pubkey),
            slot=duty.slot,
            validator_index=validator,
            committee_index=committee,
            committee_length=length,
            committees_at_slot=committees,
            validator_committee_index=position,
        )
        items.append(UnsignedAttestation(definition=definition, data=datas[number]))
    if next_number != data_count or len(set(datas)) != data_count:
        raise ValueInvalid("decode value", field="attestation data")
    return tuple(items)


def _decode_aggregates(count: int, body: bytes, preset: str) -> tuple[UnsignedAggregate, ...]:
    fork_number, parts, rows = _split_parts(count, body)
    if fork_number >= len(_FORKS):
        raise ValueInvalid("decode value", field="fork")
    fork = _FORKS[fork_number]
    aggregates = [aggregate_from_ssz(fork, part, preset=preset) for part in parts]
    items = tuple(
        UnsignedAggregate(
            pubkey=PubKey(pubkey),
            message=AggregateAndProof(
                fork=fork,
                preset=preset,
                aggregator_index=index,
                aggregate=aggregates[number],
                selection_proof=proof,
            ),
        )
        for pubkey, index, proof, number in rows
    )
    _require_order(items)
    return items


def _decode_contributions(count: int, body: bytes, preset: str) -> tuple[UnsignedContribution, ...]:
    fork_number, parts, rows = _split_parts(count, body)
    if fork_number != 0:
        raise ValueInvalid("decode value", field="fork")
    contributions = [SyncCommitteeContribution.from_ssz(part, preset=preset) for part in parts]
    items = tuple(
        UnsignedContribution(
            pubkey=PubKey(pubkey),
            message=ContributionAndProof(
                aggregator_index=index,
                contribution=contributions[number],
                selection_proof=proof,
            ),
        )
        for pubkey, index, proof, number in rows
    )
    _require_order(items)
    return items


def _split_parts(
    count: int, body: bytes
) -> tuple[int, list[bytes], list[tuple[bytes, int, bytes, int]]]:
    """The fork's number, the distinct parts, and the rows with part numbers in canonical order."""
    fork_number, part_count = _PARTS_HEAD.unpack_from(body)
    at, parts = _PARTS_HEAD.size, []
    for _ in range(part_count):
        (size,) = _PART_SIZE.unpack_from(body, at)
        at += _PART_SIZE.size
        parts.append(body[at : at + size])
        at += size
    if count < 1 or len(body) != at + count * _PROOF_ITEM.size or len(set(parts)) != part_count:
        raise ValueInvalid("decode value", field="length")
    rows = list(_PROOF_ITEM.iter_unpack(body[at:]))
    next_number = 0
    for *_, number in rows:
        if number > next_number or number >= part_count:
            raise ValueInvalid("decode value", field="order")
        next_number = max(next_number, number + 1)
    if next_number != part_count:
        raise ValueInvalid("decode value", field="part")
    return fork_number, parts, rows


def _require_order(items: tuple[UnsignedAggregate | UnsignedContribution, ...]) -> None:
    keys = [(item.pubkey, item.sub_index) for item in items]
    if keys != sorted(set(keys)):
        raise ValueInvalid("decode value", field="order")
