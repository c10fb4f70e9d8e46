"""Threshold signatures as the workflow sees them: roots and bytes in, bytes and culprits out.

``BlsGroupCrypto`` is the real thing. The simulator can put a cost model in its place; that is
the one reason for the port.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tetrarch.crypto.batch import Claim, find_false
from tetrarch.crypto.bls import verify
from tetrarch.crypto.points import BlsInputInvalid, PublicKeyPoint, SignaturePoint, read_signature
from tetrarch.crypto.slot import PartialsOfOne, sign_slot
from tetrarch.duties.ports import GroupKeys
from tetrarch.duties.types import PartialSignature, PubKey, ShareIndex
from tetrarch.entropy import Entropy
from tetrarch.errors import invariant

POINTS_MAX = 32_768  # decompressed partials kept between arrival and use


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
    """BLS12-381. Parsed points are kept: keys for good, partials from arrival to use."""

    def __init__(self, *, keys: GroupKeys, entropy: Entropy) -> None:
        self._keys = keys
        self._entropy = entropy
        self._points: dict[bytes, SignaturePoint] = {}
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
        surplus = len(self._points) - POINTS_MAX
        if surplus > 0:  # another thread may take points out meanwhile: no live iterator
            for oldest in list(self._points)[:surplus]:
                self._points.pop(oldest, None)

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
        for item in items:
            for _, signature in item.partials:
                self._points.pop(signature, None)
        return GroupSignatures(
            result.signatures,
            tuple((c.position, ShareIndex(c.share_index)) for c in result.culprits),
        )

    def false_partials(self, claims: Sequence[PartialClaim]) -> tuple[int, ...]:
        """One batch; bisection only when it fails."""
        parsed = [(at, self._claim(claim)) for at, claim in enumerate(claims)]
        false = {at for at, claim in parsed if claim is None}
        usable = [(at, claim) for at, claim in parsed if claim is not None]
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

    def _claim(self, claim: PartialClaim) -> Claim | None:
        point = self._points.get(claim.signature) or _parse(claim.signature)
        if point is None:
            return None
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


def _parse(signature: bytes, ordinate: bytes = b"") -> SignaturePoint | None:
    """The point, its group membership not yet checked; None for bytes that are no point."""
    try:
        return read_signature(signature, ordinate)
    except BlsInputInvalid:
        return None
