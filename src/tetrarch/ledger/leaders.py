"""Who may make the block of a slot, and whether a header proves that its maker may. Pure.

One object holds it for one epoch: the leaders in turn (BFT), or the pools with their stake (Praos). It is all that
the leadership and the enclave are given, and holds nothing secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

from tetrarch.crypto.ed25519 import is_signed
from tetrarch.crypto.kes import PERIODS as KES_PERIODS
from tetrarch.crypto.kes import kes_period, verify_kes
from tetrarch.crypto.ristretto import Point
from tetrarch.crypto.vrf import verify_vrf
from tetrarch.errors import InputInvalid, PeerFault
from tetrarch.ledger.dates import BlockDate, Era
from tetrarch.ledger.headers import BftProof, Header, PoolId, PraosProof
from tetrarch.ledger.praos import Nonce, drawn, threshold, vrf_input

LEADERS_MAX: Final = 1024


class LeaderRefused(PeerFault):
    """A header whose maker does not prove that the slot is his."""

    code = "leader_refused"


class LeadersInvalid(InputInvalid):
    """Nobody could make a block."""

    code = "leaders_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A stake pool in one epoch. Its evolving key is in period 0 from slot ``kes_start_slot`` of the chain on."""

    stake: int
    vrf_key: bytes  # 32 bytes
    kes_key: bytes  # 32 bytes
    kes_start_slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BftLeaders:
    """Ed25519 keys in turn: the chain's slot decides; with ``compat`` the slot within the epoch.

    The reference begins with the first leader in every epoch, who so leads more often than the last.
    """

    epoch: int
    era: Era
    leaders: tuple[bytes, ...]
    compat: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.leaders) <= LEADERS_MAX:
            raise LeadersInvalid("take turns", leaders=len(self.leaders), maximum=LEADERS_MAX)

    def leader(self, slot: int) -> bytes:
        """Whose turn the slot of this epoch is."""
        turn = slot if self.compat else self.era.slot(BlockDate(self.epoch, slot))
        return self.leaders[turn % len(self.leaders)]

    def verify(self, header: Header) -> None:
        """See ``verify`` below."""
        _check_epoch(header, self.epoch)
        if not isinstance(header.proof, BftProof):
            raise LeaderRefused("verify header", version=header.version, expected="BFT")
        if header.proof.leader != self.leader(header.date.slot):
            raise LeaderRefused(
                "verify header", date=str(header.date), reason="it is another leader's turn"
            )
        if not is_signed(header.proof.leader, header.signed, header.proof.signature):
            raise LeaderRefused("verify header", reason="its signature is false")


@dataclass(frozen=True, kw_only=True)
class PraosLeaders:
    """Pools by stake. ``pools`` without stake are never drawn."""

    epoch: int
    era: Era
    nonce: Nonce
    coefficient_milli: int
    slots_per_kes_period: int
    pools: Mapping[PoolId, Pool] = field(repr=False)

    @cached_property
    def total(self) -> int:
        """All pools' stake."""
        return sum(pool.stake for pool in self.pools.values())

    def threshold(self, pool: PoolId) -> int:
        """A pool that draws less may make the block. Cost: 0.05 ms, once for each pool."""
        known = self._thresholds.get(pool)
        if known is None:
            stake = self.pools[pool].stake
            known = threshold(stake, self.total, coefficient_milli=self.coefficient_milli)
            self._thresholds[pool] = known
        return known

    @cached_property
    def _thresholds(self) -> dict[PoolId, int]:
        return {}

    def kes_period(self, pool: PoolId, slot: int) -> int | None:
        """The period that a pool's evolving key is in, in a slot of this epoch; None: before or after all."""
        slots = self.era.slot(BlockDate(self.epoch, slot)) - self.pools[pool].kes_start_slot
        period = slots // self.slots_per_kes_period
        return period if 0 <= period < KES_PERIODS else None

    def verify(self, header: Header) -> Point:
        """See ``verify`` below; the point that its maker drew. Cost: 0.8 ms."""
        _check_epoch(header, self.epoch)
        proof = header.proof
        if not isinstance(proof, PraosProof):
            raise LeaderRefused("verify header", version=header.version, expected="Praos")
        pool = self.pools.get(proof.pool)
        if pool is None:
            raise LeaderRefused("verify header", reason="no such pool has stake in its epoch")
        message = vrf_input(self.nonce, header.date.slot)
        point = verify_vrf(pool.vrf_key, message, proof.vrf_proof)
        if point is None:
            raise LeaderRefused("verify header", reason="its proof of what was drawn is false")
        if drawn(message, point) >= self.threshold(proof.pool):
            raise LeaderRefused("verify header", reason="its pool was not drawn")
        self._check_period(header, proof)
        if not verify_kes(pool.kes_key, header.signed, proof.kes_signature):
            raise LeaderRefused("verify header", reason="its signature is false")
        return point

    def _check_period(self, header: Header, proof: PraosProof) -> None:
        """A key of another period than the slot's may be one that was kept, or taken."""
        period = kes_period(proof.kes_signature)
        expected = self.kes_period(proof.pool, header.date.slot)
        if expected is None:
            raise LeaderRefused("verify header", reason="its pool's key is not in use at its time")
        if period != expected:
            raise LeaderRefused("verify header", kes_period=period, expected=expected)


Leaders: TypeAlias = BftLeaders | PraosLeaders


def verify(leaders: Leaders, header: Header) -> Point | None:
    """Whether a header of their epoch is by who may make it; what was drawn for it, in Praos.

    Raises:
        LeaderRefused: it is not.
    """
    return leaders.verify(header)


def _check_epoch(header: Header, epoch: int) -> None:
    if header.date.epoch != epoch:
        raise LeaderRefused("verify header", date=str(header.date), epoch=epoch)
