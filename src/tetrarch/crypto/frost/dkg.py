"""Key generation among n, of whom any t sign, and none of whom ever holds the key: Pedersen's, with proofs.

Round one: each index draws a polynomial of degree t - 1, and a key to be written to; it tells its ``Opening``: the
coefficients' commitments, a proof that it knows the first (else it could choose it by the others': the rogue key), and the
key to be written to. Round two: each index writes to each other its polynomial's value there, in a ``Letter`` that only
that one can read. Then each ``finish``es: it reads its letters, holds them against the openings, and adds up.

Who gives a false letter is found: its reader ``accuse``s, and gives up that letter's secret with a proof, and nothing else;
anybody ``judge``s. Openings and letters must be the same to all: they go over a ledger or another reliable broadcast.

All that is drawn follows from one seed and the generation's context, so a node that crashed comes to the same again; round
two's also from all openings, so the same key for a letter is never used for two of them.

An index is one share; whoever has weight w takes part as w indices.

Source: Pedersen 1991; Komlo and Goldberg, FROST, figure 1; facts of Serai's PedPoP for the letters and blame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256, shake_256
from typing import Final

from tetrarch.crypto.frost.groups import (
    WIDE_SIZE_BYTES,
    FrostScalarInvalid,
    Point,
    Scalar,
)
from tetrarch.crypto.frost.keys import (
    Keys,
    PublicKeys,
    Quorum,
    SecretShare,
    evaluate,
    evaluate_points,
)
from tetrarch.crypto.frost.proofs import (
    EqualityProof,
    KnowledgeProof,
    is_equal,
    is_known,
    prove_equality,
    prove_knowledge,
)
from tetrarch.crypto.frost.suites import Suite
from tetrarch.errors import InputInvalid, invariant

SEED_SIZE_BYTES: Final = 32
CONTEXT_SIZE_BYTES: Final = 32


class OpeningsInvalid(InputInvalid):
    """Openings that are not what they must be. ``culprits`` are those who gave them."""

    code = "dkg_openings_invalid"

    def __init__(self, action: str, /, *, culprits: tuple[int, ...], reason: str) -> None:
        super().__init__(action, culprits=culprits, reason=reason)
        self.culprits = culprits


class LettersInvalid(InputInvalid):
    """Letters that are missing or false. ``culprits`` are those who should have written them."""

    code = "dkg_letters_invalid"

    def __init__(self, action: str, /, *, culprits: tuple[int, ...]) -> None:
        super().__init__(action, culprits=culprits)
        self.culprits = culprits


class Verdict(StrEnum):
    """Who of an accusation's two is at fault."""

    SENDER = "sender"
    ACCUSER = "accuser"


@dataclass(frozen=True, slots=True)
class Generation:
    """What all agree on before they begin. ``context`` is of nothing else: a hash of chain, key, session and attempt."""

    suite: Suite
    quorum: Quorum
    context: bytes

    def __post_init__(self) -> None:
        """A context is a hash."""
        invariant(len(self.context) == CONTEXT_SIZE_BYTES, "a context has 32 bytes")


@dataclass(frozen=True, slots=True)
class Opening:
    """Round one, told to all."""

    commitments: tuple[Point, ...]
    proof: KnowledgeProof
    letter_key: Point


@dataclass(frozen=True, slots=True)
class Letter:
    """Round two, from one index to another: a scalar that only the reader can read, and who wrote it."""

    key: Point
    proof: KnowledgeProof
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """What opens one letter for all, and that it is what opens it."""

    shared: Point
    proof: EqualityProof


@dataclass(frozen=True, slots=True)
class Accusation:
    """That ``sender`` wrote a false letter. There is no ``key`` to one whose proof is false: it may be another's, copied."""

    accuser: int
    sender: int
    key: Key | None


