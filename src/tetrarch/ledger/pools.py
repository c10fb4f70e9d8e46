"""Stake pools: who makes blocks with which keys, for whom, and at what price. Pure."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tetrarch.ledger.accounts import ACCOUNTS, AccountId
from tetrarch.ledger.headers import ID_SIZE_BYTES, PoolId
from tetrarch.ledger.tables import Table, View

OWNERS_MAX: Final = 8
RATIO_ONE: Final = 1_000_000  # of a tax, in millionths
_LABEL: Final = b"tetrarch/ledger/pool/1"


@dataclass(frozen=True, slots=True)
class Tax:
    """What a pool's owners keep of an epoch's reward: so much, and then a share of the rest, up to a limit."""

    fixed: int = 0
    ratio_millionth: int = 0
    limit: int | None = None  # of the share

    def of(self, reward: int) -> int:
        """Of a reward, at most all of it."""
        fixed = min(self.fixed, reward)
        share = (reward - fixed) * self.ratio_millionth // RATIO_ONE
        return fixed + (share if self.limit is None else min(share, self.limit))


NO_TAX: Final = Tax()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A pool as its operator registered it last. ``retires``: the first epoch that it makes no blocks in."""

    operator: AccountId
    owners: tuple[AccountId, ...]  # beside the operator; they share in the tax, and may retire it
    vrf_key: bytes
    kes_key: bytes
    vote_key: bytes  # Ed25519; of its node, by which its stake makes blocks final
    kes_start_slot: int
    tax: Tax
    retires: int | None = None

    @property
    def all_owners(self) -> tuple[AccountId, ...]:
        """The operator first."""
        return (self.operator, *self.owners)


POOLS: Final = Table("pools", Registration)


def pool_id(operator: AccountId, serial: int) -> PoolId:
    """Of an operator's pool with that number: it stays when the pool's keys change."""
    named = _LABEL + operator + serial.to_bytes(4, "big")
    return PoolId(blake2b(named, digest_size=ID_SIZE_BYTES).digest())


def stake_by_pool(view: View) -> dict[PoolId, int]:
    """What accounts hold that delegate to each pool that is registered. Cost: 1 us an account."""
    stakes = {PoolId(pool): 0 for pool, _ in POOLS.items(view)}
    for _, account in ACCOUNTS.items(view):
        if account.pool in stakes:
            stakes[account.pool] += account.value
    return stakes
