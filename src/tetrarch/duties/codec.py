"""Bytes of the workflow's values: what consensus decides, what peers exchange, what is stored.

What is hashed (an unsigned data set) has an explicit layout, given in the table below; what is
only carried or stored is msgpack. Decoding is the one place where such bytes become values:
everything else than a well-formed value is ``InputInvalid``.

    unsigned data set    u8 version=1 | u64 slot | u8 type | u16 count | body
    attester body        u16 data_count | data_count * 128 B AttestationData
                         | count * (48 B pubkey | 5 * u64 | u16 data_number)
                         the u64: validator index, committee index, committee length,
                         committees at slot, position in the committee
    proposer body        48 B pubkey | u64 validator index | u8 fork | u8 blinded | block's SSZ

All integers little-endian. Items stand in the order of their public keys, attestation data in
the order of first use, so equal sets have equal bytes.
"""

import struct
from typing import Annotated, Any

import msgspec

from tetrarch.crypto.points import ORDINATE_SIZE_BYTES
from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    Duty,
    DutyType,
    PartialSet,
    PartialSignature,
    Payload,
    ProposalPayload,
    ProposerDefinition,
    PubKey,
    RandaoPayload,
    ShareIndex,
    UnsignedAttestation,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.errors import InputInvalid, invariant
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, BeaconBlockHeader, Fork

VALUE_VERSION = 1
ITEMS_MAX = 65_535
SLOTS_MAX = 2**63  # what a database integer holds
_HEAD = struct.Struct("<BQBH")
_COUNT = struct.Struct("<H")
_ATTESTER_ITEM = struct.Struct("<48sQQQQQH")
_PROPOSER_HEAD = struct.Struct("<48sQBB")
_FORKS = tuple(Fork)


class ValueInvalid(InputInvalid):
    """A peer's value is not a well-formed unsigned data set."""

    code = "value_invalid"


class PartialsInvalid(InputInvalid):
    """A peer's partial signatures are not well formed."""

    code = "partials_invalid"


def duty_from(slot: int, number: int) -> Duty:
    """The duty of wire integers; raises InputInvalid for an unknown type."""
    try:
        return Duty(slot, DutyType(number))
    except ValueError:
        raise InputInvalid("decode duty", field="type", got=number) from None


# --- unsigned data sets: hashed, so laid out byte by byte ------------------------------------


def encode_unsigned(data_set: UnsignedDataSet) -> bytes:
    """The bytes that consensus decides on. Cost: 60 us for 100 attesters."""
    duty, items = data_set.duty, data_set.items
    head = _HEAD.pack(VALUE_VERSION, duty.slot, int(duty.type), len(items))
    if duty.type is DutyType.PROPOSER:
        invariant(len(items) == 1, "a slot has one proposer")
        item = items[0]
        invariant(isinstance(item, UnsignedProposal), "proposer data is a proposal")
        return head + _encode_proposal(item)  # type: ignore[arg-type]  # narrowed by the invariant
    return head + _encode_attestations(items)


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


# --- payloads: stored beside a signature -------------------------------------------------------

_ATTESTATION, _PROPOSAL, _RANDAO = 1, 2, 3


def encode_payload(payload: Payload) -> bytes:
    """One tag byte, then the fixed-size content."""
    match payload:
        case AttestationPayload(data=data):
            return bytes([_ATTESTATION]) + data.to_ssz()
        case ProposalPayload(fork=fork, blinded=blinded, header=header):
            return bytes([_PROPOSAL, fork.order, blinded]) + header.to_ssz()
        case RandaoPayload(epoch=epoch):
            return bytes([_RANDAO]) + epoch.to_bytes(8, "little")


def decode_payload(data: bytes) -> Payload:
    """The inverse of ``encode_payload``; raises PartialsInvalid."""
    try:
        match data[:1]:
            case b"\x01":
                return AttestationPayload(data=AttestationData.from_ssz(data[1:]))
            case b"\x02" if len(data) == 115 and data[1] < len(_FORKS) and data[2] <= 1:
                header = BeaconBlockHeader.from_ssz(data[3:])
                return ProposalPayload(fork=_FORKS[data[1]], blinded=bool(data[2]), header=header)
            case b"\x03" if len(data) == 9:
                return RandaoPayload(epoch=int.from_bytes(data[1:], "little"))
    except InputInvalid as error:
        raise PartialsInvalid("decode payload", reason=error) from error
    raise PartialsInvalid("decode payload", size_bytes=len(data))


# --- partial signatures between peers ----------------------------------------------------------


class _PartialRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    pubkey: bytes
    sub_index: int
    payload_number: int
    signature: bytes
    ordinate: Annotated[bytes, msgspec.Meta(max_length=ORDINATE_SIZE_BYTES)]  # or empty


class _PartialsMessage(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    slot: int
    type: int
    answer: bool  # sent because the receiver seemed to lack it: never answered itself
    payloads: list[bytes]
    rows: list[_PartialRow]


_partials_decoder = msgspec.msgpack.Decoder(_PartialsMessage)


def encode_partials(partial_set: PartialSet, *, answer: bool) -> bytes:
    """One p2p message. Equal payloads travel once: 31 attesters of a slot share one."""
    numbers: dict[Payload, int] = {}
    rows = [
        _PartialRow(
            p.pubkey,
            p.sub_index,
            numbers.setdefault(p.payload, len(numbers)),
            p.signature,
            p.ordinate,
        )
        for p in partial_set.partials
    ]
    duty = partial_set.duty
    payloads = [encode_payload(payload) for payload in numbers]
    return msgspec.msgpack.encode(
        _PartialsMessage(duty.slot, int(duty.type), answer, payloads, rows)
    )


def decode_partials(data: bytes, *, share_index: ShareIndex) -> tuple[PartialSet, bool]:
    """Read a peer's message; ``share_index`` is the sender's, whatever the bytes may claim.

    Returns: the partials, and whether they are an answer (which is not answered again).

    Raises:
        PartialsInvalid: not a well-formed message.
    """
    try:
        message = _partials_decoder.decode(data)
        duty = duty_from(message.slot, message.type)
        payloads = [decode_payload(payload) for payload in message.payloads]
        partials = tuple(
            PartialSignature(
                pubkey=PubKey(row.pubkey),
                share_index=share_index,
                sub_index=row.sub_index,
                payload=payloads[row.payload_number],
                signature=row.signature,
                ordinate=row.ordinate,
            )
            for row in message.rows
            if row.payload_number >= 0 and 0 <= row.sub_index < 256
        )
    except (msgspec.MsgspecError, IndexError, OverflowError) as error:
        raise PartialsInvalid("decode partials", reason=error) from error
    except PartialsInvalid:
        raise
    except InputInvalid as error:
        raise PartialsInvalid("decode partials", reason=error) from error
    if len(partials) != len(message.rows) or not 1 <= len(partials) <= ITEMS_MAX:
        raise PartialsInvalid("decode partials", field="rows")
    if not 0 <= duty.slot < SLOTS_MAX:
        raise PartialsInvalid("decode partials", field="slot")
    return PartialSet(duty=duty, partials=partials), message.answer
