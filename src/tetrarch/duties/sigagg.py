"""SigAgg: turns partial signatures into verified group signatures, a whole duty at a time.

Partials are decompressed as they arrive, combined first and believed afterwards: one batch
verifies all group signatures of the duty. Only when that fails are partials examined, the
false ones named and combined around (see ``group_crypto`` and ``crypto.slot``).
"""

from collections.abc import Sequence

from tetrarch.duties.group_crypto import (
    GroupCrypto,
    GroupSignatures,
    PartialClaim,
    PartialsFor,
)
from tetrarch.duties.parsigdb import LatePartials
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.ports import Compute
from tetrarch.duties.types import (
    Duty,
    MatchedPartials,
    MatchedSet,
    PartialSet,
    PartialSignature,
    Payload,
    ShareIndex,
    SignedData,
    SignedDataSet,
    refuse_deprecated,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log
from tetrarch.output import Output

ARRIVED_COST_MS = 0.08  # per partial
COMBINE_COST_MS = 0.07  # per validator, and
COMBINE_BASE_MS = 1.5  # for the batch's pairings, and
PAYLOAD_COST_MS = 0.5  # per message to hash, to pair and to take the root of
FALSE_MEND = "ask that node's operator whether its shares belong to this cluster's lock"
AVOIDED_DUTIES = 256  # for so many duties a share that was false is combined only if need be


class SigAgg:
    """Inputs: ``arrived``, ``aggregate``, ``verify_late``.

    Outputs: ``aggregated`` (verified group signatures), ``rejected`` (false partials),
    ``verified`` (late partials that are right, for participation).
    """

    def __init__(
        self, *, crypto: GroupCrypto, chain: ChainSpec, compute: Compute, log: Log
    ) -> None:
        self.aggregated = Output[SignedDataSet]("aggregated")
        self.rejected = Output[PartialSet]("rejected")
        self.verified = Output[PartialSet]("verified")
        self._crypto = crypto
        self._chain = chain
        self._compute = compute
        self._log = log
        self._avoided: dict[ShareIndex, int] = {}  # share -> duties left to avoid it

    async def arrived(self, partial_set: PartialSet) -> None:
        """Prepare partials on arrival, so that the last one need not wait for the others."""
        partials = partial_set.partials
        cost_ms = ARRIVED_COST_MS * len(partials)
        await self._compute.run(lambda: self._crypto.arrived(partials), cost_ms=cost_ms)

    async def aggregate(self, matched_set: MatchedSet) -> None:
        """Combine, verify, emit. False partials are emitted as ``rejected`` and named."""
        duty = matched_set.duty
        refuse_deprecated(duty)
        matches = matched_set.matches
        # The votes of a slot are equal but for the validator; of aggregates each is another one.
        payloads = _payloads(matches)
        avoid = frozenset(self._avoided)
        self._avoided = {share: left - 1 for share, left in self._avoided.items() if left > 1}

        def combine() -> GroupSignatures:
            roots = {payload: signing_root(payload, self._chain) for payload in payloads}
            items = [
                PartialsFor(match.pubkey, roots[match.payload], match.signatures)
                for match in matches
            ]
            return self._crypto.combine(items, avoid=avoid)

        cost_ms = COMBINE_BASE_MS + COMBINE_COST_MS * len(matches)
        cost_ms += PAYLOAD_COST_MS * len(payloads)
        result = await self._compute.run(combine, cost_ms=cost_ms)
        signed = tuple(
            SignedData(
                pubkey=match.pubkey,
                payload=match.payload,
                signature=signature,
            )
            for match, signature in zip(matches, result.signatures, strict=True)
            if signature is not None
        )
        if signed:
            await self.aggregated.emit(SignedDataSet(duty=duty, items=signed))
        if result.culprits:
            false = [_partial(matches[position], share) for position, share in result.culprits]
            await self._reject(duty, false)

    async def verify_late(self, late: LatePartials) -> None:
        """Verify partials that came after the group signature; they are counted, not combined."""
        roots = {
            payload: signing_root(payload, self._chain) for payload in _payloads(late.partials)
        }
        claims = [
            PartialClaim(p.pubkey, p.share_index, roots[p.payload], p.signature)
            for p in late.partials
        ]

        def false_ones() -> tuple[int, ...]:
            self._crypto.arrived(late.partials)
            return self._crypto.false_partials(claims)

        bad = set(await self._compute.run(false_ones))
        good = tuple(p for at, p in enumerate(late.partials) if at not in bad)
        if good:
            await self.verified.emit(PartialSet(duty=late.duty, partials=good))
        if bad:
            await self._reject(late.duty, [late.partials[at] for at in sorted(bad)])

    async def _reject(self, duty: Duty, false: Sequence[PartialSignature]) -> None:
        for share in sorted({partial.share_index for partial in false}):
            count = sum(partial.share_index == share for partial in false)
            self._avoided[share] = AVOIDED_DUTIES
            self._log.warning(
                "false_partials", duty=str(duty), share_index=share, count=count, mend=FALSE_MEND
            )
        await self.rejected.emit(PartialSet(duty=duty, partials=tuple(false)))


def _payloads(
    carriers: Sequence[MatchedPartials] | Sequence[PartialSignature],
) -> dict[Payload, None]:
    return dict.fromkeys(carrier.payload for carrier in carriers)


def _partial(match: MatchedPartials, share: ShareIndex) -> PartialSignature:
    return PartialSignature(
        pubkey=match.pubkey,
        share_index=share,
        payload=match.payload,
        signature=dict(match.signatures)[share],
    )
