"""What a node gives to one that would begin with a state: a table of contents, and parts that are asked for by their hashes. Pure.

    contents  1 u8 | height u64 and id of the block | hash of its part | proofs u32 x hash 32 | chunks u32 x hash 32
    block     2 u8 | the block that left the state
    proof     3 u8 | ...                                                          see ``state_proofs``
    chunk     of the state, bare                                                  see ``state_chunks``

Nothing in a table of contents is believed: its chunks must be those of the digest that its proofs show. Nodes' proofs may
be other signatures of the same; their chunks are the same bytes, so each can be had from anybody.
"""

from dataclasses import dataclass
from typing import Final

from tetrarch.ledger.blocks import Block, decode_block, encode_block
from tetrarch.ledger.headers import ID_SIZE_BYTES, BlockId
from tetrarch.ledger.state_chunks import CHUNKS_MAX, ChunkId, state_hash
from tetrarch.ledger.state_digest import HASH_SIZE_BYTES
from tetrarch.ledger.wire import Reader, Writer

CONTENTS: Final = bytes(HASH_SIZE_BYTES)  # by what the newest contents are asked for
PART_SIZE_BYTES_MAX: Final = (4 << 20) - 1024
PROOFS_MAX: Final = 1 << 14
_CONTENTS_NUMBER: Final = 1
_BLOCK_NUMBER: Final = 2


@dataclass(frozen=True, slots=True)
class Contents:
    """``height``, ``block``: of the block that left the state; ``block_part``, ``proofs``: hashes of parts."""

    height: int
    block: BlockId
    block_part: bytes
    proofs: tuple[bytes, ...]
    chunks: tuple[ChunkId, ...]

    @property
    def state(self) -> bytes:
        """The hash of the state that has these chunks."""
        return state_hash(self.chunks)


def is_contents(part: bytes) -> bool:
    """By its first byte; chunks may begin with any, so look for what was asked for first."""
    return part[:1] == bytes([_CONTENTS_NUMBER])


def encode_contents(contents: Contents) -> bytes:
    """As it travels."""
    writer = Writer().u8(_CONTENTS_NUMBER).u64(contents.height)
    writer.raw(contents.block).raw(contents.block_part)
    for hashes in (contents.proofs, contents.chunks):
        writer.u32(len(hashes)).raw(b"".join(hashes))
    return writer.data


def decode_contents(data: bytes) -> Contents:
    """Read it.

    Raises:
        BytesInvalid: it is none.
    """
    reader = Reader(data, what="contents of a state")
    reader.u8(lowest=_CONTENTS_NUMBER, highest=_CONTENTS_NUMBER)
    height = reader.u64()
    block, block_part = reader.raw(ID_SIZE_BYTES), reader.raw(HASH_SIZE_BYTES)
    proofs, chunks = (
        tuple(reader.raw(HASH_SIZE_BYTES) for _ in range(reader.u32(lowest=1, highest=highest)))
        for highest in (PROOFS_MAX, CHUNKS_MAX)
    )
    reader.end()
    return Contents(height, BlockId(block), block_part, proofs, tuple(map(ChunkId, chunks)))


def encode_block_part(block: Block) -> bytes:
    """As it travels."""
    return bytes([_BLOCK_NUMBER]) + encode_block(block)


def decode_block_part(data: bytes) -> Block:
    """Read it.

    Raises:
        BytesInvalid, HeaderInvalid, BlockInvalid: it is none.
    """
    Reader(data, what="block part").u8(lowest=_BLOCK_NUMBER, highest=_BLOCK_NUMBER)
    return decode_block(data[1:])