class Participant:
    """One index of a generation, from its secret seed. Cost of making one: 30 us for each of t."""

    def __init__(self, generation: Generation, index: int, seed: bytes) -> None:
        """``seed`` is 32 uniform bytes, of this generation's index alone, or of its node with the context in between."""
        invariant(len(seed) == SEED_SIZE_BYTES, "a seed has 32 bytes")
        invariant(1 <= index <= generation.quorum.shares, "an index is 1 to n")
        self.index = index
        self._generation = generation
        self._seed = seed
        self._polynomial = tuple(
            self._draw("coefficient", number.to_bytes(4, "big"))
            for number in range(generation.quorum.threshold)
        )
        self._letter_secret = self._draw("letters")

    def open(self) -> Opening:
        """Round one. The same each time."""
        generation = self._generation
        suite = generation.suite
        commitments = tuple(suite.group.multiply_base(each) for each in self._polynomial)
        letter_key = suite.group.multiply_base(self._letter_secret)
        proof = prove_knowledge(
            suite,
            self._polynomial[0],
            nonce=self._draw("proof"),
            prefix=_identifier(suite, self.index),
            context=_opening_context(generation, commitments, letter_key),
        )
        return Opening(commitments, proof, letter_key)

    def write(self, openings: Mapping[int, Opening]) -> dict[int, Letter]:
        """Round two: a letter to each other index. Cost: 0.2 ms for each, and ``check_openings``.

        Raises:
            OpeningsInvalid: some are missing or false.
        """
        check_openings(self._generation, openings)
        invariant(openings[self.index] == self.open(), "an own opening is the own one")
        digest = digest_of(self._generation, openings)
        others = (each for each in sorted(openings) if each != self.index)
        return {to: self._letter(to, openings[to].letter_key, digest) for to in others}

    def finish(self, openings: Mapping[int, Opening], letters: Mapping[int, Letter]) -> Keys:
        """Read the letters to this index, by their senders, and add up. Cost: 60 us for each of n times t.

        Raises:
            OpeningsInvalid: some are missing or false.
            LettersInvalid: some are; each of the culprits can be accused, or wrote none.
        """
        generation = self._generation
        suite = generation.suite
        check_openings(generation, openings)
        digest = digest_of(generation, openings)
        total = evaluate(suite, self._polynomial, self.index)
        culprits = []
        for sender, opening in sorted(openings.items()):
            if sender == self.index:
                continue
            letter = letters.get(sender)
            part = None
            if letter is not None:
                secret = suite.group.shared_secret(self._letter_secret, letter.key)
                part = _read(
                    generation, digest, letter, opening, sender=sender, to=self.index, secret=secret
                )
            if part is None:
                culprits.append(sender)
            else:
                total = suite.group.add_scalars(total, part)
        if culprits:
            raise LettersInvalid("read letters", culprits=tuple(culprits))
        return Keys(public_keys(generation, openings), SecretShare(self.index, total))

    def accuse(self, openings: Mapping[int, Opening], sender: int, letter: Letter) -> Accusation:
        """Open a letter for all to see. Nothing else that was written to this index can be read by it."""
        suite, digest = self._generation.suite, digest_of(self._generation, openings)
        if not _is_written(self._generation, digest, letter, sender, self.index):
            return Accusation(self.index, sender, None)
        proof = prove_equality(
            suite,
            self._letter_secret,
            letter.key,
            nonce=self._draw("accusation", digest + sender.to_bytes(4, "big") + letter.key),
            context=_accusation_context(digest, sender, self.index),
        )
        shared = suite.group.multiply(self._letter_secret, letter.key)
        return Accusation(self.index, sender, Key(shared, proof))

    def _letter(self, to: int, letter_key: Point, digest: bytes) -> Letter:
        suite = self._generation.suite
        purpose = digest + to.to_bytes(4, "big")
        secret = self._draw("letter", purpose)
        key = suite.group.multiply_base(secret)
        value = evaluate(suite, self._polynomial, to)
        pad = _pad(digest, self.index, to, suite.group.shared_secret(secret, letter_key))
        ciphertext = bytes(a ^ b for a, b in zip(value, pad, strict=True))
        proof = prove_knowledge(
            suite,
            secret,
            nonce=self._draw("letter proof", purpose),
            prefix=_identifier(suite, self.index),
            context=_letter_context(digest, to, ciphertext),
        )
        return Letter(key, proof, ciphertext)

    def _draw(self, purpose: str, more: bytes = b"") -> Scalar:
        """A scalar that follows from the seed, the generation and what it is for, and is not 0 in any lifetime."""
        group = self._generation.suite.group
        parts = (
            b"tetrarch dkg",
            self._seed,
            self._generation.context,
            self._generation.suite.name.encode(),
            self.index.to_bytes(4, "big"),
            purpose.encode(),
            more,
        )
        data = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return group.reduce(shake_256(data).digest(WIDE_SIZE_BYTES))


def check_openings(generation: Generation, openings: Mapping[int, Opening]) -> None:
    """Whether all are there, and each gives what it must. Cost: 0.1 ms for each.

    Raises:
        OpeningsInvalid: it says whose are not.
    """
    quorum, suite = generation.quorum, generation.suite
    everybody = range(1, quorum.shares + 1)
    if openings.keys() != set(everybody):
        missing = tuple(sorted(set(everybody) ^ openings.keys()))
        raise OpeningsInvalid("read openings", culprits=missing, reason="missing, or of nobody")
    culprits = tuple(
        index
        for index, opening in sorted(openings.items())
        if len(opening.commitments) != quorum.threshold
        or not is_known(
            suite,
            opening.commitments[0],
            opening.proof,
            prefix=_identifier(suite, index),
            context=_opening_context(generation, opening.commitments, opening.letter_key),
        )
    )
    if culprits:
        raise OpeningsInvalid("read openings", culprits=culprits, reason="not proven")


