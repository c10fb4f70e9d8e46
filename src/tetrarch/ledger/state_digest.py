"""What a block says of the state that it found, so that who has the state can see whether it is the chain's. Pure.

A fragment without a payer, before all others but an election's:

    198 u8 | hash of the voters 32 | hash of the state 32                          see ``state_chunks``

It is of the state as the block before left it. It stands in the first block of each epoch that has any, and in the first
block that finds other voters than the state digest before it; nowhere else, and not in a chain with ``compat``. Whoever takes
the block reckons it anew, so whoever votes for the block vouches for it.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.membership import membership_of
from tetrarch.ledger.settings import settings_of
from tetrarch.ledger.tables import Cell, Draft, Table, View
from tetrarch.ledger.wire import Reader, Writer

NUMBER: Final = 198
HASH_SIZE_BYTES: Final = 32
_ONE: Final = b""


@dataclass(frozen=True, slots=True)
class StateDigest:
    """Of one state: hashes of its voters, and of all of it."""

    voters: bytes
    state: bytes


DIGESTED: Final = Table("digested", int)  # the height of the block that has the newest


def is_due(view: View, before: BlockDate, date: BlockDate) -> bool:
    """Whether a block of ``date`` upon one of ``before``, which left the state ``view``, is to have one."""
    if settings_of(view).parameters.compat:
        return False
    since = membership_of(view).since
    return date.epoch > before.epoch or 0 < since >= (DIGESTED.get(view, _ONE) or 0)


def note_digested(draft: Draft, *, height: int) -> None:
    """A block of ``height`` has one."""
    DIGESTED.put(draft, _ONE, height)


def was_digested(changes: Container[Cell]) -> bool:
    """Whether the block that changed these cells has one."""
    return (DIGESTED.name, _ONE) in changes


def encode_digest(digest: StateDigest) -> Fragment:
    """As a block has it."""
    return Fragment(Writer().u8(NUMBER).raw(digest.voters).raw(digest.state).data)


def is_digest(fragment: Fragment) -> bool:
    """By its first byte."""
    return fragment[:1] == bytes([NUMBER])


def decode_digest(data: bytes) -> StateDigest:
    """Read one.

    Raises:
        BytesInvalid: it is none.
    """
    reader = Reader(data, what="state digest")
    reader.u8(lowest=NUMBER, highest=NUMBER)
    digest = StateDigest(reader.raw(HASH_SIZE_BYTES), reader.raw(HASH_SIZE_BYTES))
    reader.end()
    return digest
