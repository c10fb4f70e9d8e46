"""A key of t of n: its public side, which all have, and the secret share of each index.

Indices are 1 to n; whoever has weight w in a group holds w of them. Any t shares sign.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tetrarch.crypto.frost.groups import Point, Scalar
from tetrarch.crypto.frost.suites import Suite, tagged_hash
from tetrarch.errors import InputInvalid, invariant

INDEX_MAX: Final = 65_535


class FrostThresholdInvalid(InputInvalid):
    """No key can be shared so: 1 <= threshold <= shares <= INDEX_MAX must hold."""

    code = "frost_threshold_invalid"


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many shares sign (``threshold``) of how many there are (``shares``)."""

    threshold: int
    shares: int

    def __post_init__(self) -> None:
        """See ``FrostThresholdInvalid``."""
        if not 1 <= self.threshold <= self.shares <= INDEX_MAX:
            raise FrostThresholdInvalid(
                "share key", threshold=self.threshold, shares=self.shares, shares_max=INDEX_MAX
            )


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """``key`` is the group's, under which it signs; ``shares`` are those of index 1, 2, ..."""

    quorum: Quorum
    key: Point
    shares: tuple[Point, ...]

    def share_of(self, index: int) -> Point:
        """The public side of the share with ``index``."""
        return self.shares[index - 1]


class SecretShare:
    """The secret of one index. Neither printed nor pickled."""

    __slots__ = ("_scalar", "index")

    def __init__(self, index: int, scalar: Scalar) -> None:
        """Take a share that was dealt or generated."""
        invariant(1 <= index <= INDEX_MAX, "an index is 1 to INDEX_MAX")
        self.index = index
        self._scalar = scalar

    def reveal(self) -> Scalar:
        """The secret itself: for signing, and for what keeps it."""
        return self._scalar

    def __repr__(self) -> str:
        """Without the secret."""
        return f"SecretShare(index={self.index})"

    def __reduce__(self) -> str:
        """Refuse to be pickled."""
        raise TypeError("a secret share is not pickled")


@dataclass(frozen=True, slots=True)
class Keys:
    """What one index signs with."""

    public: PublicKeys
    secret: SecretShare


def verify_share(suite: Suite, keys: Keys) -> bool:
    """Whether the secret share is the one that its public side tells. Cost: 30 us."""
    base = suite.group.multiply_base(keys.secret.reveal())
    return base == keys.public.share_of(keys.secret.index)


def negated(suite: Suite, keys: Keys) -> Keys:
    """The same for the opposite key."""
    secret = SecretShare(keys.secret.index, suite.group.negate_scalar(keys.secret.reveal()))
    return Keys(negated_public(suite, keys.public), secret)


def negated_public(suite: Suite, public: PublicKeys) -> PublicKeys:
    """The same for the opposite key."""
    opposite = tuple(suite.group.negate(share) for share in public.shares)
    return PublicKeys(public.quorum, suite.group.negate(public.key), opposite)


def offset(suite: Suite, keys: Keys, by: Scalar) -> Keys:
    """Of the key that is ``by`` times the generator further on. ``by`` is known to all."""
    secret = SecretShare(keys.secret.index, suite.group.add_scalars(keys.secret.reveal(), by))
    return Keys(offset_public(suite, keys.public, by), secret)


def offset_public(suite: Suite, public: PublicKeys, by: Scalar) -> PublicKeys:
    """The same, of the public side. Cost: 20 us for each share."""
    group = suite.group
    step = group.multiply_base(by)
    shares = tuple(group.add((share, step)) for share in public.shares)
    return PublicKeys(public.quorum, group.add((public.key, step)), shares)


def even(suite: Suite, keys: Keys) -> Keys:
    """Of the key, or of its opposite where that is the one that signatures tell."""
    return negated(suite, keys) if suite.negates(keys.public.key) else keys


def even_public(suite: Suite, public: PublicKeys) -> PublicKeys:
    """The same, of the public side."""
    return negated_public(suite, public) if suite.negates(public.key) else public


def taproot_tweak(suite: Suite, key: Point, merkle_root: bytes = b"") -> Scalar:
    """BIP-341's tweak of a key with even y; without a script, that there is none can be told from it."""
    digest = tagged_hash("TapTweak", key[1:] + merkle_root)
    return suite.group.decode_scalar(digest)


def with_taproot_tweak(suite: Suite, keys: Keys, merkle_root: bytes = b"") -> Keys:
    """The keys of a Taproot output: BIP-341, "Constructing and spending Taproot outputs"."""
    inner = even(suite, keys)
    return offset(suite, inner, taproot_tweak(suite, inner.public.key, merkle_root))


def deal(
    suite: Suite, quorum: Quorum, secret: Scalar, coefficients: Sequence[Scalar]
) -> Mapping[int, Keys]:
    """Share ``secret`` by one who knows it: for tests and for keys that come from elsewhere.

    ``coefficients`` are the t - 1 of the polynomial but the first. RFC 9591, appendix C.
    """
    invariant(len(coefficients) == quorum.threshold - 1, "a polynomial has t coefficients")
    polynomial = (secret, *coefficients)
    indices = range(1, quorum.shares + 1)
    scalars = {index: evaluate(suite, polynomial, index) for index in indices}
    shares = tuple(suite.group.multiply_base(scalar) for scalar in scalars.values())
    public = PublicKeys(quorum, suite.group.multiply_base(secret), shares)
    return {index: Keys(public, SecretShare(index, scalars[index])) for index in indices}


def evaluate(suite: Suite, polynomial: Sequence[Scalar], index: int) -> Scalar:
    """The polynomial's value at ``index``, by Horner's rule."""
    at = suite.group.to_scalar(index)
    value = polynomial[-1]
    for coefficient in reversed(polynomial[:-1]):
        value = suite.group.add_scalars(suite.group.multiply_scalars(value, at), coefficient)
    return value


def evaluate_points(suite: Suite, commitments: Sequence[Point], index: int) -> Point:
    """The value at ``index`` times the generator, by the coefficients' commitments. Cost: 50 us for each."""
    group = suite.group
    at = group.to_scalar(index)
    value = commitments[-1]
    for commitment in reversed(commitments[:-1]):
        value = group.add((group.multiply(at, value), commitment))
    return value
