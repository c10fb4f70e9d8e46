"""A state as bytes, in chunks that can be verified alone; and its digest. Pure.

It is written cell by cell, tables in their order, each by its keys,

    table sized | key sized | value sized, MessagePack as at rest (``cells``)

and cut into chunks of one size. Its hash is that of its chunks' hashes.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, NewType

from tetrarch.errors import PeerFault
from tetrarch.ledger.cells import TABLES, decode_value, encode_value
from tetrarch.ledger.finality import VOTERS_MAX, Voters
from tetrarch.ledger.headers import KEY_SIZE_BYTES
from tetrarch.ledger.membership import membership_of
from tetrarch.ledger.state_digest import HASH_SIZE_BYTES, StateDigest
from tetrarch.ledger.tables import Cell, Layer, View
from tetrarch.ledger.wire import U32_MAX, Reader, Writer

CHUNK_SIZE_BYTES: Final = 1 << 18
CHUNKS_MAX: Final = 1 << 14  # 4 GiB of state
_NAME_SIZE_BYTES_MAX: Final = 64
_NOTE: Final = "state digest"

ChunkId = NewType("ChunkId", bytes)  # BLAKE2b-256 of a chunk


class StateRefused(PeerFault):
    """A state, or what is said of one, that is none, or not the chain's."""

    code = "ledger_state_refused"


def digest_of(layer: Layer) -> StateDigest:
    """Of a state. Cost: 2 us a cell, once for a layer."""
    found = layer.notes.get(_NOTE)
    if not isinstance(found, StateDigest):
        voters = hash_of(encode_voters(membership_of(layer).members))
        found = StateDigest(voters, state_hash(map(chunk_id, chunks_of(layer))))
        layer.notes[_NOTE] = found
    return found


def hash_of(data: bytes) -> bytes:
    """BLAKE2b-256."""
    return blake2b(data, digest_size=HASH_SIZE_BYTES).digest()


def chunk_id(chunk: bytes) -> ChunkId:
    """By which it is asked for."""
    return ChunkId(hash_of(chunk))


def state_hash(chunks: Iterable[ChunkId]) -> bytes:
    """Of a state that has these chunks, in their order."""
    return hash_of(b"".join(chunks))


def chunks_of(view: View) -> Iterator[bytes]:
    """A state, cut."""
    written, size_bytes = list[bytes](), 0
    for cell in _cells(view):
        written.append(cell)
        size_bytes += len(cell)
        if size_bytes >= CHUNK_SIZE_BYTES:
            data = b"".join(written)
            whole = size_bytes - size_bytes % CHUNK_SIZE_BYTES
            for place in range(0, whole, CHUNK_SIZE_BYTES):
                yield data[place : place + CHUNK_SIZE_BYTES]
            written, size_bytes = [data[whole:]], size_bytes - whole
    if size_bytes:
        yield b"".join(written)


def read_state(chunks: Iterable[bytes]) -> dict[Cell, object]:
    """The cells of a state whose chunks have the right hashes.

    Raises:
        StateRefused, BytesInvalid: they are none.
    """
    data = b"".join(chunks)
    reader, cells = Reader(data, what="state"), dict[Cell, object]()
    while reader.place < len(data):
        try:
            name = reader.sized(highest=_NAME_SIZE_BYTES_MAX).decode()
            key = reader.sized(highest=U32_MAX)
            cells[name, key] = decode_value(name, reader.sized(highest=U32_MAX))
        except ValueError as error:  # msgspec's are, and what is no text
            raise StateRefused("read state", reason=error) from None
    return cells


def encode_voters(voters: Voters) -> bytes:
    """By stake u8 | count u32, so often, by their order: key 32 | weight u64."""
    writer = Writer().u8(voters.by_stake).u32(len(voters.weights))
    for key in sorted(voters.weights):
        writer.raw(key).u64(voters.weights[key])
    return writer.data


def decode_voters(data: bytes) -> Voters:
    """Read them.

    Raises:
        BytesInvalid: they are none; StateRefused: they are not in order, so that they would have another form.
    """
    reader = Reader(data, what="voters")
    by_stake = bool(reader.u8(highest=1))
    weights: dict[bytes, int] = {}
    latest = b""
    for _ in range(reader.u32(highest=VOTERS_MAX)):
        key = reader.raw(KEY_SIZE_BYTES)
        if key <= latest:
            raise StateRefused("read voters", reason="they are not in order")
        latest = key
        weights[key] = reader.u64()
    reader.end()
    return Voters(weights, by_stake)


def _cells(view: View) -> Iterator[bytes]:
    for table in TABLES:
        name = table.name.encode()
        begin = len(name).to_bytes(4, "big") + name
        for key, value in table.items(view):
            content = encode_value(value)
            yield b"".join(
                (begin, len(key).to_bytes(4, "big"), key, len(content).to_bytes(4, "big"), content)
            )
