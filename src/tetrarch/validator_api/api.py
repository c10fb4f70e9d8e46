"""What all endpoints share: the ports, the output, time limits, keys and verification."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tetrarch.crypto.batch import Claim, find_false
from tetrarch.crypto.points import BlsInputInvalid, PublicKeyPoint, SignaturePoint
from tetrarch.duties.errors import DutyNotFound, DutyNotResolved, DutyUnavailable
from tetrarch.duties.timing import deadline_s
from tetrarch.duties.types import Duty, DutyDefinition, DutyType, PartialSet, PubKey
from tetrarch.output import Output
from tetrarch.validator_api.messages import ApiError
from tetrarch.validator_api.ports import Ports

T = TypeVar("T")
LOOK_S = 0.05  # enough to read what is stored
# A client may go from slot to slot in one line (Lodestar does): an answer that is worth less than
# the next slot's vote must come before the slot ends, so much of a slot before.
BOUND_TO_SLOT = frozenset({DutyType.AGGREGATOR, DutyType.SYNC_CONTRIBUTION})
SLOT_END_DIVISOR = 24
_STATUSES = {DutyNotResolved.code: 503, DutyNotFound.code: 404}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may take."""

    request_s: float = 10.0
    rewrite_size_max: int = 64 * 1024 * 1024  # a beacon node's answer whose keys we replace


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureClaim:
    """A validator's share is said to have signed ``signing_root``."""

    pubkey: PubKey
    signing_root: bytes
    signature: bytes


class ValidatorApi:
    """State and output of the API; the endpoints are functions over it.

    Output: ``submitted``, partials of this node's share, verified. Emitting returns when they
    are stored, and only then the validator client hears 200.

    Args:
        version: what ``node/version`` says, as ``tetrarch/1.2.3``.
    """

    def __init__(self, ports: Ports, *, version: str, limits: Limits | None = None) -> None:
        self.submitted = Output[PartialSet]("submitted")
        self.ports = ports
        self.version = version
        self.limits = limits or Limits()
        self._share_points: dict[bytes, PublicKeyPoint] = {}

    async def definitions(self, duty: Duty) -> tuple[DutyDefinition, ...]:
        """The cluster's definitions of ``duty``; empty where it has none.

        Raises:
            ApiError: 503 while the epoch is not resolved, 400 when it is too long ago.
        """
        try:
            # The scheduler may be resolving the epoch at this moment, and we wait for it.
            async with asyncio.timeout(self.limits.request_s):
                return (await self.ports.duties.get_duty_definition(duty)).definitions
        except DutyNotFound:
            return ()
        except TimeoutError:
            raise ApiError(503, f"duty {duty} is not resolved in time") from None
        except DutyUnavailable as error:
            raise api_error_of(error) from None

    async def within(self, duty: Duty, answer: Awaitable[T]) -> T:
        """Await ``answer`` until the request's or the duty's time is over.

        Raises:
            ApiError: 408 when there is no answer in time, 400 when the duty has ended.
        """
        chain, now_s = self.ports.chain, self.ports.clock.wall_s()
        deadline = deadline_s(duty, chain)
        left_s = self.limits.request_s
        if deadline is not None:
            left_s = min(left_s, deadline - now_s)
        if duty.type in BOUND_TO_SLOT:
            margin_s = chain.slot_duration_ms / 1000 / SLOT_END_DIVISOR
            left_s = min(left_s, chain.slot_start_s(duty.slot + 1) - margin_s - now_s)
        try:
            # What is late may still be answered from what is stored, so look once.
            async with asyncio.timeout(max(left_s, LOOK_S)):
                return await answer
        except TimeoutError:
            if deadline is not None and deadline <= now_s:
                raise ApiError(400, f"duty {duty} has ended") from None
            raise ApiError(408, f"the cluster has not agreed on duty {duty} in time") from None
        except DutyUnavailable as error:
            raise api_error_of(error) from None

    def why_not_drawn(self, duty: Duty) -> str | None:
        """Why nothing will ever come for an AGGREGATOR or SYNC_CONTRIBUTION duty; None: it may.

        A client that did not hand in its part of the selection proofs has nothing to do with what
        the cluster aggregates: it would sign its own partial proof.
        """
        if self.ports.proofs.has_proofs(duty):
            return None
        return (
            f"no selection proofs for slot {duty.slot} were handed in: this validator client does"
            " not run in distributed mode, so its validators do not aggregate"
        )

    def share_of(self, pubkey: PubKey) -> bytes:
        """Our public share of ``pubkey``; raises 400 for a foreign validator."""
        share = self.ports.keys.share_of(pubkey)
        if share is None:
            raise ApiError(400, f"validator 0x{pubkey.hex()} is not of this cluster")
        return share

    async def find_false(self, claims: Sequence[SignatureClaim]) -> tuple[int, ...]:
        """Positions of the claims that do not hold against this node's public shares.

        Cost: batched, 3 ms for 100 attesters of one slot; on the compute port.
        """
        shares = [self.share_of(claim.pubkey) for claim in claims]
        return await self.ports.compute.run(lambda: self._find_false(shares, claims))

    def _find_false(
        self, shares: Sequence[bytes], claims: Sequence[SignatureClaim]
    ) -> tuple[int, ...]:
        parsed: list[Claim] = []
        positions: list[int] = []
        false: list[int] = []
        for position, (share, claim) in enumerate(zip(shares, claims, strict=True)):
            try:
                # Membership in the subgroup is part of the batch's verdict.
                signature = SignaturePoint.parse(claim.signature, check_subgroup=False)
            except BlsInputInvalid:
                false.append(position)
                continue
            parsed.append(Claim(self._share_point(share), claim.signing_root, signature))
            positions.append(position)
        found = find_false(parsed, entropy=self.ports.entropy) if parsed else ()
        return tuple(sorted(false + [positions[each] for each in found]))

    def _share_point(self, share: bytes) -> PublicKeyPoint:
        # May run on a thread: two threads at worst parse the same share twice.
        point = self._share_points.get(share)
        if point is None:
            point = self._share_points[share] = PublicKeyPoint.parse(share)
        return point


def api_error_of(error: DutyUnavailable) -> ApiError:
    """The status that says what the client can do: come back (503), or not (404, 400)."""
    return ApiError(_STATUSES.get(error.code, 400), str(error))
