"""Votes for links between checkpoints, the rule that keeps them from contradicting each other, and certificates. Pure.

A checkpoint is a block, with its height: how many are before it. A vote is for a link: from a justified checkpoint, the
source, to a higher one upon it, the target. A quorum's votes for one link are a certificate: its target is justified, and
its source is final if it is the target's parent.

A voter never votes twice for one height, nor around a vote of its own: with a source below the older vote's source and a
target above its target. It is kept by two marks that only rise: what is signed has a higher target than anything before,
and no lower source. Two final blocks on different branches then need voters of more than a third of the weight
that broke the rule (Buterin, Griffith, "Casper the Friendly Finality Gadget", 2017, theorem 1; stricter than its rule).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tetrarch.crypto.ed25519 import is_signed
from tetrarch.errors import InputInvalid, PeerFault
from tetrarch.ledger.headers import ID_SIZE_BYTES, KEY_SIZE_BYTES, SIGNATURE_SIZE_BYTES, BlockId
from tetrarch.ledger.wire import Reader, Writer

LABEL: Final = b"tetrarch/ledger/vote/1"
VOTE_NUMBER: Final = 193  # among fragments, with which votes travel
VOTERS_MAX: Final = 1024


class VoteRefused(PeerFault):
    """A vote or a certificate that does not hold."""

    code = "ledger_vote_refused"


class VoteForbidden(InputInvalid):
    """A vote of our own that might contradict an older one."""

    code = "ledger_vote_forbidden"


@dataclass(frozen=True, slots=True, order=True)
class Checkpoint:
    """A block, and how many are before it."""

    height: int
    block: BlockId


@dataclass(frozen=True, slots=True)
class Link:
    """What is voted for."""

    source: Checkpoint
    target: Checkpoint

    @property
    def makes_final(self) -> bool:
        """Whether a quorum's votes for it make its source final."""
        return self.target.height == self.source.height + 1

    def to_sign(self, block0: BlockId) -> bytes:
        """What a voter signs: for one chain, and for nothing else."""
        writer = Writer().raw(LABEL).raw(block0)
        _write_link(writer, self)
        return writer.data


@dataclass(frozen=True, slots=True)
class Marks:
    """Of one voter, kept durably before a vote leaves it: the highest source and target of what it signed."""

    source_height: int = 0
    target_height: int = 0

    def after(self, link: Link) -> "Marks":
        """The marks with a vote for ``link``, which is to be kept before the vote is signed.

        Raises:
            VoteForbidden: it might contradict an older one.
        """
        if link.source.height >= link.target.height:
            raise VoteForbidden("vote", reason="its source is not below its target")
        if link.target.height <= self.target_height:
            raise VoteForbidden("vote", target=link.target.height, after=self.target_height)
        if link.source.height < self.source_height:
            raise VoteForbidden("vote", source=link.source.height, lowest=self.source_height)
        return Marks(link.source.height, link.target.height)


@dataclass(frozen=True, slots=True)
class Vote:
    """Of one voter."""

    link: Link
    voter: bytes  # Ed25519, 32 bytes
    signature: bytes = field(repr=False)

    def check(self, block0: BlockId) -> None:
        """Whether its voter signed it, for this chain. Cost: 0.15 ms.

        Raises:
            VoteRefused: it did not.
        """
        if not is_signed(self.voter, self.link.to_sign(block0), self.signature):
            raise VoteRefused("verify vote", voter=self.voter.hex())


@dataclass(frozen=True, slots=True)
class Voters:
    """Who may vote, with what weight: members count alike, pools by their stake."""

    weights: Mapping[bytes, int]
    by_stake: bool = False

    @property
    def needed(self) -> int:
        """Of the weight, for a quorum: more than two thirds by stake; of n members ceil((n + f + 1) / 2)."""
        total = sum(self.weights.values())
        if self.by_stake:
            return 2 * total // 3 + 1
        liars = max(0, total - 1) // 3
        return (total + liars + 2) // 2

    def weight(self, voters: Iterable[bytes]) -> int:
        """Of all who are named and may vote."""
        return sum(self.weights.get(voter, 0) for voter in voters)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A quorum's votes for one link: signatures by voter."""

    link: Link
    signatures: Mapping[bytes, bytes] = field(repr=False)

    def check_weight(self, *voters: Voters) -> None:
        """Whether it names a quorum of each of ``voters``: where they change, of both.

        Raises:
            VoteRefused: it does not.
        """
        for each in voters:
            weight = each.weight(self.signatures)
            if weight < each.needed:
                raise VoteRefused("verify certificate", weight=weight, needed=each.needed)
        if any(not any(voter in each.weights for each in voters) for voter in self.signatures):
            raise VoteRefused("verify certificate", reason="it names who may not vote")

    def check_signatures(self, block0: BlockId) -> None:
        """Whether all whom it names signed it, for this chain. Cost: 0.15 ms each.

        Raises:
            VoteRefused: somebody did not.
        """
        for voter, signature in self.signatures.items():
            Vote(self.link, voter, signature).check(block0)


def encode_vote(vote: Vote) -> bytes:
    """177 bytes: 193 u8 | source, target: height u64, block 32 | voter 32 | signature 64."""
    writer = Writer().u8(VOTE_NUMBER)
    _write_link(writer, vote.link)
    return writer.raw(vote.voter).raw(vote.signature).data


def is_vote(data: bytes) -> bool:
    """By its first byte."""
    return data[:1] == bytes([VOTE_NUMBER])


def decode_vote(data: bytes) -> Vote:
    """Read a vote; nothing is verified.

    Raises:
        BytesInvalid: it is none.
    """
    reader = Reader(data, what="vote")
    reader.u8(lowest=VOTE_NUMBER, highest=VOTE_NUMBER)
    vote = Vote(_read_link(reader), reader.raw(KEY_SIZE_BYTES), reader.raw(SIGNATURE_SIZE_BYTES))
    reader.end()
    return vote


def write_certificate(writer: Writer, certificate: Certificate) -> None:
    """The link, then count u32 and so often voter 32, signature 64, by their voters' order."""
    _write_link(writer, certificate.link)
    writer.u32(len(certificate.signatures))
    for voter in sorted(certificate.signatures):
        writer.raw(voter).raw(certificate.signatures[voter])


def read_certificate(reader: Reader) -> Certificate:
    """From those bytes; nothing is verified.

    Raises:
        BytesInvalid: they are none.
        VoteRefused: voters are not in order, so that it would have another form.
    """
    link = _read_link(reader)
    signatures: dict[bytes, bytes] = {}
    latest = b""
    for _ in range(reader.u32(highest=VOTERS_MAX)):
        voter = reader.raw(KEY_SIZE_BYTES)
        if voter <= latest:
            raise VoteRefused("read certificate", reason="its voters are not in order")
        latest = voter
        signatures[voter] = reader.raw(SIGNATURE_SIZE_BYTES)
    return Certificate(link, signatures)


def _write_link(writer: Writer, link: Link) -> None:
    for checkpoint in (link.source, link.target):
        writer.u64(checkpoint.height).raw(checkpoint.block)


def _read_link(reader: Reader) -> Link:
    source, target = (
        Checkpoint(reader.u64(), BlockId(reader.raw(ID_SIZE_BYTES))) for _ in range(2)
    )
    return Link(source, target)
