"""What happens where one epoch ends and the next begins: rewards, retirements, snapshots of stake. Pure.

An epoch's lottery goes by the stake and the nonce as they stood when the epoch before it began, so its schedule is known
an epoch ahead, and nobody who sees the nonce can still choose keys or stake for it. The first two epochs go by the first
block.

Rewards of an epoch, by one formula (floors throughout; what is left over stays in the pot):

    due       = fees of the epoch + pot · rate
    treasury  = due · part of the treasury
    a pool    = (due - treasury) · its blocks / all blocks of the epoch
    its tax   = see ``Tax``, in equal parts to its owners, the rest of that to the operator
    delegator = (a pool's reward - its tax) · stake / the pool's stake, both as the epoch's lottery had them
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tetrarch.ledger.accounts import ACCOUNTS, AccountId, add_value
from tetrarch.ledger.finality import VOTERS_MAX, Voters
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.leaders import Pool
from tetrarch.ledger.parameters import RATE_ONE, Rewards
from tetrarch.ledger.pools import POOLS, Registration
from tetrarch.ledger.praos import FIRST_NONCE, Nonce, without_blocks
from tetrarch.ledger.tables import Draft, Table, View
from tetrarch.ledger.treasury import pots_of, put_pots

SNAPSHOTS_KEPT: Final = 3
_ONE: Final = b""  # a table of one row


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """As an epoch began: what the next epoch's lottery goes by, and who is rewarded for it.

    Pools that retire with that next epoch are not among them.
    """

    epoch: int
    nonce: Nonce
    pools: Mapping[PoolId, Pool] = field(repr=False)
    delegators: Mapping[PoolId, tuple[tuple[AccountId, int], ...]] = field(repr=False)
    registrations: Mapping[PoolId, Registration] = field(repr=False)


SNAPSHOTS: Final = Table("snapshots", Snapshot)  # by epoch, u32
NONCES: Final = Table("nonce", bytes)
BLOCKS_MADE: Final = Table("blocks_made", int)  # in this epoch, by pool


def nonce_of(view: View) -> Nonce:
    """As the last block left it."""
    return Nonce(NONCES.get(view, _ONE) or FIRST_NONCE)


def put_nonce(draft: Draft, nonce: Nonce) -> None:
    """As a block leaves it."""
    NONCES.put(draft, _ONE, nonce)


def count_block(draft: Draft, pool: PoolId) -> None:
    """A pool made one more in this epoch."""
    BLOCKS_MADE.put(draft, pool, (BLOCKS_MADE.get(draft, pool) or 0) + 1)


def snapshot_for(view: View, epoch: int) -> Snapshot | None:
    """What an epoch's lottery goes by; None: it is not known yet, or no more."""
    return SNAPSHOTS.get(view, _key(max(0, epoch - 1)))


def begin_chain(draft: Draft) -> None:
    """The first block is there: its state is the first snapshot."""
    _take_snapshot(draft, 0)


def stake_voters(snapshot: Snapshot) -> Voters:
    """Who makes blocks final in the epoch that goes by it: pools' keys for votes, by stake; of very many the largest."""
    stakes: dict[bytes, int] = {}
    for pool, registration in snapshot.registrations.items():
        stake = snapshot.pools[pool].stake
        if stake:
            stakes[registration.vote_key] = stakes.get(registration.vote_key, 0) + stake
    largest = sorted(stakes, key=lambda key: (-stakes[key], key))[:VOTERS_MAX]
    return Voters({key: stakes[key] for key in sorted(largest)}, by_stake=True)


def begin_epoch(draft: Draft, before: int, epoch: int, rewards: Rewards) -> None:
    """A block of ``epoch`` follows one of epoch ``before``. Cost: some 5 us an account.

    Epochs without any block are passed over: only the last two snapshots could still be asked for. They change the nonce:
    else an epoch in which nobody was drawn would come again for ever.
    """
    _pay_rewards(draft, before, rewards)
    nonce = nonce_of(draft)
    for passed in range(max(before + 1, epoch - 1), epoch + 1):
        if passed > before + 1:
            put_nonce(draft, without_blocks(nonce, passed - 1))
        _retire_pools(draft, passed)
        _take_snapshot(draft, passed)
    for key, snapshot in list(SNAPSHOTS.items(draft)):
        if snapshot.epoch + SNAPSHOTS_KEPT <= epoch:
            SNAPSHOTS.remove(draft, key)


def _take_snapshot(draft: Draft, epoch: int) -> None:
    delegators: dict[PoolId, list[tuple[AccountId, int]]] = {}
    registrations = {
        PoolId(pool): registration
        for pool, registration in POOLS.items(draft)
        if registration.retires is None or registration.retires > epoch + 1
    }
    for account, held in ACCOUNTS.items(draft):
        if held.value and held.pool in registrations:
            delegators.setdefault(held.pool, []).append((AccountId(account), held.value))
    pools = {
        pool: Pool(
            stake=sum(stake for _, stake in delegators.get(pool, ())),
            vrf_key=registration.vrf_key,
            kes_key=registration.kes_key,
            kes_start_slot=registration.kes_start_slot,
        )
        for pool, registration in registrations.items()
    }
    snapshot = Snapshot(
        epoch=epoch,
        nonce=nonce_of(draft),
        pools=pools,
        delegators={pool: tuple(stakes) for pool, stakes in delegators.items()},
        registrations=registrations,
    )
    SNAPSHOTS.put(draft, _key(epoch), snapshot)


def _retire_pools(draft: Draft, epoch: int) -> None:
    retired = {
        pool
        for pool, registration in POOLS.items(draft)
        if registration.retires is not None and registration.retires <= epoch
    }
    for pool in retired:
        POOLS.remove(draft, pool)
    if not retired:
        return
    for account, held in list(ACCOUNTS.items(draft)):
        if held.pool in retired:
            ACCOUNTS.put(draft, account, replace(held, pool=None))


def _pay_rewards(draft: Draft, epoch: int, rewards: Rewards) -> None:
    """For the blocks of ``epoch``, which is over."""
    pots = pots_of(draft)
    drawn = pots.rewards * rewards.rate_millionth // RATE_ONE
    due = pots.fees + drawn
    treasury = due * rewards.treasury_millionth // RATE_ONE
    snapshot = snapshot_for(draft, epoch)
    made = dict(BLOCKS_MADE.items(draft))
    blocks = sum(made.values())
    paid = 0
    if snapshot is not None:
        for pool, count in made.items():
            part = (due - treasury) * count // blocks
            paid += _pay_pool(draft, snapshot, PoolId(pool), part)
    for pool in made:
        BLOCKS_MADE.remove(draft, pool)
    put_pots(
        draft,
        replace(
            pots,
            fees=0,
            rewards=pots.rewards - drawn + due - treasury - paid,
            treasury=pots.treasury + treasury,
        ),
    )


def _pay_pool(draft: Draft, snapshot: Snapshot, pool: PoolId, reward: int) -> int:
    """How much of ``reward`` came to somebody."""
    registration, stake = snapshot.registrations[pool], snapshot.pools[pool].stake
    tax = registration.tax.of(reward)
    owners = registration.all_owners
    part = tax // len(owners)
    for owner in owners[1:]:
        add_value(draft, owner, part)
    add_value(draft, registration.operator, tax - part * (len(owners) - 1))
    paid = tax
    for account, held in snapshot.delegators.get(pool, ()):
        gained = (reward - tax) * held // stake
        add_value(draft, account, gained)
        paid += gained
    return paid


def _key(epoch: int) -> bytes:
    return epoch.to_bytes(4, "big")
