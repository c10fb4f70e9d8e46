"""A block's bytes, walked once: whose transactions concern us, and that all are those that its header names. Pure.

Only transactions that pay or spend what is ours are taken apart; of the others just the id is reckoned, for the header's
Merkle root. So a chain's node cannot add, leave out or change one without work for a header of its own.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from embit.transaction import Transaction

from tetrarch.custody.outputs import OutputId
from tetrarch.errors import InputInvalid

HEADER_SIZE_BYTES: Final = 80
HASH_SIZE_BYTES: Final = 32
BLOCK_SIZE_BYTES_MAX: Final = 4_000_000  # BIP-141: its weight, if all of it were witnesses
_OUTPOINT_SIZE_BYTES: Final = 36


class BlockInvalid(InputInvalid):
    """Bytes that are no block, or not the one that was asked for."""

    code = "bitcoin_block_invalid"


@dataclass(frozen=True, slots=True)
class Header:
    """``id`` and ``parent`` as hashed: explorers show their bytes in reverse. ``time_s``: as its miner told it."""

    id: bytes
    parent: bytes
    merkle_root: bytes
    time_s: int


@dataclass(frozen=True, slots=True)
class Spend:
    """An input: what it spends, and the witness that let it."""

    output: OutputId
    witness: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A transaction that concerns us. ``outputs``: amounts and scripts. ``is_first``: it made the block's new coins."""

    id: bytes
    spends: tuple[Spend, ...]
    outputs: tuple[tuple[int, bytes], ...]
    is_first: bool


def read_header(block: bytes) -> Header:
    """What stands in front of a block.

    Raises:
        BlockInvalid: there is less than a header.
    """
    if len(block) < HEADER_SIZE_BYTES:
        raise BlockInvalid("read header", got_bytes=len(block))
    header = block[:HEADER_SIZE_BYTES]
    time_s = int.from_bytes(header[68:72], "little")
    return Header(_twice(header), header[4:36], header[36:68], time_s)


def find(block: bytes, scripts: Container[bytes], held: Container[OutputId]) -> list[Found]:
    """The transactions that pay one of ``scripts`` or spend one of ``held``, in order. Cost: 10 us for each of all.

    ``scripts`` are Taproot's: 34 bytes each.

    Raises:
        BlockInvalid: it is too long, too short, or not what its header says.
    """
    if len(block) > BLOCK_SIZE_BYTES_MAX:
        raise BlockInvalid("read block", got_bytes=len(block), bytes_max=BLOCK_SIZE_BYTES_MAX)
    header = read_header(block)
    found: list[Found] = []
    ids: list[bytes] = []
    try:
        count, at = _count(block, HEADER_SIZE_BYTES)
        for place in range(count):
            start = at
            identity, at, is_ours = _walk(block, at, scripts, held)
            ids.append(identity)
            if is_ours:
                found.append(_taken_apart(identity, block[start:at], is_first=place == 0))
    except IndexError:
        raise BlockInvalid("read block", reason="it ends early", bytes=len(block)) from None
    if at != len(block):
        raise BlockInvalid("read block", spare_bytes=len(block) - at)
    if merkle_root(ids) != header.merkle_root:
        raise BlockInvalid("read block", reason="its transactions are not those of its header")
    return found


def merkle_root(ids: list[bytes]) -> bytes:
    """Of transactions' ids, in order.

    Raises:
        BlockInvalid: none, or one twice (of which another block could have the same root: CVE-2012-2459).
    """
    if not ids or len(set(ids)) != len(ids):
        raise BlockInvalid("read block", reason="a transaction is there twice, or none")
    level = ids
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
        pairs: Iterator[bytes] = iter(level)
        level = [_twice(left + right) for left, right in zip(pairs, pairs, strict=True)]
    return level[0]


def _walk(
    block: bytes, at: int, scripts: Container[bytes], held: Container[OutputId]
) -> tuple[bytes, int, bool]:
    """One transaction: its id, where it ends, and whether it concerns us. ``IndexError``: the block ends within it."""
    start = at
    at += 4
    has_witness = block[at] == 0 and block[at + 1] == 1
    body = at = at + 2 if has_witness else at
    is_ours = False
    inputs, at = _count(block, at)
    for _ in range(inputs):
        if block[at : at + _OUTPOINT_SIZE_BYTES] in held:
            is_ours = True
        size, at = _count(block, at + _OUTPOINT_SIZE_BYTES)
        at += size + 4
    outputs, at = _count(block, at)
    for _ in range(outputs):
        size, at = _count(block, at + 8)
        if size == 34 and block[at : at + 34] in scripts:
            is_ours = True
        at += size
    end_of_body = at
    if has_witness:
        for _ in range(inputs):
            items, at = _count(block, at)
            for _ in range(items):
                size, at = _count(block, at)
                at += size
    block[at + 3]
    hashed = sha256(block[start : start + 4])
    hashed.update(block[body:end_of_body])
    hashed.update(block[at : at + 4])
    return sha256(hashed.digest()).digest(), at + 4, is_ours


def _count(block: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    first = block[at]
    if first < 0xFD:
        return first, at + 1
    size = 2 << (first - 0xFD)
    end = at + 1 + size
    block[end - 1]
    return int.from_bytes(block[at + 1 : end], "little"), end


def _taken_apart(identity: bytes, raw: bytes, *, is_first: bool) -> Found:
    transaction = Transaction.parse(raw)
    spends = tuple(
        Spend(
            OutputId(entry.txid[::-1] + entry.vout.to_bytes(4, "little")),
            tuple(bytes(item) for item in entry.witness.items),
        )
        for entry in transaction.vin
    )
    outputs = tuple((entry.value, bytes(entry.script_pubkey.data)) for entry in transaction.vout)
    return Found(identity, spends, outputs, is_first)


def _twice(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()
