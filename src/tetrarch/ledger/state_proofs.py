"""That a state is the chain's, shown to who knows its first block and nothing else. Pure.

The first block names the voters of the beginning. A proof shows that a quorum of voters whom one knows vouch for a block
with a state digest, and so which voters that state has: from proof to proof up to the newest.

    3 u8 | voters of the state, sized | block sized | headers u32, so often, sized: from the block to the target
    | certificate                                                                  see ``finality``

The certificate makes the block before the digest final, or one after that, and its target is the digest's block or one upon it:
so whoever signed it took that block, whose digest he had reckoned himself. As long as voters change, votes of a
quorum of both the old and the new are needed, so the first such certificate is signed by a quorum of those before.

Who got the keys of a quorum of long ago can show another history, as to anybody who verifies all blocks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tetrarch.ledger.applying import split_content
from tetrarch.ledger.blocks import (
    CONTENT_SIZE_BYTES_MAX,
    Block,
    decode_block,
    encode_block,
)
from tetrarch.ledger.finality import (
    VOTERS_MAX,
    Certificate,
    Vote,
    Voters,
    read_certificate,
    write_certificate,
)
from tetrarch.ledger.headers import (
    PRAOS_SIZE_BYTES,
    BlockId,
    Header,
    decode_header,
    encode_header,
)
from tetrarch.ledger.state_chunks import StateRefused, decode_voters, encode_voters, hash_of
from tetrarch.ledger.state_digest import StateDigest, decode_digest
from tetrarch.ledger.wire import Reader, Writer

NUMBER: Final = 3  # among parts of a state
HEADERS_MAX: Final = 4096
_VOTERS_SIZE_BYTES_MAX: Final = 5 + VOTERS_MAX * 40


@dataclass(frozen=True, slots=True)
class StateProof:
    """``headers`` lead from the block, without it, to the certificate's target; ``voters`` are those of the proven state."""

    block: Block
    headers: tuple[Header, ...]
    certificate: Certificate
    voters: Voters

    @property
    def digest(self) -> StateDigest:
        """Of the state that its block found. Raises StateRefused: it says nothing of it."""
        digests = split_content(self.block).digests
        if len(digests) != 1:
            raise StateRefused("verify state proof", reason="its block has no state digest")
        return decode_digest(digests[0])

    @property
    def state_height(self) -> int:
        """Of the block that left the proven state."""
        return self.block.header.chain_length - 1

    def check(self, trusted: Voters, block0: BlockId) -> None:
        """Whether a quorum of ``trusted`` vouches for it. Cost: 0.15 ms for each of their signatures.

        Raises:
            StateRefused, VoteRefused, BytesInvalid: it does not hold, and why.
        """
        link = self.certificate.link
        end = self._end()
        if (link.target.height, link.target.block) != (end.chain_length, end.id):
            raise StateRefused("verify state proof", reason="its certificate is for another block")
        if not link.makes_final or link.source.height < self.state_height:
            raise StateRefused("verify state proof", reason="nothing is final by its certificate")
        known = [voter for voter in self.certificate.signatures if voter in trusted.weights]
        weight = trusted.weight(known)
        if weight < trusted.needed:
            raise StateRefused("verify state proof", weight=weight, needed=trusted.needed)
        for voter in known:
            Vote(link, voter, self.certificate.signatures[voter]).check(block0)
        if hash_of(encode_voters(self.voters)) != self.digest.voters:
            raise StateRefused("verify state proof", reason="its voters are not those of the state")

    def _end(self) -> Header:
        end = self.block.header
        for header in self.headers:
            if header.parent != end.id or header.chain_length != end.chain_length + 1:
                raise StateRefused("verify state proof", reason="its headers are no branch")
            end = header
        return end


def check_proofs(proofs: Sequence[StateProof], first: Voters, block0: BlockId) -> StateDigest:
    """What the last of them proves, from the voters of the first block on.

    Raises:
        StateRefused, VoteRefused, BytesInvalid: one of them does not hold, and why.
    """
    if not proofs:
        raise StateRefused("verify state", reason="nothing proves it")
    trusted, height = first, -1
    for proof in proofs:
        if proof.state_height <= height:
            raise StateRefused("verify state", reason="its proofs are not in order")
        proof.check(trusted, block0)
        trusted, height = proof.voters, proof.state_height
    return proofs[-1].digest


def needed_proofs(proofs: Iterable[StateProof], first: Voters) -> list[StateProof]:
    """Of all proofs up to a state, oldest first: those with which voters changed, and the last."""
    needed: list[StateProof] = []
    trusted, last = first, None
    for proof in proofs:
        last = proof
        if proof.voters != trusted:
            needed.append(proof)
            trusted, last = proof.voters, None
    return needed if last is None else [*needed, last]


def encode_proof(proof: StateProof) -> bytes:
    """As it is kept and travels."""
    writer = Writer().u8(NUMBER).sized(encode_voters(proof.voters)).sized(encode_block(proof.block))
    writer.u32(len(proof.headers))
    for header in proof.headers:
        writer.sized(encode_header(header))
    write_certificate(writer, proof.certificate)
    return writer.data


def decode_proof(data: bytes) -> StateProof:
    """Read one; nothing is verified.

    Raises:
        BytesInvalid, StateRefused, VoteRefused, HeaderInvalid, BlockInvalid: it is none.
    """
    reader = Reader(data, what="state proof")
    reader.u8(lowest=NUMBER, highest=NUMBER)
    voters = decode_voters(reader.sized(highest=_VOTERS_SIZE_BYTES_MAX))
    block = decode_block(reader.sized(highest=1 + PRAOS_SIZE_BYTES + CONTENT_SIZE_BYTES_MAX))
    headers = tuple(
        decode_header(reader.sized(highest=1 + PRAOS_SIZE_BYTES))
        for _ in range(reader.u32(highest=HEADERS_MAX))
    )
    certificate = read_certificate(reader)
    reader.end()
    return StateProof(block, headers, certificate, voters)
