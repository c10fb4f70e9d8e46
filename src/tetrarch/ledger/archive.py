"""A chain as one file: its final blocks, from the first on, as they travel. To begin a node without a network, and to keep.

    "tetrarch/ledger/archive/1", newline | so often: size u32 | block

Nothing in it is believed: each block is verified as if a peer had sent it, and upon the same first block. What makes the last
blocks final may stand in later ones, so a node that read it may call one or two fewer final.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from tetrarch.errors import OperatorError, PeerFault
from tetrarch.ledger.blocks import CONTENT_SIZE_BYTES_MAX, Block, decode_block
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.headers import PRAOS_SIZE_BYTES
from tetrarch.ledger.store import LedgerDamaged, LedgerStore
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS

MAGIC: Final = b"tetrarch/ledger/archive/1\n"
LENGTH_SIZE_BYTES: Final = 4
BLOCK_SIZE_BYTES_MAX: Final = 1 + PRAOS_SIZE_BYTES + CONTENT_SIZE_BYTES_MAX
PROGRESS_BLOCKS: Final = 1000


class ArchiveInvalid(OperatorError):
    """A file that is no chain's archive, or of a chain that does not hold."""

    code = "ledger_archive_invalid"
    exit_code = 65  # EX_DATAERR
    mend = "export it again, or have the blocks from other nodes"


class LedgerPruned(OperatorError):
    """Blocks that are asked for are not there any more."""

    code = "ledger_pruned"
    exit_code = 65  # EX_DATAERR
    mend = (
        "export its state (`tetrarch ledger export-state`), or the blocks of a node that keeps all"
    )


@dataclass(frozen=True, slots=True)
class Imported:
    """``blocks`` were new; ``known`` were here already, from an import before, say."""

    blocks: int
    known: int


async def export_blocks(
    store: LedgerStore, out: BinaryIO, *, on_progress: Callable[[int, int], None]
) -> int:
    """Write all final blocks; how many.

    Raises:
        LedgerPruned: they are not there from the first on; LedgerDamaged: one is missing; OSError.
    """
    found = await store.finals()
    if found.lowest:
        raise LedgerPruned("export ledger", lowest_height=found.lowest)
    finals = found.blocks
    out.write(MAGIC)
    for done, identity in enumerate(finals, start=1):
        data = await store.block(identity)
        if data is None:
            raise LedgerDamaged("export ledger", block=identity.hex(), reason="it is missing")
        out.write(len(data).to_bytes(LENGTH_SIZE_BYTES, "big") + data)
        if done % PROGRESS_BLOCKS == 0:
            on_progress(done, len(finals))
    return len(finals)


def read_archive(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks as they travel; nothing is verified.

    Raises:
        ArchiveInvalid: it is no archive, or ends within a block.
    """
    if stream.read(len(MAGIC)) != MAGIC:
        raise ArchiveInvalid("read archive", reason="it is none")
    count = 0
    while size := stream.read(LENGTH_SIZE_BYTES):
        length = int.from_bytes(size, "big")
        if len(size) < LENGTH_SIZE_BYTES or not 0 < length <= BLOCK_SIZE_BYTES_MAX:
            raise ArchiveInvalid("read archive", block=count, bytes=length)
        data = stream.read(length)
        if len(data) < length:
            raise ArchiveInvalid("read archive", block=count, reason="it ends within it")
        yield data
        count += 1


def first_of(blocks: Iterator[bytes]) -> Block:
    """The first block of an archive.

    Raises:
        ArchiveInvalid: it has none.
    """
    data = next(blocks, None)
    if data is None:
        raise ArchiveInvalid("read archive", reason="it has no block")
    try:
        return decode_block(data)
    except PeerFault as fault:
        raise ArchiveInvalid("read archive", block=0, reason=fault) from None


async def import_blocks(
    chain: LedgerChain,
    blocks: Iterator[bytes],
    *,
    reason: Callable[[], str],
    on_progress: Callable[[int], None],
) -> Imported:
    """Give ``chain`` all blocks after the first. Cost: 2.5 ms each. A second time goes on where the first ended.

    ``reason``: what the chain last said of a block that it did not take.

    Raises:
        ArchiveInvalid: one does not hold; those before it are there.
    """
    counts = {Verdict.NEW: 0, Verdict.KNOWN: 0}
    for number, data in enumerate(blocks, start=1):
        verdict = await chain.take(BLOCKS, data)
        if verdict not in counts:
            is_gap = verdict is Verdict.ORPHAN
            why = "a block before it is missing" if is_gap else reason()
            raise ArchiveInvalid("import ledger", block=number, verdict=verdict.value, reason=why)
        counts[verdict] += 1
        if number % PROGRESS_BLOCKS == 0:
            on_progress(number)
    return Imported(counts[Verdict.NEW], counts[Verdict.KNOWN])
