"""Which of several copies of one key may sign what: a quorum of the voters reserves a span for one life of it. Pure.

A life is one run of an enclave. A span is of slots, for blocks, or of heights, for votes. Who grants one life a span grants
another life none that begins before that span's end, durably. Quorums share an honest voter, so no two lives ever hold spans
that overlap, and no slot and no height is signed for by two copies, whatever their marks say.

    request   195 u8 | span | signature 64             by its holder
    receipt   196 u8 | span | granter 32 | signature 64
    span      holder 32 | life 32 | kind u8 | first u64 | until u64

A date is one number: its epoch, then 32 bits of its slot; later dates are larger.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tetrarch.crypto.ed25519 import is_signed
from tetrarch.errors import PeerFault
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.headers import KEY_SIZE_BYTES, SIGNATURE_SIZE_BYTES, BlockId
from tetrarch.ledger.wire import Reader, Writer

REQUEST_NUMBER: Final = 195
RECEIPT_NUMBER: Final = 196
LIFE_SIZE_BYTES: Final = 32
SPAN_SIZE_BYTES_MAX: Final = 256  # of a request or a receipt
REQUEST_LABEL: Final = b"tetrarch/ledger/reserve/1"
RECEIPT_LABEL: Final = b"tetrarch/ledger/reserved/1"


class ReservationRefused(PeerFault):
    """A request or a receipt that does not hold."""

    code = "ledger_reservation_refused"


class Kind(Enum):
    """What a span is of."""

    SLOTS = 0
    HEIGHTS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From ``first`` to before ``until``."""

    holder: bytes  # the key that votes, 32 bytes
    life: bytes
    kind: Kind
    first: int
    until: int

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number < self.until


@dataclass(frozen=True, slots=True)
class Request:
    """Of a holder."""

    span: Span
    signature: bytes = field(repr=False)

    def check(self, block0: BlockId) -> None:
        """Whether its holder signed it, for this chain. Cost: 0.15 ms.

        Raises:
            ReservationRefused: it did not.
        """
        _verify(self.span.holder, self.signature, request_to_sign(self.span, block0))


@dataclass(frozen=True, slots=True)
class Receipt:
    """Of a voter that keeps the span for its holder."""

    span: Span
    granter: bytes
    signature: bytes = field(repr=False)

    def check(self, block0: BlockId) -> None:
        """Whether its granter signed it, for this chain. Cost: 0.15 ms.

        Raises:
            ReservationRefused: it did not.
        """
        _verify(self.granter, self.signature, receipt_to_sign(self.span, block0))


def date_number(date: BlockDate) -> int:
    """A date as one number."""
    return date.epoch << 32 | date.slot


def as_told(kind: Kind, number: int) -> str:
    """A slot's date, or a height, in text."""
    if kind is Kind.HEIGHTS:
        return str(number)
    return str(BlockDate(number >> 32, number & 0xFFFF_FFFF))


def request_to_sign(span: Span, block0: BlockId) -> bytes:
    """What a holder signs."""
    return REQUEST_LABEL + block0 + _encode(span)


def receipt_to_sign(span: Span, block0: BlockId) -> bytes:
    """What a granter signs."""
    return RECEIPT_LABEL + block0 + _encode(span)


def encode_request(request: Request) -> bytes:
    """As it travels."""
    return bytes([REQUEST_NUMBER]) + _encode(request.span) + request.signature


def encode_receipt(receipt: Receipt) -> bytes:
    """As it travels."""
    encoded = bytes([RECEIPT_NUMBER]) + _encode(receipt.span)
    return encoded + receipt.granter + receipt.signature


def is_request(data: bytes) -> bool:
    """By its first byte."""
    return data[:1] == bytes([REQUEST_NUMBER])


def is_receipt(data: bytes) -> bool:
    """By its first byte."""
    return data[:1] == bytes([RECEIPT_NUMBER])


def decode_request(data: bytes) -> Request:
    """Read one; nothing is verified.

    Raises:
        BytesInvalid, ReservationRefused: it is none.
    """
    reader = Reader(data, what="request")
    reader.u8(lowest=REQUEST_NUMBER, highest=REQUEST_NUMBER)
    request = Request(_decode(reader), reader.raw(SIGNATURE_SIZE_BYTES))
    reader.end()
    return request


def decode_receipt(data: bytes) -> Receipt:
    """Read one; nothing is verified.

    Raises:
        BytesInvalid, ReservationRefused: it is none.
    """
    reader = Reader(data, what="receipt")
    reader.u8(lowest=RECEIPT_NUMBER, highest=RECEIPT_NUMBER)
    span = _decode(reader)
    receipt = Receipt(span, reader.raw(KEY_SIZE_BYTES), reader.raw(SIGNATURE_SIZE_BYTES))
    reader.end()
    return receipt


def _encode(span: Span) -> bytes:
    writer = Writer().raw(span.holder).raw(span.life).u8(span.kind.value)
    return writer.u64(span.first).u64(span.until).data


def _decode(reader: Reader) -> Span:
    span = Span(
        holder=reader.raw(KEY_SIZE_BYTES),
        life=reader.raw(LIFE_SIZE_BYTES),
        kind=Kind(reader.u8(highest=len(Kind) - 1)),
        first=reader.u64(),
        until=reader.u64(),
    )
    if span.first >= span.until:
        raise ReservationRefused("read span", first=span.first, until=span.until)
    return span


def _verify(key: bytes, signature: bytes, signed: bytes) -> None:
    if not is_signed(key, signed, signature):
        raise ReservationRefused("verify reservation", signer=key.hex())
