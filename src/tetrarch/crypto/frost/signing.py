"""Two rounds of signing: RFC 9591, section 5, for any suite.

Round one: each signer draws ``Nonces`` and tells their ``Commitment``. Round two: all commitments and the message make a
``Signing``, the same at all signers; each gives its ``share``, once. Whoever has all shares ``aggregate``s them. If what comes
out is no signature, those who gave a false share are named: each share can be judged by itself.

Nonces must never be used for two messages, or with two sets of commitments: two shares with the same nonces tell the secret.
``Nonces`` give themselves away once; that this holds across restarts is for whoever keeps them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tetrarch.crypto.frost.groups import Point, Scalar
from tetrarch.crypto.frost.keys import INDEX_MAX, Keys, PublicKeys, SecretShare, even, even_public
from tetrarch.crypto.frost.suites import Suite
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid, invariant

NONCE_ENTROPY_SIZE_BYTES: Final = 32


class FrostSignersInvalid(InputInvalid):
    """Those who are to sign are too few, unknown, or there twice."""

    code = "frost_signers_invalid"


class FrostCommitmentInvalid(InputInvalid):
    """Nonces' commitments that cannot be used together: their sum is the group's identity."""

    code = "frost_commitment_invalid"


class FrostSharesInvalid(InputInvalid):
    """Shares of which no signature comes. ``culprits`` are the indices whose shares are false."""

    code = "frost_shares_invalid"

    def __init__(self, action: str, /, *, culprits: tuple[int, ...]) -> None:
        super().__init__(action, culprits=culprits)
        self.culprits = culprits


@dataclass(frozen=True, slots=True)
class Commitment:
    """Of one signer's two nonces: what round one tells."""

    hiding: Point
    binding: Point


class Nonces:
    """A signer's secret nonces for one message. Neither printed nor pickled, and taken once."""

    __slots__ = ("_pair", "commitment")

    def __init__(self, hiding: Scalar, binding: Scalar, commitment: Commitment) -> None:
        self._pair: tuple[Scalar, Scalar] | None = (hiding, binding)
        self.commitment = commitment

    def take(self) -> tuple[Scalar, Scalar]:
        """The hiding and the binding nonce."""
        pair, self._pair = self._pair, None
        invariant(pair is not None, "nonces are used once")
        assert pair is not None
        return pair

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"Nonces({self.commitment})"

    def __reduce__(self) -> str:
        """Refuse to be pickled."""
        raise TypeError("nonces are not pickled")


@dataclass(frozen=True, slots=True)
class Part:
    """Of what a signer's answer consists, and what it is judged by."""

    binding_factor: Scalar
    weight: Scalar  # of its secret in the key: RFC 9591, 4.2


@dataclass(frozen=True, slots=True)
class Signing:
    """One message and those who sign it: ``begin`` it. The same input makes the same anywhere."""

    suite: Suite
    keys: PublicKeys  # of the key, or its opposite, whichever signatures tell
    message: bytes
    commitments: Mapping[int, Commitment]
    sum_of_commitments: Point
    challenge: Scalar
    parts: Mapping[int, Part] = field(repr=False)

    @classmethod
    def begin(
        cls,
        suite: Suite,
        keys: PublicKeys,
        commitments: Mapping[int, Commitment],
        message: bytes,
        weights: Mapping[int, Scalar] | None = None,
    ) -> "Signing":
        """Bind all to each other. ``weights`` are ``weights_of`` the signers, if known. Cost: 0.2 ms for each signer.

        Raises:
            FrostSignersInvalid: too few signers, or one that has no share.
            FrostCommitmentInvalid: the commitments' sum is of no use, as somebody chose it so.
        """
        indices = check_signers(keys, commitments)
        keys = even_public(suite, keys)
        weights = weights or weights_of(suite, indices)
        group = suite.group
        encoded = [
            (group.to_scalar(index), commitments[index].hiding, commitments[index].binding)
            for index in indices
        ]
        prefix = (
            keys.key
            + suite.hash(b"msg", message)
            + suite.hash(b"com", b"".join(part for parts in encoded for part in parts))
        )
        factors = {
            index: suite.hash_to_scalar(b"rho", prefix + identifier)
            for index, (identifier, _, _) in zip(indices, encoded, strict=True)
        }
        total = group.add(
            [
                point
                for index in indices
                for point in (
                    commitments[index].hiding,
                    group.multiply(factors[index], commitments[index].binding),
                )
            ]
        )
        if total == group.identity:
            raise FrostCommitmentInvalid("add up nonces", signers=len(indices))
        return cls(
            suite,
            keys,
            message,
            {index: commitments[index] for index in indices},
            total,
            suite.challenge(total, keys.key, message),
            {index: Part(factors[index], weights[index]) for index in indices},
        )


