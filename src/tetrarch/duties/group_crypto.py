"""Threshold signatures as the workflow sees them: roots and bytes in, bytes and culprits out.

``BlsGroupCrypto`` is the real thing. The simulator can put a cost model in its place; that is
the one reason for the port.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tetrarch.crypto.batch import Claim, find_false
from tetrarch.crypto.bls import verify
from tetrarch.crypto.points import BlsInputInvalid, PublicKeyPoint, SignaturePoint, read_signature
from tetrarch.crypto.slot import PartialsOfOne, sign_slot
from tetrarch.crypto.threshold import agrees
from tetrarch.duties.ports import GroupKeys
from tetrarch.duties.types import PartialSignature, PubKey, ShareIndex
from tetrarch.entropy import Entropy
from tetrarch.errors import invariant

K = TypeVar("K")
V = TypeVar("V")

POINTS_MAX = 32_768  # decompressed partials kept between arrival and use
MADE_MAX = 2_048  # group signatures whose partials are kept: some 1 kB each at 3 of 4


@dataclass(frozen=True, slots=True)
class PartialsFor:
    """Partials of several shares over one signing root for one validator."""

    pubkey: PubKey
    root: bytes
    partials: tuple[tuple[ShareIndex, bytes], ...]


@dataclass(frozen=True, slots=True)
class PartialClaim:
    """One share is said to have signed ``root`` for ``pubkey``."""

    pubkey: PubKey
    share_index: ShareIndex
    root: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class GroupSignatures:
    """Per input a verified group signature, or None; and who sent false partials."""

    signatures: tuple[bytes | None, ...]
    culprits: tuple[tuple[int, ShareIndex], ...] = field(default=())  # position, share


class GroupCrypto(Protocol):
    """Pure and slow: the caller runs these through ``Compute``. No method raises on bad bytes."""

    def warm(self, pubkeys: Sequence[PubKey]) -> None:
        """Parse these validators' public keys now rather than at their first duty."""
        ...

    def arrived(self, partials: Sequence[PartialSignature]) -> None:
        """Prepare partials that will be combined soon."""
        ...

    def combine(
        self, items: Sequence[PartialsFor], *, avoid: Collection[ShareIndex]
    ) -> GroupSignatures:
        """Combine and verify; only signatures that verify come out."""
        ...

    def false_partials(self, claims: Sequence[PartialClaim]) -> tuple[int, ...]:
        """Positions of claims that do not hold."""
        ...

    def verifies(self, pubkey: PubKey, root: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is the group's over ``root``."""
        ...


class BlsGroupCrypto:
    """BLS12-381. Parsed points are kept: keys for good, partials from arrival to use, and those
    that made a group signature until their duty is long over.
    """

    def __init__(self, *, keys: GroupKeys, entropy: Entropy) -> None:
        self._keys = keys
        self._entropy = entropy
        self._points: dict[bytes, SignaturePoint] = {}
        self._made: dict[tuple[PubKey, bytes], Mapping[int, SignaturePoint]] = {}
        self._public: dict[PubKey, tuple[PublicKeyPoint, Mapping[int, PublicKeyPoint]]] = {}

    def warm(self, pubkeys: Sequence[PubKey]) -> None:
        """Cost: 0.5 ms for each validator of four nodes."""
        for pubkey in pubkeys:
            self._public_points(pubkey)

    def arrived(self, partials: Sequence[PartialSignature]) -> None:
        """Decompress on arrival, so that the last partial need not wait for the others."""
        for partial in partials:
            signature = partial.signature
            known = signature in self._points
            point = None if known else _parse(signature, partial.ordinate)
            if point is not None:
                self._points[signature] = point
        _keep_newest(self._points, POINTS_MAX)

    def combine(
        self, items: Sequence[PartialsFor], *, avoid: Collection[ShareIndex]
    ) -> GroupSignatures:
        """One batch for all items; see ``crypto.slot``."""
        result = sign_slot(
            [self._item(item) for item in items],
            threshold=self._keys.threshold,
            entropy=self._entropy,
            avoid=avoid,
        )
        invariant(not result.inconsistent, "public shares belong to their root key")
        for item, used in zip(items, result.used, strict=True):
            for _, signature in item.partials:
                self._points.pop(signature, None)
            if used:
                self._made[item.pubkey, item.root] = used
        _keep_newest(self._made, MADE_MAX)
        return GroupSignatures(
            result.signatures,
            tuple((c.position, ShareIndex(c.share_index)) for c in result.culprits),
        )

    def false_partials(self, claims: Sequence[PartialClaim]) -> tuple[int, ...]:
        """One batch; bisection only when it fails.

        Where the group's signature is made already there is nothing to verify: the partials that
        made it say what every other one must be. (Should some of those be false and cancel each
        other, a right one does not agree, and is verified as any other.)

        Cost: 60 us each after the group's signature; before it see ``find_false``.
        """
        parsed = [(at, claim, self._point(claim.signature)) for at, claim in enumerate(claims)]
        false = {at for at, _, point in parsed if point is None}
        usable = [
            (at, self._claim(claim, point))
            for at, claim, point in parsed
            if point is not None and not self._agrees(claim, point)
        ]
        found = find_false([claim for _, claim in usable], entropy=self._entropy)
        return tuple(sorted(false | {usable[index][0] for index in found}))

    def verifies(self, pubkey: PubKey, root: bytes, signature: bytes) -> bool:
        """Two pairings, about 2 ms."""
        return verify(pubkey, root, signature)

    def _item(self, item: PartialsFor) -> PartialsOfOne:
        root_key, shares = self._public_points(item.pubkey)
        partials: dict[int, SignaturePoint | bytes] = {
            share: self._points.get(signature, signature) for share, signature in item.partials
        }
        return PartialsOfOne(
            public_key=root_key, message=item.root, public_shares=shares, partials=partials
        )

    def _point(self, signature: bytes) -> SignaturePoint | None:
        return self._points.pop(signature, None) or _parse(signature)

    def _agrees(self, claim: PartialClaim, point: SignaturePoint) -> bool:
        """Whether it fits to the partials of a group signature that was verified."""
        made = self._made.get((claim.pubkey, claim.root))
        return made is not None and agrees(made, claim.share_index, point)

    def _claim(self, claim: PartialClaim, point: SignaturePoint) -> Claim:
        _, shares = self._public_points(claim.pubkey)
        return Claim(shares[claim.share_index], claim.root, point)

    def _public_points(self, pubkey: PubKey) -> tuple[PublicKeyPoint, Mapping[int, PublicKeyPoint]]:
        # May run on two threads: at worst both parse the same key once.
        found = self._public.get(pubkey)
        if found is None:
            shares = {
                index: PublicKeyPoint.parse(self._keys.public_share(pubkey, ShareIndex(index)))
                for index in range(1, self._keys.share_count + 1)
            }
            found = self._public[pubkey] = (PublicKeyPoint.parse(pubkey), shares)
        return found


def _keep_newest(entries: dict[K, V], count_max: int) -> None:
    surplus = len(entries) - count_max
    if surplus > 0:  # another thread may take some out meanwhile: no live iterator
        for oldest in list(entries)[:surplus]:
            entries.pop(oldest, None)


def _parse(signature: bytes, ordinate: bytes = b"") -> SignaturePoint | None:
    """The point, its group membership not yet checked; None for bytes that are no point."""
    try:
        return read_signature(signature, ordinate)
    except BlsInputInvalid:
        return None
