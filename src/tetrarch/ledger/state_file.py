"""A proven state as one file, to begin a node with it without a network.

    "tetrarch/ledger/state/1", newline | so often: size u32 | part                  contents first, see ``state_parts``

Nothing in it is believed: its parts are taken as if a peer had sent them, upon the same first block.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from tetrarch.errors import OperatorError, PeerFault
from tetrarch.ledger.blocks import Block
from tetrarch.ledger.state_giving import StateGiving, first_voters
from tetrarch.ledger.state_parts import PART_SIZE_BYTES_MAX, Contents, encode_contents
from tetrarch.ledger.state_taking import StateTaking, TakenState
from tetrarch.ledger.store import LedgerDamaged

MAGIC: Final = b"tetrarch/ledger/state/1\n"
LENGTH_SIZE_BYTES: Final = 4


class NoState(OperatorError):
    """A node that has none to give yet."""

    code = "ledger_no_state"
    exit_code = 65  # EX_DATAERR
    mend = "a state is proven once an epoch's first block is final; until then export the blocks"


class StateFileInvalid(OperatorError):
    """A file that is no state of the chain."""

    code = "ledger_state_file_invalid"
    exit_code = 65  # EX_DATAERR
    mend = "export it again, or begin with the states or blocks of other nodes"


async def export_state(giving: StateGiving, out: BinaryIO) -> Contents:
    """Write the newest proven state.

    Raises:
        NoState: there is none; LedgerDamaged: a part of it is missing; OSError.
    """
    contents = await giving.contents()
    if contents is None:
        raise NoState("export state")
    out.write(MAGIC)
    _write(out, encode_contents(contents))
    for part in (contents.block_part, *contents.proofs, *contents.chunks):
        data = await giving.part(part)
        if data is None:
            raise LedgerDamaged("export state", part=part.hex(), reason="it is missing")
        _write(out, data)
    return contents


def import_state(stream: BinaryIO, block0: Block) -> TakenState:
    """Read a file, and verify all of it. Cost: 5 us a cell, 0.15 ms a signature.

    Raises:
        StateFileInvalid: it is no state of that chain.
    """
    taking = StateTaking(block0, first_voters(block0))
    parts = _read(stream)
    try:
        taking.take(next(parts, b""))
        if taking.choose() is None:
            raise StateFileInvalid("read state", reason="it has no contents")
        for step in (taking.prove, lambda: None):
            while taking.wanted():
                part = next(parts, None)
                if part is None:
                    raise StateFileInvalid("read state", missing=len(taking.wanted()))
                taking.take(part)
            step()
        return taking.taken()
    except PeerFault as fault:
        raise StateFileInvalid("read state", reason=fault) from None


def _write(out: BinaryIO, part: bytes) -> None:
    out.write(len(part).to_bytes(LENGTH_SIZE_BYTES, "big") + part)


def _read(stream: BinaryIO) -> Iterator[bytes]:
    if stream.read(len(MAGIC)) != MAGIC:
        raise StateFileInvalid("read state", reason="it is none")
    while size := stream.read(LENGTH_SIZE_BYTES):
        length = int.from_bytes(size, "big")
        if len(size) < LENGTH_SIZE_BYTES or not 0 < length <= PART_SIZE_BYTES_MAX:
            raise StateFileInvalid("read state", bytes=length, maximum=PART_SIZE_BYTES_MAX)
        part = stream.read(length)
        if len(part) < length:
            raise StateFileInvalid("read state", reason="it ends within a part")
        yield part
