"""Proofs about discrete logarithms: that one is known, and that two are equal."""

from dataclasses import dataclass

from tetrarch.crypto.frost.groups import Point, Scalar
from tetrarch.crypto.frost.suites import Suite


@dataclass(frozen=True, slots=True)
class KnowledgeProof:
    """Schnorr's: that whoever made it knows ``point``'s multiple of the generator."""

    commitment: Point
    response: Scalar


@dataclass(frozen=True, slots=True)
class EqualityProof:
    """Chaum and Pedersen's: that two points are the same multiple of two others."""

    challenge: Scalar
    response: Scalar


def prove_knowledge(
    suite: Suite, secret: Scalar, *, nonce: Scalar, prefix: bytes, context: bytes
) -> KnowledgeProof:
    """Prove that ``secret`` is known. ``nonce`` is uniform and of no other use. Cost: 60 us.

    The challenge is HDKG(prefix || point || commitment || context), as the Zcash Foundation's without context.
    """
    group = suite.group
    commitment = group.multiply_base(nonce)
    challenge = _challenge(suite, prefix, group.multiply_base(secret), commitment, context)
    return KnowledgeProof(
        commitment, group.add_scalars(nonce, group.multiply_scalars(secret, challenge))
    )


def is_known(
    suite: Suite, point: Point, proof: KnowledgeProof, *, prefix: bytes, context: bytes
) -> bool:
    """Whether ``proof`` is of ``point``. Cost: 0.1 ms."""
    group = suite.group
    challenge = _challenge(suite, prefix, point, proof.commitment, context)
    told = group.add((proof.commitment, group.multiply(challenge, point)))
    return group.multiply_base(proof.response) == told


def prove_equality(
    suite: Suite, secret: Scalar, base: Point, *, nonce: Scalar, context: bytes
) -> EqualityProof:
    """Prove that ``secret`` times ``base`` is what ``secret`` times the generator is to it. Cost: 0.2 ms.

    ``base`` and its products are not secret, but in the time that multiplying it takes ``secret`` and ``nonce`` may be
    seen where the group's library has no other way (secp256k1): it is for secrets that are given up with the proof.
    """
    group = suite.group
    points = (
        group.multiply_base(secret),
        group.multiply(secret, base),
        group.multiply_base(nonce),
        group.multiply(nonce, base),
    )
    challenge = suite.hash_to_scalar(b"dleq", base + b"".join(points) + context)
    return EqualityProof(
        challenge, group.add_scalars(nonce, group.multiply_scalars(secret, challenge))
    )


def is_equal(
    suite: Suite, proof: EqualityProof, points: tuple[Point, Point, Point], *, context: bytes
) -> bool:
    """Whether, of ``points``, the third is to the second as the first is to the generator. Cost: 0.3 ms."""
    group = suite.group
    public, base, shared = points
    minus = group.negate_scalar(proof.challenge)
    first = group.add((group.multiply_base(proof.response), group.multiply(minus, public)))
    second = group.add((group.multiply(proof.response, base), group.multiply(minus, shared)))
    told = base + public + shared + first + second
    return suite.hash_to_scalar(b"dleq", told + context) == proof.challenge


def _challenge(
    suite: Suite, prefix: bytes, point: Point, commitment: Point, context: bytes
) -> Scalar:
    return suite.hash_to_scalar(b"dkg", prefix + point + commitment + context)
