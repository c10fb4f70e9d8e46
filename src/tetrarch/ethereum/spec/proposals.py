"""Blocks to be proposed and blocks proposed, full and blinded, as the node carries them: bytes.

The body of a block is never needed as Python values once its header is known, so a proposal keeps
the SSZ bytes it came in, the header (same root as the block), and the few fields that are checked.

Source: consensus-specs (BeaconBlock), beacon-APIs (BlockContents), builder-specs (blinded blocks).
"""

from dataclasses import dataclass, field
from typing import Any, Self

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.values import BeaconBlockHeader, Fork, member, parse_hex
from tetrarch.ssz.container import Container, Record

SIGNATURE_SIZE_BYTES = 96
_SIGNED_PREFIX_BYTES = 4 + SIGNATURE_SIZE_BYTES  # a signed block: offset, signature, block
_CONTENTS_PREFIX_BYTES = 3 * 4  # block contents: three offsets, then block, proofs, blobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An unsigned block of one fork; build it with ``from_ssz`` or ``from_json``.

    ``ssz`` is a BeaconBlock before Deneb, BlockContents (block, proofs, blobs) from Deneb on, and
    a BlindedBeaconBlock when ``blinded``. Proposals with equal bytes, fork and form are equal.

    The two values are what the node that made the block says of it; None: nothing.
    """

    fork: Fork
    blinded: bool
    preset: str
    ssz: bytes = field(repr=False)
    header: BeaconBlockHeader = field(compare=False)
    fee_recipient: bytes | None = field(compare=False)  # 20 bytes; None before Bellatrix
    randao_reveal: bytes = field(compare=False, repr=False)
    graffiti: bytes = field(compare=False, repr=False)
    execution_value_wei: int | None = field(default=None, compare=False)  # fees and bribes
    consensus_value_wei: int | None = field(default=None, compare=False)  # rewards of its content

    @property
    def value_wei(self) -> int | None:
        """What the block is worth to its proposer, as far as its maker says."""
        known = [v for v in (self.execution_value_wei, self.consensus_value_wei) if v is not None]
        return sum(known) if known else None

    @classmethod
    def from_ssz(cls, fork: Fork, blinded: bool, data: bytes, *, preset: str) -> Self:  # noqa: FBT001 - the API's pair
        """Decode and hash a block as the beacon node produces it.

        Raises:
            InputInvalid: not such a block; names the field.

        Cost: decodes everything and hashes the block; 130 kB take about 5 ms.
        """
        record = _produced_type(fork, blinded, preset).decode(data)
        return cls._of(fork, blinded, bytes(data), record, preset)

    @classmethod
    def from_json(cls, fork: Fork, blinded: bool, value: object, *, preset: str) -> Self:  # noqa: FBT001
        """Read the ``data`` member of the beacon API's answer; raises InputInvalid."""
        record = _produced_type(fork, blinded, preset).from_json(value)
        return cls._of(fork, blinded, record.encode(), record, preset)

    @classmethod
    def _of(cls, fork: Fork, blinded: bool, ssz: bytes, record: Record, preset: str) -> Self:  # noqa: FBT001
        block = record.block if _has_contents(fork, blinded=blinded) else record
        body: Any = block.body
        payload = None
        if fork.at_least(Fork.BELLATRIX):
            payload = body.execution_payload_header if blinded else body.execution_payload
        return cls(
            fork=fork,
            blinded=blinded,
            preset=preset,
            ssz=ssz,
            header=BeaconBlockHeader(
                slot=block.slot,
                proposer_index=block.proposer_index,
                parent_root=block.parent_root,
                state_root=block.state_root,
                body_root=body.hash_tree_root(),
            ),
            fee_recipient=None if payload is None else payload.fee_recipient,
            randao_reveal=body.randao_reveal,
            graffiti=body.graffiti,
        )

    def to_json(self) -> dict[str, Any]:
        """The ``data`` member as the beacon API has it."""
        record: Record = _produced_type(self.fork, self.blinded, self.preset).decode(self.ssz)
        return record.to_json()

    def hash_tree_root(self) -> bytes:
        """The block's root, 32 bytes; the same for the full and the blinded form."""
        return self.header.hash_tree_root()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedProposal:
    """A proposal with its proposer's signature: what is published."""

    proposal: Proposal
    signature: bytes  # 96 bytes

    def __post_init__(self) -> None:
        if len(self.signature) != SIGNATURE_SIZE_BYTES:
            raise InputInvalid("sign proposal", field="signature", got=len(self.signature))

    @property
    def fork(self) -> Fork:
        """The block's fork."""
        return self.proposal.fork

    @property
    def blinded(self) -> bool:
        """Whether the payload is a header only."""
        return self.proposal.blinded

    @property
    def preset(self) -> str:
        """``mainnet`` or ``minimal``."""
        return self.proposal.preset

    @property
    def header(self) -> BeaconBlockHeader:
        """The block's header."""
        return self.proposal.header

    @property
    def ssz(self) -> bytes:
        """SignedBeaconBlock, SignedBlockContents (Deneb on) or SignedBlindedBeaconBlock."""
        data = self.proposal.ssz
        if not _has_contents(self.fork, blinded=self.blinded):
            return _signed_block(data, self.signature)
        proofs, blobs = _offset(data, 4), _offset(data, 8)
        block = _signed_block(data[_CONTENTS_PREFIX_BYTES:proofs], self.signature)
        return _contents(block, data[proofs:blobs], data[blobs:])

    @classmethod
    def from_ssz(cls, fork: Fork, blinded: bool, data: bytes, *, preset: str) -> Self:  # noqa: FBT001 - the API's pair
        """Decode and hash a signed block as a validator client publishes it.

        Raises:
            InputInvalid: not such a block; names the field.
        """
        _produced_type(fork, blinded, preset)
        if not _has_contents(fork, blinded=blinded):
            signature, inner = _split_signed_block(data)
        else:
            proofs, blobs = _split_contents(data)
            signature, block = _split_signed_block(data[_CONTENTS_PREFIX_BYTES:proofs])
            inner = _contents(block, data[proofs:blobs], data[blobs:])
        proposal = Proposal.from_ssz(fork, blinded, inner, preset=preset)
        return cls(proposal=proposal, signature=signature)

    @classmethod
    def from_json(cls, fork: Fork, blinded: bool, value: object, *, preset: str) -> Self:  # noqa: FBT001
        """Read the body of a publish request; raises InputInvalid."""
        _produced_type(fork, blinded, preset)
        contents = _has_contents(fork, blinded=blinded)
        block = member(value, "signed_block", what="contents") if contents else value
        message = member(block, "message", what="signed_block")
        signature = parse_hex(
            member(block, "signature", what="signed_block"),
            size_bytes=SIGNATURE_SIZE_BYTES,
            what="signed_block.signature",
        )
        if contents and isinstance(value, dict):
            message = {**value, "block": message}
        proposal = Proposal.from_json(fork, blinded, message, preset=preset)
        return cls(proposal=proposal, signature=signature)

    def to_json(self) -> dict[str, Any]:
        """The body of a publish request."""
        inner = self.proposal.to_json()
        signature = "0x" + self.signature.hex()
        if not _has_contents(self.fork, blinded=self.blinded):
            return {"message": inner, "signature": signature}
        block = {"message": inner.pop("block"), "signature": signature}
        return {"signed_block": block, **inner}


