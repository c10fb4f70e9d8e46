"""Headers of blocks, byte for byte as the reference has them. Pure.

All integers are big-endian:

    version u8 | content size u32 | epoch u32 | slot u32 | chain length u32 | content hash 32 | parent 32      81
    BFT    leader 32 | signature 64                                                                           177
    Praos  pool 32 | proof of the random function 96 | signature of an evolving key 484                       693

What is signed is all that stands before the signature. A block's id is BLAKE2b-256 of all of it; on the wire and on
disk one more byte stands before it, the version again. The first block has version 0 and proves nothing.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from typing import Final, NewType, TypeAlias

from tetrarch.crypto.kes import SIGNATURE_SIZE_BYTES as KES_SIGNATURE_SIZE_BYTES
from tetrarch.crypto.vrf import PROOF_SIZE_BYTES as VRF_PROOF_SIZE_BYTES
from tetrarch.errors import PeerFault
from tetrarch.ledger.dates import BlockDate

ID_SIZE_BYTES: Final = 32
KEY_SIZE_BYTES: Final = 32
SIGNATURE_SIZE_BYTES: Final = 64
COMMON_SIZE_BYTES: Final = 81
BFT_SIZE_BYTES: Final = COMMON_SIZE_BYTES + KEY_SIZE_BYTES + SIGNATURE_SIZE_BYTES
PRAOS_SIZE_BYTES: Final = (
    COMMON_SIZE_BYTES + KEY_SIZE_BYTES + VRF_PROOF_SIZE_BYTES + KES_SIGNATURE_SIZE_BYTES
)

BlockId = NewType("BlockId", bytes)  # 32 bytes
PoolId = NewType("PoolId", bytes)  # 32 bytes

NO_PARENT: Final = BlockId(bytes(ID_SIZE_BYTES))
_COMMON: Final = struct.Struct(">BIIII32s32s")


class HeaderInvalid(PeerFault):
    """Bytes that are no header."""

    code = "block_header_invalid"


class Version(IntEnum):
    """Who proves what in a header."""

    UNSIGNED = 0  # the first block
    BFT = 1  # one of the leaders, in turn
    PRAOS = 2  # a stake pool, drawn by its stake


@dataclass(frozen=True, slots=True)
class BftProof:
    """The leader in whose turn the slot is."""

    leader: bytes  # Ed25519, 32 bytes
    signature: bytes = field(default=bytes(SIGNATURE_SIZE_BYTES), repr=False)


@dataclass(frozen=True, slots=True)
class PraosProof:
    """The pool that was drawn, and that it was."""

    pool: PoolId
    vrf_proof: bytes = field(repr=False)
    kes_signature: bytes = field(default=bytes(KES_SIGNATURE_SIZE_BYTES), repr=False)


Proof: TypeAlias = BftProof | PraosProof | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One block's. ``chain_length`` is the number of blocks before it, to the first one."""

    content_size_bytes: int
    date: BlockDate
    chain_length: int
    content_hash: bytes
    parent: BlockId
    proof: Proof = None

    @property
    def version(self) -> Version:
        """As its proof has it."""
        if self.proof is None:
            return Version.UNSIGNED
        return Version.BFT if isinstance(self.proof, BftProof) else Version.PRAOS

    @property
    def signed(self) -> bytes:
        """What the signature is over: 113 bytes for BFT, 209 for Praos, all for the first block."""
        common = _COMMON.pack(
            self.version,
            self.content_size_bytes,
            self.date.epoch,
            self.date.slot,
            self.chain_length,
            self.content_hash,
            self.parent,
        )
        match self.proof:
            case BftProof(leader):
                return common + leader
            case PraosProof(pool, vrf_proof):
                return common + pool + vrf_proof
            case None:
                return common

    @property
    def data(self) -> bytes:
        """Its bytes."""
        match self.proof:
            case BftProof():
                return self.signed + self.proof.signature
            case PraosProof():
                return self.signed + self.proof.kes_signature
            case None:
                return self.signed

    @property
    def maker(self) -> bytes | None:
        """The leader's key, or the pool; None: it is a chain's first."""
        match self.proof:
            case BftProof(leader):
                return leader
            case PraosProof(pool):
                return pool
            case None:
                return None

    @property
    def id(self) -> BlockId:
        """Of its block."""
        return BlockId(blake2b(self.data, digest_size=ID_SIZE_BYTES).digest())


def encode_header(header: Header) -> bytes:
    """As it travels and is stored: its version, and its bytes."""
    return bytes([header.version]) + header.data


def decode_header(data: bytes) -> Header:
    """Read a header that is all of ``data``; nothing is verified.

    Raises:
        HeaderInvalid: it is none.
    """
    header, size_bytes = read_header(data)
    if size_bytes != len(data):
        raise HeaderInvalid("read header", got_bytes=len(data), expected_bytes=size_bytes)
    return header


def read_header(data: bytes) -> tuple[Header, int]:
    """The header that ``data`` begins with, and how many bytes it takes; nothing is verified.

    Raises:
        HeaderInvalid: it is none.
    """
    if len(data) < 2 or data[0] != data[1]:
        raise HeaderInvalid("read header", reason="its version does not stand before it")
    size_bytes = _SIZES_BYTES.get(data[0])
    if size_bytes is None:
        raise HeaderInvalid("read header", version=data[0])
    body = data[1 : 1 + size_bytes]
    if len(body) < size_bytes:
        raise HeaderInvalid("read header", got_bytes=len(body), expected_bytes=size_bytes)
    _, content_size_bytes, epoch, slot, length, content_hash, parent = _COMMON.unpack_from(body)
    header = Header(
        content_size_bytes=content_size_bytes,
        date=BlockDate(epoch, slot),
        chain_length=length,
        content_hash=content_hash,
        parent=BlockId(parent),
        proof=_read_proof(Version(data[0]), body[COMMON_SIZE_BYTES:]),
    )
    return header, 1 + size_bytes


_SIZES_BYTES: Final[Mapping[int, int]] = {
    Version.UNSIGNED: COMMON_SIZE_BYTES,
    Version.BFT: BFT_SIZE_BYTES,
    Version.PRAOS: PRAOS_SIZE_BYTES,
}


def _read_proof(version: Version, rest: bytes) -> Proof:
    if version is Version.UNSIGNED:
        return None
    key, rest = rest[:KEY_SIZE_BYTES], rest[KEY_SIZE_BYTES:]
    if version is Version.BFT:
        return BftProof(key, rest)
    return PraosProof(PoolId(key), rest[:VRF_PROOF_SIZE_BYTES], rest[VRF_PROOF_SIZE_BYTES:])
