"""Bytes of payloads, as they are stored beside a signature and travel with it.

One tag byte says which of the payloads follows; then what that one consists of:

    attestation 1     AttestationData's SSZ
    proposal 2        u8 fork | u8 blinded | BeaconBlockHeader's SSZ
    randao 3          u64 epoch
    selection 4       u64 slot
    aggregate 5       u8 fork | u8 preset | AggregateAndProof's SSZ
    sync message 6    u64 slot | 32 B root
    sync selection 7  u64 slot | u64 subcommittee
    contribution 8    u8 preset | ContributionAndProof's SSZ
    exit 9            VoluntaryExit's SSZ
    registration 10   ValidatorRegistration's SSZ
"""

import struct
from collections.abc import Callable

from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    ExitPayload,
    Payload,
    ProposalPayload,
    RandaoPayload,
    RegistrationPayload,
    SelectionPayload,
    SyncMessagePayload,
    SyncSelectionPayload,
)
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.aggregates import AggregateAndProof, ContributionAndProof
from tetrarch.ethereum.spec.messages import ValidatorRegistration, VoluntaryExit
from tetrarch.ethereum.spec.presets import MAINNET, MINIMAL
from tetrarch.ethereum.spec.values import AttestationData, BeaconBlockHeader, Fork

_FORKS = tuple(Fork)
_PRESETS = (MAINNET.name, MINIMAL.name)  # a new one is appended: its place is its number
_PROPOSAL_HEAD = struct.Struct("<BB")
_NUMBER = struct.Struct("<Q")
_TWO_NUMBERS = struct.Struct("<QQ")
_SLOT_AND_ROOT = struct.Struct("<Q32s")


class PartialsInvalid(InputInvalid):
    """A peer's partial signatures are not well formed."""

    code = "partials_invalid"


def encode_payload(payload: Payload) -> bytes:
    """The tag, then the content. Cost: 2 us for a vote."""
    tag, content = _encode(payload)
    return bytes([tag]) + content


def _encode(payload: Payload) -> tuple[int, bytes]:  # noqa: PLR0911 - one line for each kind
    match payload:
        case AttestationPayload(data=data):
            return 1, data.to_ssz()
        case ProposalPayload(fork=fork, blinded=blinded, header=header):
            return 2, _PROPOSAL_HEAD.pack(fork.order, blinded) + header.to_ssz()
        case RandaoPayload(epoch=epoch):
            return 3, _NUMBER.pack(epoch)
        case SelectionPayload(slot=slot):
            return 4, _NUMBER.pack(slot)
        case AggregatePayload(message=aggregate):
            head = bytes([aggregate.fork.order, _PRESETS.index(aggregate.preset)])
            return 5, head + aggregate.to_ssz()
        case SyncMessagePayload(slot=slot, beacon_block_root=root):
            return 6, _SLOT_AND_ROOT.pack(slot, root)
        case SyncSelectionPayload(slot=slot, subcommittee_index=subcommittee_index):
            return 7, _TWO_NUMBERS.pack(slot, subcommittee_index)
        case ContributionPayload(message=contribution):
            preset = contribution.contribution.preset
            return 8, bytes([_PRESETS.index(preset)]) + contribution.to_ssz()
        case ExitPayload(message=exit_):
            return 9, exit_.to_ssz()
        case RegistrationPayload(message=registration):
            return 10, registration.to_ssz()


def decode_payload(data: bytes) -> Payload:
    """The inverse of ``encode_payload``; raises PartialsInvalid."""
    decode = _DECODERS.get(data[0]) if data else None
    if decode is None:
        raise PartialsInvalid("decode payload", size_bytes=len(data))
    try:
        return decode(data[1:])
    except (InputInvalid, struct.error, IndexError) as error:
        raise PartialsInvalid("decode payload", size_bytes=len(data), reason=error) from error


def _proposal(data: bytes) -> Payload:
    fork, blinded = _PROPOSAL_HEAD.unpack_from(data)
    if blinded > 1:
        raise InputInvalid("decode payload", field="blinded")
    header = BeaconBlockHeader.from_ssz(data[_PROPOSAL_HEAD.size :])
    return ProposalPayload(fork=_FORKS[fork], blinded=bool(blinded), header=header)


def _aggregate(data: bytes) -> Payload:
    fork, preset = _FORKS[data[0]], _PRESETS[data[1]]
    return AggregatePayload(message=AggregateAndProof.from_ssz(fork, data[2:], preset=preset))


def _sync_message(data: bytes) -> Payload:
    slot, root = _SLOT_AND_ROOT.unpack(data)
    return SyncMessagePayload(slot=slot, beacon_block_root=root)


def _sync_selection(data: bytes) -> Payload:
    slot, subcommittee_index = _TWO_NUMBERS.unpack(data)
    if subcommittee_index > 255:  # a sub-index is stored in one byte
        raise InputInvalid("decode payload", field="subcommittee_index")
    return SyncSelectionPayload(slot=slot, subcommittee_index=subcommittee_index)


def _contribution(data: bytes) -> Payload:
    message = ContributionAndProof.from_ssz(data[1:], preset=_PRESETS[data[0]])
    if message.contribution.subcommittee_index > 255:
        raise InputInvalid("decode payload", field="subcommittee_index")
    return ContributionPayload(message=message)


_DECODERS: dict[int, Callable[[bytes], Payload]] = {
    1: lambda data: AttestationPayload(data=AttestationData.from_ssz(data)),
    2: _proposal,
    3: lambda data: RandaoPayload(epoch=_NUMBER.unpack(data)[0]),
    4: lambda data: SelectionPayload(slot=_NUMBER.unpack(data)[0]),
    5: _aggregate,
    6: _sync_message,
    7: _sync_selection,
    8: _contribution,
    9: lambda data: ExitPayload(message=VoluntaryExit.from_ssz(data)),
    10: lambda data: RegistrationPayload(message=ValidatorRegistration.from_ssz(data)),
}
