"""The bytes of what key generation and signing tell: parts of fixed sizes, one after the other, and nothing behind them."""

from typing import Final

from tetrarch.crypto.frost.dkg import Accusation, Generation, Key, Letter, Opening
from tetrarch.crypto.frost.groups import Point, Scalar
from tetrarch.crypto.frost.proofs import EqualityProof, KnowledgeProof
from tetrarch.crypto.frost.signing import Commitment
from tetrarch.crypto.frost.suites import Suite
from tetrarch.errors import InputInvalid

SCALAR_SIZE_BYTES: Final = 32
INDEX_SIZE_BYTES: Final = 4


class FrostMessageInvalid(InputInvalid):
    """Bytes that are too few, too many, or say nothing where something must be said."""

    code = "frost_message_invalid"


class _Reader:
    """Takes parts from the front; ``end`` holds that nothing is left."""

    def __init__(self, suite: Suite, what: str, data: bytes) -> None:
        self._suite = suite
        self._what = what
        self._data = data
        self._at = 0

    def raw(self, size_bytes: int) -> bytes:
        part = self._data[self._at : self._at + size_bytes]
        if len(part) != size_bytes:
            raise FrostMessageInvalid(f"read {self._what}", got_bytes=len(self._data))
        self._at += size_bytes
        return part

    def point(self) -> Point:
        return self._suite.group.decode_point(self.raw(self._suite.group.point_size_bytes))

    def scalar(self) -> Scalar:
        return self._suite.group.decode_scalar(self.raw(SCALAR_SIZE_BYTES))

    def index(self) -> int:
        return int.from_bytes(self.raw(INDEX_SIZE_BYTES), "big")

    def proof(self) -> KnowledgeProof:
        return KnowledgeProof(self.point(), self.scalar())

    def end(self) -> None:
        if self._at != len(self._data):
            spare = len(self._data) - self._at
            raise FrostMessageInvalid(f"read {self._what}", spare_bytes=spare)


def encode_opening(opening: Opening) -> bytes:
    """T + 2 points and a scalar."""
    proof = opening.proof
    points = b"".join(opening.commitments)
    return points + proof.commitment + proof.response + opening.letter_key


def decode_opening(generation: Generation, data: bytes) -> Opening:
    """Read an opening of ``generation``.

    Raises:
        FrostMessageInvalid: another length. FrostPointInvalid, FrostScalarInvalid: a part is none.
    """
    reader = _Reader(generation.suite, "opening", data)
    points = tuple(reader.point() for _ in range(generation.quorum.threshold))
    opening = Opening(points, reader.proof(), reader.point())
    reader.end()
    return opening


def encode_letter(letter: Letter) -> bytes:
    """Two points, a scalar and what is encrypted."""
    return letter.key + letter.proof.commitment + letter.proof.response + letter.ciphertext


def decode_letter(generation: Generation, data: bytes) -> Letter:
    """Read a letter. Raises as ``decode_opening``."""
    reader = _Reader(generation.suite, "letter", data)
    letter = Letter(reader.point(), reader.proof(), reader.raw(SCALAR_SIZE_BYTES))
    reader.end()
    return letter


def encode_accusation(accusation: Accusation) -> bytes:
    """Two indices; with a key, a point and two scalars."""
    parts = [
        each.to_bytes(INDEX_SIZE_BYTES, "big") for each in (accusation.accuser, accusation.sender)
    ]
    if accusation.key is not None:
        proof = accusation.key.proof
        parts += [accusation.key.shared, proof.challenge, proof.response]
    return b"".join(parts)


def decode_accusation(generation: Generation, data: bytes) -> Accusation:
    """Read an accusation. Raises as ``decode_opening``, and for indices that nobody has."""
    reader = _Reader(generation.suite, "accusation", data)
    accuser, sender = reader.index(), reader.index()
    shares = generation.quorum.shares
    if accuser == sender or not (1 <= accuser <= shares and 1 <= sender <= shares):
        raise FrostMessageInvalid("read accusation", accuser=accuser, sender=sender)
    key = None
    if len(data) > 2 * INDEX_SIZE_BYTES:
        key = Key(reader.point(), EqualityProof(reader.scalar(), reader.scalar()))
    reader.end()
    return Accusation(accuser, sender, key)


def encode_commitment(commitment: Commitment) -> bytes:
    """Two points."""
    return commitment.hiding + commitment.binding


def decode_commitment(suite: Suite, data: bytes) -> Commitment:
    """Read a signer's commitment. Raises as ``decode_opening``."""
    reader = _Reader(suite, "commitment", data)
    commitment = Commitment(reader.point(), reader.point())
    reader.end()
    return commitment