def check_signers(keys: PublicKeys, commitments: Mapping[int, Commitment]) -> tuple[int, ...]:
    """The signers' indices, in order.

    Raises:
        FrostSignersInvalid: too few, or one that has no share.
    """
    indices = tuple(sorted(commitments))
    quorum = keys.quorum
    if len(indices) < quorum.threshold:
        raise FrostSignersInvalid("sign", signers=len(indices), threshold=quorum.threshold)
    if not 1 <= indices[0] <= indices[-1] <= quorum.shares:
        raise FrostSignersInvalid("sign", signers=indices, shares=quorum.shares)
    return indices


def commit(suite: Suite, secret: SecretShare, entropy: Entropy) -> Nonces:
    """Round one, for one message: draw nonces. RFC 9591, 4.1 and 5.1. Cost: 0.1 ms."""
    group = suite.group
    hiding, binding = (
        suite.hash_to_scalar(b"nonce", entropy(NONCE_ENTROPY_SIZE_BYTES) + secret.reveal())
        for _ in range(2)
    )
    commitment = Commitment(group.multiply_base(hiding), group.multiply_base(binding))
    return Nonces(hiding, binding, commitment)


def commit_many(suite: Suite, secret: SecretShare, entropy: Entropy, count: int) -> list[Nonces]:
    """Round one, for so many messages."""
    return [commit(suite, secret, entropy) for _ in range(count)]


def sign(signing: Signing, keys: Keys, nonces: Nonces) -> Scalar:
    """Round two: the share of one signer. RFC 9591, 5.2. Cost: 10 us. The nonces are of no use afterwards.

    Raises:
        FrostSignersInvalid: it is not among the signers, or its commitment there is another's.
    """
    suite, index = signing.suite, keys.secret.index
    if signing.commitments.get(index) != nonces.commitment:
        raise FrostSignersInvalid("sign", index=index, reason="its commitment is not there")
    own = even(suite, keys)
    invariant(own.public.key == signing.keys.key, "a signing is of the key whose share signs")
    hiding, binding = nonces.take()
    group = suite.group
    nonce = group.add_scalars(
        hiding, group.multiply_scalars(binding, signing.parts[index].binding_factor)
    )
    if suite.negates(signing.sum_of_commitments):
        nonce = group.negate_scalar(nonce)
    factor = group.multiply_scalars(signing.challenge, signing.parts[index].weight)
    return group.add_scalars(nonce, group.multiply_scalars(factor, own.secret.reveal()))


def is_share(signing: Signing, index: int, share: Scalar) -> bool:
    """Whether ``share`` is what ``index`` had to give. RFC 9591, 5.4. Cost: 0.25 ms."""
    suite, group = signing.suite, signing.suite.group
    commitment, own = signing.commitments[index], signing.parts[index]
    nonce = group.add((commitment.hiding, group.multiply(own.binding_factor, commitment.binding)))
    if suite.negates(signing.sum_of_commitments):
        nonce = group.negate(nonce)
    factor = group.multiply_scalars(signing.challenge, own.weight)
    secret = group.multiply(factor, signing.keys.share_of(index))
    return group.multiply_base(share) == group.add((nonce, secret))


def aggregate(signing: Signing, shares: Mapping[int, Scalar]) -> bytes:
    """The signature, verified. RFC 9591, 5.3. Cost: 0.1 ms, and 0.25 ms for each share if one is false.

    Raises:
        FrostSignersInvalid: a share is missing, or of nobody who signs.
        FrostSharesInvalid: some are false; it says whose.
    """
    if shares.keys() != signing.commitments.keys():
        odd = sorted(shares.keys() ^ signing.commitments.keys())
        raise FrostSignersInvalid("add up shares", missing_or_unknown=odd)
    suite, group = signing.suite, signing.suite.group
    response = group.to_scalar(0)
    for share in shares.values():
        response = group.add_scalars(response, share)
    signature = suite.encode_signature(signing.sum_of_commitments, response)
    if suite.is_signed(signing.keys.key, signing.message, signature):
        return signature
    culprits = tuple(
        index for index, share in sorted(shares.items()) if not is_share(signing, index, share)
    )
    invariant(bool(culprits), "right shares add up to a signature")
    raise FrostSharesInvalid("add up shares", culprits=culprits)


def weights_of(suite: Suite, indices: Sequence[int]) -> Mapping[int, Scalar]:
    """What each index' secret counts for in the key, if just these sign: Lagrange's, at 0. RFC 9591, 4.2.

    Nothing of it is secret. Cost: 0.2 us for each pair.

    Raises:
        FrostSignersInvalid: one is there twice, or is none.
    """
    if len(set(indices)) != len(indices) or not all(1 <= each <= INDEX_MAX for each in indices):
        raise FrostSignersInvalid("weigh signers", signers=tuple(indices))
    order = suite.group.order
    weights = {}
    for index in indices:
        numerator = denominator = 1
        for other in indices:
            if other != index:
                numerator = numerator * other % order
                denominator = denominator * (other - index) % order
        weights[index] = suite.group.to_scalar(numerator * pow(denominator, -1, order))
    return weights