def sign_proposal(proposal: Proposal, signature: bytes) -> SignedProposal:
    """``proposal`` with its 96-byte group signature; raises InputInvalid for another length."""
    return SignedProposal(proposal=proposal, signature=bytes(signature))


def _has_contents(fork: Fork, *, blinded: bool) -> bool:
    return fork.at_least(Fork.DENEB) and not blinded


def _produced_type(fork: Fork, blinded: bool, preset: str) -> Container:  # noqa: FBT001
    types = spec_types(fork, preset)
    if _has_contents(fork, blinded=blinded):
        return types.BlockContents
    if not blinded:
        return types.BeaconBlock
    if not fork.at_least(Fork.BELLATRIX):
        raise InputInvalid("decode proposal", fork=fork.value, reason="has no blinded blocks")
    return types.BlindedBeaconBlock


# A signature is put around a block, and taken off, in the bytes themselves: nothing inside the
# block moves, and what was taken off is decoded strictly afterwards.


def _offset(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _signed_block(block: bytes, signature: bytes) -> bytes:
    return _SIGNED_PREFIX_BYTES.to_bytes(4, "little") + signature + block


def _contents(block: bytes, proofs: bytes, blobs: bytes) -> bytes:
    first = _CONTENTS_PREFIX_BYTES
    second = first + len(block)
    third = second + len(proofs)
    offsets = b"".join(offset.to_bytes(4, "little") for offset in (first, second, third))
    return offsets + block + proofs + blobs


def _split_signed_block(data: bytes) -> tuple[bytes, bytes]:
    """Signature and block."""
    if len(data) < _SIGNED_PREFIX_BYTES or _offset(data, 0) != _SIGNED_PREFIX_BYTES:
        raise InputInvalid("decode signed block", field="message", reason="wrong offset")
    return bytes(data[4:_SIGNED_PREFIX_BYTES]), bytes(data[_SIGNED_PREFIX_BYTES:])


def _split_contents(data: bytes) -> tuple[int, int]:
    """Where the proofs and the blobs begin."""
    proofs, blobs = _offset(data, 4), _offset(data, 8)
    first = _CONTENTS_PREFIX_BYTES
    if len(data) < first or _offset(data, 0) != first or not first <= proofs <= blobs <= len(data):
        raise InputInvalid("decode signed block", field="signed_block", reason="wrong offset")
    return proofs, blobs
