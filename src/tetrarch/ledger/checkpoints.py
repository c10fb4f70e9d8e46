"""What a chain itself knows of its finality: certificates in its blocks, and what they made justified and final. Pure.

A certificate is a fragment without a payer, before all others of its block:

    192 u8 | link | signatures                                                    see ``finality``

Its source is justified in the chain, its target is of the chain, and its voters are the chain's: so whoever verifies the
blocks has the same opinion of what was final when, however late he comes. The first block is justified and final.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.finality import (
    Certificate,
    Checkpoint,
    VoteRefused,
    Voters,
    read_certificate,
    write_certificate,
)
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.settings import Settings
from tetrarch.ledger.tables import Draft, Table, View
from tetrarch.ledger.wire import Reader, Writer

NUMBER: Final = 192  # of kinds with a payer there are none so high
OF_BLOCK_MAX: Final = 4
REMEMBERED: Final = 1024  # blocks among which a target is found, and slots of justified checkpoints
_ONE: Final = b""


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest checkpoints of a branch: voted for by a quorum, and never to be undone."""

    justified: Checkpoint
    final: Checkpoint


STANDING: Final = Table("standing", Standing)
# Rings: what is older than ``REMEMBERED`` is overwritten.
ANCESTORS: Final = Table("ancestors", Checkpoint)  # by length: each block at its slot
JUSTIFIED: Final = Table("justified", Checkpoint)  # by slot


def begin_checkpoints(draft: Draft, block0: BlockId) -> None:
    """The first block is there."""
    first = Checkpoint(0, block0)
    STANDING.put(draft, _ONE, Standing(first, first))
    ANCESTORS.put(draft, _place(0), first)
    JUSTIFIED.put(draft, _place(0), first)


def standing_of(view: View) -> Standing:
    """As the chain knows it."""
    standing = STANDING.get(view, _ONE)
    assert standing is not None, "the first block sets it"
    return standing


def note_ancestor(draft: Draft, length: int, block: Checkpoint) -> None:
    """A block comes after the one that has ``length`` before it."""
    ANCESTORS.put(draft, _place(length), block)


def checkpoint_at(view: View, slot: int, *, length: int) -> Checkpoint | None:
    """Of the chain whose last ancestor has ``length`` before it, the newest by ``slot``; None: too old to be known."""
    lengths = range(max(0, length - REMEMBERED + 1), length + 1)
    place = bisect_right(lengths, slot, key=lambda each: _ancestor(view, each).slot)
    return Checkpoint(slot, _ancestor(view, lengths[place - 1]).block) if place else None


def is_justified(view: View, checkpoint: Checkpoint) -> bool:
    """Whether a quorum voted for it, of late."""
    return JUSTIFIED.get(view, _place(checkpoint.slot)) == checkpoint


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
    slot: int,
    length: int,
    voters: Voters,
) -> None:
    """It stands in a block of ``slot`` that has so many before it; its signatures are right.

    Raises:
        VoteRefused: it does not hold there, or says nothing new.
    """
    source, target = certificate.link.source, certificate.link.target
    if not source.slot < target.slot < slot:
        raise VoteRefused("apply certificate", source=source.slot, target=target.slot, before=slot)
    standing = standing_of(draft)
    if source != standing.justified and not is_justified(draft, source):
        raise VoteRefused("apply certificate", source=source.slot, reason="it is not justified")
    if checkpoint_at(draft, target.slot, length=length - 1) != target:
        raise VoteRefused("apply certificate", target=target.slot, reason="it is not of this chain")
    is_final = certificate.link.makes_final and source.slot > standing.final.slot
    if not is_final and is_justified(draft, target):
        raise VoteRefused("apply certificate", target=target.slot, reason="it is justified already")
    certificate.check_weight(voters)
    JUSTIFIED.put(draft, _place(target.slot), target)
    justified = max(standing.justified, target, key=lambda each: each.slot)
    STANDING.put(draft, _ONE, Standing(justified, source if is_final else standing.final))


def voters_of(settings: Settings) -> Voters:
    """Who votes: the members, alike."""
    return Voters(dict.fromkeys(settings.members, 1))


def _ancestor(view: View, length: int) -> Checkpoint:
    found = ANCESTORS.get(view, _place(length))
    assert found is not None, "all ancestors of late are noted"
    return found


def _place(number: int) -> bytes:
    return (number % REMEMBERED).to_bytes(4, "big")