def public_keys(generation: Generation, openings: Mapping[int, Opening]) -> PublicKeys:
    """The key that comes of checked openings, and each index' public share. Cost: 50 us for each of n times t."""
    group, quorum = generation.suite.group, generation.quorum
    sums = [
        group.add([opening.commitments[power] for opening in openings.values()])
        for power in range(quorum.threshold)
    ]
    if sums[0] == group.identity:
        everybody = tuple(sorted(openings))
        raise OpeningsInvalid("add up openings", culprits=everybody, reason="there is no key")
    shares = tuple(
        evaluate_points(generation.suite, sums, index) for index in range(1, quorum.shares + 1)
    )
    return PublicKeys(quorum, sums[0], shares)


def judge(
    generation: Generation,
    openings: Mapping[int, Opening],
    accusation: Accusation,
    letter: Letter,
) -> Verdict:
    """Who is at fault, by what all have seen: the letter that ``sender`` wrote, and what is said of it."""
    suite, digest = generation.suite, digest_of(generation, openings)
    sender, accuser = accusation.sender, accusation.accuser
    if not _is_written(generation, digest, letter, sender, accuser):
        return Verdict.SENDER
    key = accusation.key
    if key is None:
        return Verdict.ACCUSER
    reader = openings[accuser].letter_key
    context = _accusation_context(digest, sender, accuser)
    if not is_equal(suite, key.proof, (reader, letter.key, key.shared), context=context):
        return Verdict.ACCUSER
    secret = suite.group.secret_of(key.shared)
    opening = openings[sender]
    read = _read(generation, digest, letter, opening, sender=sender, to=accuser, secret=secret)
    return Verdict.SENDER if read is None else Verdict.ACCUSER


def digest_of(generation: Generation, openings: Mapping[int, Opening]) -> bytes:
    """32 bytes that tell a generation and all its openings from any other."""
    hashed = sha256(generation.context + generation.suite.name.encode())
    hashed.update(generation.quorum.threshold.to_bytes(4, "big"))
    for index, opening in sorted(openings.items()):
        hashed.update(index.to_bytes(4, "big") + len(opening.commitments).to_bytes(4, "big"))
        hashed.update(b"".join(opening.commitments) + opening.letter_key)
        hashed.update(opening.proof.commitment + opening.proof.response)
    return hashed.digest()


def _read(
    generation: Generation,
    digest: bytes,
    letter: Letter,
    opening: Opening,
    *,
    sender: int,
    to: int,
    secret: bytes,
) -> Scalar | None:
    """What a letter says, if it is what its sender's polynomial has at ``to``."""
    suite = generation.suite
    if not _is_written(generation, digest, letter, sender, to):
        return None
    pad = _pad(digest, sender, to, secret)
    try:
        value = suite.group.decode_scalar(
            bytes(a ^ b for a, b in zip(letter.ciphertext, pad, strict=True))
        )
    except (FrostScalarInvalid, ValueError):
        return None
    told = evaluate_points(suite, opening.commitments, to)
    return value if suite.group.multiply_base(value) == told else None


def _is_written(
    generation: Generation, digest: bytes, letter: Letter, sender: int, to: int
) -> bool:
    """Whether the letter's key is its sender's own: a copied one would have the reader open another's letter."""
    return is_known(
        generation.suite,
        letter.key,
        letter.proof,
        prefix=_identifier(generation.suite, sender),
        context=_letter_context(digest, to, letter.ciphertext),
    )


def _identifier(suite: Suite, index: int) -> bytes:
    return suite.group.to_scalar(index)


def _opening_context(
    generation: Generation, commitments: tuple[Point, ...], letter_key: Point
) -> bytes:
    return sha256(generation.context + b"".join(commitments) + letter_key).digest()


def _letter_context(digest: bytes, to: int, ciphertext: bytes) -> bytes:
    return sha256(b"letter" + digest + to.to_bytes(4, "big") + ciphertext).digest()


def _accusation_context(digest: bytes, sender: int, accuser: int) -> bytes:
    return sha256(
        b"accusation" + digest + sender.to_bytes(4, "big") + accuser.to_bytes(4, "big")
    ).digest()


def _pad(digest: bytes, sender: int, to: int, secret: bytes) -> bytes:
    """32 bytes for one letter: no other has its secret, or the same two."""
    parts = sender.to_bytes(4, "big") + to.to_bytes(4, "big")
    return sha256(b"tetrarch dkg letter" + digest + parts + secret).digest()
