"""Blocks: a header, and the fragments that its content hash is of. Pure.

    block     header, as it travels | fragments, to the end of the content size
    fragment  size u32, big-endian | payload

Source: the reference. A block's bytes are all that there is of it: no bit of it is free, so one block has one form.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NewType

from tetrarch.errors import PeerFault
from tetrarch.ledger.headers import Header, encode_header, read_header

CONTENT_HASH_SIZE_BYTES: Final = 32
LENGTH_SIZE_BYTES: Final = 4
FRAGMENT_SIZE_BYTES_MAX: Final = 1 << 20  # of any chain; the parameters of one may say less
CONTENT_SIZE_BYTES_MAX: Final = 4_000_000

Fragment = NewType("Fragment", bytes)  # a payload
FragmentId = NewType("FragmentId", bytes)  # BLAKE2b-256 of a payload


class BlockInvalid(PeerFault):
    """Bytes that are no block."""

    code = "block_invalid"


@dataclass(frozen=True, slots=True)
class Block:
    """Its header, and its fragments in their order."""

    header: Header
    fragments: tuple[Fragment, ...]


def fragment_id(fragment: Fragment) -> FragmentId:
    """Of a payload."""
    return FragmentId(blake2b(fragment, digest_size=CONTENT_HASH_SIZE_BYTES).digest())


def encode_content(fragments: Iterable[Fragment]) -> bytes:
    """Fragments, each after its size."""
    return b"".join(
        len(fragment).to_bytes(LENGTH_SIZE_BYTES, "big") + fragment for fragment in fragments
    )


def content_hash(content: bytes) -> bytes:
    """As a header names it."""
    return blake2b(content, digest_size=CONTENT_HASH_SIZE_BYTES).digest()


def encode_block(block: Block) -> bytes:
    """As it travels and is stored."""
    return encode_header(block.header) + encode_content(block.fragments)


def decode_block(data: bytes) -> Block:
    """Read a block whose content is the one that its header names; nothing else is verified.

    Raises:
        HeaderInvalid: it does not begin with a header.
        BlockInvalid: what follows is not its content.
    """
    header, size_bytes = read_header(data)
    content = data[size_bytes:]
    if header.content_size_bytes > CONTENT_SIZE_BYTES_MAX:
        raise BlockInvalid(
            "read block", content_bytes=header.content_size_bytes, maximum=CONTENT_SIZE_BYTES_MAX
        )
    if len(content) != header.content_size_bytes:
        raise BlockInvalid(
            "read block", content_bytes=len(content), expected_bytes=header.content_size_bytes
        )
    if content_hash(content) != header.content_hash:
        raise BlockInvalid("read block", reason="its content has another hash than its header says")
    return Block(header, decode_content(content))


def decode_content(content: bytes) -> tuple[Fragment, ...]:
    """The fragments of a content.

    Raises:
        BlockInvalid: a size is wrong, or above ``FRAGMENT_SIZE_BYTES_MAX``.
    """
    fragments, place = [], 0
    while place < len(content):
        begin = place + LENGTH_SIZE_BYTES
        size_bytes = int.from_bytes(content[place:begin], "big")
        place = begin + size_bytes
        if place > len(content) or begin > len(content):
            raise BlockInvalid("read block", reason="a fragment ends after its content")
        if size_bytes > FRAGMENT_SIZE_BYTES_MAX:
            raise BlockInvalid(
                "read block", fragment_bytes=size_bytes, maximum=FRAGMENT_SIZE_BYTES_MAX
            )
        fragments.append(Fragment(content[begin:place]))
    return tuple(fragments)
