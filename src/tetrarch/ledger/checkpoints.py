"""What a chain itself knows of its finality: certificates in its blocks, and what they made justified and final. Pure.

A certificate is a fragment without a payer, before all others of its block:

    192 u8 | link | signatures                                                    see ``finality``

Its source is justified in the chain, its target is of the chain, and its voters are the chain's: so whoever verifies the
blocks has the same opinion of what was final when, however late he comes. The first block is justified and final.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.finality import (
    Certificate,
    Checkpoint,
    VoteRefused,
    read_certificate,
    write_certificate,
)
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import voters_at
from tetrarch.ledger.tables import Changes, Draft, Table, View
from tetrarch.ledger.wire import Reader, Writer

NUMBER: Final = 192  # of kinds with a payer there are none so high
OF_BLOCK_MAX: Final = 4
REMEMBERED: Final = 1024  # blocks among which sources and targets are found
_ONE: Final = b""


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest checkpoints of a branch: voted for by a quorum, and never to be undone."""

    justified: Checkpoint
    final: Checkpoint


STANDING: Final = Table("standing", Standing)
# Rings: what is older than ``REMEMBERED`` is overwritten.
ANCESTORS: Final = Table("ancestors", bytes)  # blocks by their heights
JUSTIFIED: Final = Table("justified", Checkpoint)  # by height


def begin_checkpoints(draft: Draft, block0: BlockId) -> None:
    """The first block is there."""
    first = Checkpoint(0, block0)
    STANDING.put(draft, _ONE, Standing(first, first))
    ANCESTORS.put(draft, _place(0), block0)
    JUSTIFIED.put(draft, _place(0), first)


def standing_of(view: View) -> Standing:
    """As the chain knows it."""
    standing = STANDING.get(view, _ONE)
    assert standing is not None, "the first block sets it"
    return standing


def note_ancestor(draft: Draft, parent: Checkpoint) -> None:
    """A block comes after ``parent``."""
    ANCESTORS.put(draft, _place(parent.height), parent.block)


def is_ancestor(view: View, checkpoint: Checkpoint, *, height: int) -> bool:
    """Whether it is on the branch of a block of ``height``, below it and not too far."""
    is_near = max(0, height - REMEMBERED) <= checkpoint.height < height
    return is_near and ANCESTORS.get(view, _place(checkpoint.height)) == checkpoint.block


def is_justified(view: View, checkpoint: Checkpoint) -> bool:
    """Whether a quorum voted for it, of late."""
    return JUSTIFIED.get(view, _place(checkpoint.height)) == checkpoint


def justified_in(changes: Changes) -> Iterator[Checkpoint]:
    """What a block's certificates justified."""
    for (table, _), found in changes.items():
        if table == JUSTIFIED.name and isinstance(found, Checkpoint):
            yield found


def encode_certificate(certificate: Certificate) -> Fragment:
    """As a block has it."""
    writer = Writer().u8(NUMBER)
    write_certificate(writer, certificate)
    return Fragment(writer.data)


def is_certificate(fragment: Fragment) -> bool:
    """By its first byte."""
    return fragment[:1] == bytes([NUMBER])


def decode_certificate(data: bytes) -> Certificate:
    """Read one; nothing is verified.

    Raises:
        BytesInvalid, VoteRefused: it is none.
    """
    reader = Reader(data, what="certificate")
    reader.u8(lowest=NUMBER, highest=NUMBER)
    certificate = read_certificate(reader)
    reader.end()
    return certificate


def apply_certificate(
    draft: Draft,
    certificate: Certificate,
    *,
    height: int,
) -> None:
    """It stands in a block of ``height``; its signatures are right.

    Raises:
        VoteRefused: it does not hold there, or says nothing new.
    """
    source, target = certificate.link.source, certificate.link.target
    if not source.height < target.height < height:
        heights = {"source": source.height, "target": target.height, "below": height}
        raise VoteRefused("apply certificate", **heights)
    standing = standing_of(draft)
    if source != standing.justified and not is_justified(draft, source):
        raise VoteRefused("apply certificate", source=source.height, reason="it is not justified")
    if not is_ancestor(draft, target, height=height):
        raise VoteRefused(
            "apply certificate", target=target.height, reason="it is not of this chain"
        )
    is_final = certificate.link.makes_final and source.height > standing.final.height
    if not is_final and is_justified(draft, target):
        raise VoteRefused(
            "apply certificate", target=target.height, reason="it is justified already"
        )
    certificate.check_weight(*voters_at(draft, target.height))
    JUSTIFIED.put(draft, _place(target.height), target)
    justified = max(standing.justified, target, key=lambda each: each.height)
    STANDING.put(draft, _ONE, Standing(justified, source if is_final else standing.final))


def _place(number: int) -> bytes:
    return (number % REMEMBERED).to_bytes(4, "big")
