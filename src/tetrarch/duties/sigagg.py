"""SigAgg: turns partial signatures into verified group signatures, a whole duty at a time.

Partials are decompressed as they arrive, combined first and believed afterwards: one batch
verifies all group signatures of the duty. Only when that fails are partials examined, the
false ones named and combined around (see ``crypto.slot``).
"""

from collections.abc import Mapping

from tetrarch.crypto.batch import Claim, find_false
from tetrarch.crypto.points import BlsInputInvalid, PublicKeyPoint, SignaturePoint
from tetrarch.crypto.slot import PartialsOfOne, SlotSignatures, sign_slot
from tetrarch.duties.parsigdb import LatePartials
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.ports import Compute, GroupKeys
from tetrarch.duties.types import (
    Duty,
    MatchedPartials,
    MatchedSet,
    PartialSet,
    PartialSignature,
    PubKey,
    ShareIndex,
    SignedData,
    SignedDataSet,
    refuse_deprecated,
)
from tetrarch.entropy import Entropy
from tetrarch.errors import PeerFault, invariant
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log
from tetrarch.output import Output

POINTS_MAX = 32_768  # decompressed partials kept between arrival and use
AVOIDED_MAX = 256  # duties for which a share that was false is avoided


class FalsePartial(PeerFault):
    """A share's partial signature does not verify under its public share: proof of a fault."""

    code = "false_partial"


class SigAgg:
    """Inputs: ``arrived``, ``aggregate``, ``verify_late``.

    Outputs: ``aggregated`` (verified group signatures), ``rejected`` (false partials),
    ``verified`` (late partials that are right, for participation).
    """

    def __init__(
        self,
        *,
        keys: GroupKeys,
        chain: ChainSpec,
        compute: Compute,
        entropy: Entropy,
        log: Log,
    ) -> None:
        self.aggregated = Output[SignedDataSet]("aggregated")
        self.rejected = Output[PartialSet]("rejected")
        self.verified = Output[PartialSet]("verified")
        self._keys = keys
        self._chain = chain
        self._compute = compute
        self._entropy = entropy
        self._log = log
        self._points: dict[bytes, SignaturePoint] = {}
        self._public: dict[PubKey, tuple[PublicKeyPoint, Mapping[int, PublicKeyPoint]]] = {}
        self._avoided: dict[ShareIndex, int] = {}  # share -> duties left to avoid it

    async def arrived(self, partial_set: PartialSet) -> None:
        """Decompress partials on arrival, so that the last one need not wait for the others."""
        fresh = [p.signature for p in partial_set.partials if p.signature not in self._points]
        points = await self._compute.run(lambda: [_parse(signature) for signature in fresh])
        for signature, point in zip(fresh, points, strict=True):
            if point is not None:
                self._points[signature] = point
        while len(self._points) > POINTS_MAX:
            del self._points[next(iter(self._points))]

    async def aggregate(self, matched_set: MatchedSet) -> None:
        """Combine, verify, emit. False partials are emitted as ``rejected`` and named."""
        duty = matched_set.duty
        refuse_deprecated(duty)
        matches = matched_set.matches
        items = [self._item(match) for match in matches]
        result = await self._compute.run(
            lambda: sign_slot(
                items,
                threshold=self._keys.threshold,
                entropy=self._entropy,
                avoid=frozenset(self._avoided),
            )
        )
        invariant(not result.inconsistent, f"{duty}: public shares belong to their root key")
        for match in matches:
            for _, signature in match.signatures:
                self._points.pop(signature, None)
        self._let_go_of_avoided()
        signed = tuple(
            SignedData(
                pubkey=match.pubkey,
                sub_index=match.sub_index,
                payload=match.payload,
                signature=signature,
            )
            for match, signature in zip(matches, result.signatures, strict=True)
            if signature is not None
        )
        if signed:
            await self.aggregated.emit(SignedDataSet(duty=duty, items=signed))
        if result.culprits:
            await self._reject(duty, matches, result)

    async def verify_late(self, late: LatePartials) -> None:
        """Verify partials that came after the group signature; they are counted, not combined."""
        claims = [self._claim(partial) for partial in late.partials]
        usable = [at for at, claim in enumerate(claims) if claim is not None]
        kept = [claim for claim in claims if claim is not None]
        false = await self._compute.run(lambda: find_false(kept, entropy=self._entropy))
        bad = {usable[at] for at in false} | (set(range(len(claims))) - set(usable))
        good = tuple(p for at, p in enumerate(late.partials) if at not in bad)
        if good:
            await self.verified.emit(PartialSet(duty=late.duty, partials=good))
        if bad:
            rejected = tuple(late.partials[at] for at in sorted(bad))
            self._name(late.duty, rejected)
            await self.rejected.emit(PartialSet(duty=late.duty, partials=rejected))

    async def _reject(
        self, duty: Duty, matches: tuple[MatchedPartials, ...], result: SlotSignatures
    ) -> None:
        false = []
        for culprit in result.culprits:
            match = matches[culprit.position]
            share = ShareIndex(culprit.share_index)
            false.append(
                PartialSignature(
                    pubkey=match.pubkey,
                    share_index=share,
                    sub_index=match.sub_index,
                    payload=match.payload,
                    signature=dict(match.signatures)[share],
                )
            )
            self._avoided[share] = AVOIDED_MAX
        self._name(duty, tuple(false))
        await self.rejected.emit(PartialSet(duty=duty, partials=tuple(false)))

    def _name(self, duty: Duty, false: tuple[PartialSignature, ...]) -> None:
        for share in sorted({partial.share_index for partial in false}):
            count = sum(partial.share_index == share for partial in false)
            self._log.warning("false_partials", duty=str(duty), share_index=share, count=count)

    def _let_go_of_avoided(self) -> None:
        self._avoided = {share: left - 1 for share, left in self._avoided.items() if left > 1}

    def _item(self, match: MatchedPartials) -> PartialsOfOne:
        root_key, shares = self._public_points(match.pubkey)
        partials: dict[int, SignaturePoint | bytes] = {
            share: self._points.get(signature, signature) for share, signature in match.signatures
        }
        return PartialsOfOne(
            public_key=root_key,
            message=signing_root(match.payload, self._chain),
            public_shares=shares,
            partials=partials,
        )

    def _claim(self, partial: PartialSignature) -> Claim | None:
        point = self._points.get(partial.signature) or _parse(partial.signature)
        if point is None:
            return None
        _, shares = self._public_points(partial.pubkey)
        return Claim(shares[partial.share_index], signing_root(partial.payload, self._chain), point)

    def _public_points(self, pubkey: PubKey) -> tuple[PublicKeyPoint, Mapping[int, PublicKeyPoint]]:
        if pubkey not in self._public:
            shares = {
                index: PublicKeyPoint.parse(self._keys.public_share(pubkey, ShareIndex(index)))
                for index in range(1, self._keys.share_count + 1)
            }
            self._public[pubkey] = (PublicKeyPoint.parse(pubkey), shares)
        return self._public[pubkey]


def _parse(signature: bytes) -> SignaturePoint | None:
    """The point, its group membership not yet checked; None for bytes that are no point."""
    try:
        return SignaturePoint.parse(signature, check_subgroup=False)
    except BlsInputInvalid:
        return None
