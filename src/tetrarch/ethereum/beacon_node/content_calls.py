"""Calls that read what a block took up. Asked for without its payload, which nobody needs here.

Only the named fields are decoded: a mainnet block costs about a millisecond.
"""

from typing import Annotated, TypeVar

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.content import BitField, BlockContent, BlockVotes
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.http import (
    BLOCK_SIZE_MAX,
    GONE,
    Answer,
    Call,
    Exchange,
    reading,
)
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, parse_hex, parse_uint64

VOTES_MAX = 128  # attestations of a block, in any fork
COMMITTEES_MAX = 64
BITS_MAX_BYTES = 16_385  # 64 committees of 2048
SYNC_COMMITTEE_MAX = 512

_T = TypeVar("_T")
_Text = Annotated[str, msgspec.Meta(max_length=2 * BITS_MAX_BYTES + 2)]


class _Checkpoint(msgspec.Struct):
    epoch: _Text
    root: _Text

    def typed(self) -> Checkpoint:
        return Checkpoint(epoch=_number(self.epoch), root=_root(self.root))


class _Data(msgspec.Struct):
    slot: _Text
    index: _Text
    beacon_block_root: _Text
    source: _Checkpoint
    target: _Checkpoint


class _Attestation(msgspec.Struct):
    aggregation_bits: _Text
    data: _Data
    committee_bits: _Text | None = None


class _SyncAggregate(msgspec.Struct):
    sync_committee_bits: _Text


class _Body(msgspec.Struct):
    attestations: Annotated[list[_Attestation], msgspec.Meta(max_length=VOTES_MAX)]
    sync_aggregate: _SyncAggregate | None = None


class _Message(msgspec.Struct):
    slot: _Text
    proposer_index: _Text
    parent_root: _Text
    body: _Body


class _Signed(msgspec.Struct):
    message: _Message


class _BlockAnswer(msgspec.Struct):
    data: _Signed


class _Committee(msgspec.Struct):
    index: _Text
    validators: list[str]


class _CommitteesAnswer(msgspec.Struct):
    data: Annotated[list[_Committee], msgspec.Meta(max_length=COMMITTEES_MAX)]


_BLOCKS = msgspec.json.Decoder(_BlockAnswer)
_COMMITTEES = msgspec.json.Decoder(_CommitteesAnswer)


async def block_content(exchange: Exchange, root: bytes) -> BlockContent | None:
    """What the block took up; None where the node does not know it."""
    try:
        answer = await _get_block(exchange, f"/eth/v1/beacon/blinded_blocks/0x{root.hex()}")
    except BeaconNodeRefused as refusal:
        if refusal.status not in GONE:
            raise
        # Not known, or a node without that endpoint: the whole block says which.
        try:
            answer = await _get_block(exchange, f"/eth/v2/beacon/blocks/0x{root.hex()}")
        except BeaconNodeRefused as second:
            if second.status != 404:
                raise
            return None
    with reading(answer.path):
        return read_block(answer.body)


async def _get_block(exchange: Exchange, path: str) -> Answer:
    call = Call(
        method="GET", path=path, timeout_s=exchange.timeouts.read_s, size_max=BLOCK_SIZE_MAX
    )
    return await exchange.send(call)


def read_block(body: bytes) -> BlockContent:
    """The JSON answer of either endpoint, of any fork.

    Raises:
        InputInvalid: a field is not what it must be.
    """
    message = _decoded(_BLOCKS, body).data.message
    sync = message.body.sync_aggregate
    return BlockContent(
        slot=_number(message.slot),
        proposer_index=_number(message.proposer_index),
        parent_root=_root(message.parent_root),
        votes=tuple(_votes(each) for each in message.body.attestations),
        sync_voters=None if sync is None else _sync_bits(sync.sync_committee_bits),
    )


async def committee_lengths(exchange: Exchange, slot: int, epoch: int) -> tuple[int, ...]:
    """The sizes of a slot's committees, by index. Cost: the answer lists all their members."""
    path = "/eth/v1/beacon/states/head/committees"
    call = Call(
        method="GET",
        path=path,
        timeout_s=exchange.timeouts.read_s,
        query=(("epoch", str(epoch)), ("slot", str(slot))),
    )
    answer = await exchange.send(call)
    with reading(path):
        listed = _decoded(_COMMITTEES, answer.body).data
        by_index = {_number(each.index): len(each.validators) for each in listed}
        if sorted(by_index) != list(range(len(by_index))):
            raise InputInvalid("read committees", field="index", got=len(by_index))
        return tuple(length for _, length in sorted(by_index.items()))


def _decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except UNDECODABLE as error:
        raise InputInvalid("read JSON", reason=str(error)[:100]) from None


def _votes(listed: _Attestation) -> BlockVotes:
    data = listed.data
    committees = None
    if listed.committee_bits is not None:
        packed = _bytes(listed.committee_bits, COMMITTEES_MAX // 8)
        committees = BitField(packed, len(packed) * 8).set_places()
    return BlockVotes(
        data=AttestationData(
            slot=_number(data.slot),
            index=_number(data.index),
            beacon_block_root=_root(data.beacon_block_root),
            source=data.source.typed(),
            target=data.target.typed(),
        ),
        voters=_bitlist(_bytes(listed.aggregation_bits, BITS_MAX_BYTES)),
        committees=committees,
    )


def _bitlist(packed: bytes) -> BitField:
    """An SSZ bitlist: its highest set bit only marks its end."""
    if not packed or not packed[-1]:
        raise InputInvalid("read bits", field="aggregation_bits", reason="no end")
    return BitField(packed, (len(packed) - 1) * 8 + packed[-1].bit_length() - 1)


def _sync_bits(text: str) -> BitField:
    packed = _bytes(text, SYNC_COMMITTEE_MAX // 8)
    return BitField(packed, len(packed) * 8)


def _bytes(text: str, size_max: int) -> bytes:
    if not text.startswith("0x") or len(text) > 2 * size_max + 2:
        raise InputInvalid("read bits", got=text[:16], size_max=size_max)
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise InputInvalid("read bits", got=text[:16]) from None


def _number(text: str) -> int:
    return parse_uint64(text, what="block")


def _root(text: str) -> bytes:
    return parse_hex(text, size_bytes=32, what="block")
