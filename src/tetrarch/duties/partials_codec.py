"""Bytes of partial signatures between peers: msgpack, for nothing hashes or signs them."""

from typing import Annotated

import msgspec

from tetrarch.crypto.points import ORDINATE_SIZE_BYTES
from tetrarch.duties.duty import SLOTS_MAX, duty_from
from tetrarch.duties.payload_codec import PartialsInvalid, decode_payload, encode_payload
from tetrarch.duties.types import PartialSet, PartialSignature, Payload, PubKey, ShareIndex
from tetrarch.errors import InputInvalid

ITEMS_MAX = 65_535


class _PartialRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    pubkey: bytes
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
                payload=payloads[row.payload_number],
                signature=row.signature,
                ordinate=row.ordinate,
            )
            for row in message.rows
            if row.payload_number >= 0
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
