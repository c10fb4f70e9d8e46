"""Keys of a ledger's simulated nodes, and the first block that names them."""

from random import Random
from typing import Final

from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.blocks import Block
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.genesis import FirstPool, Genesis, Grant, genesis_block
from tetrarch.ledger.keyring import KeptTurn, Keyring, TurnKeys
from tetrarch.ledger.parameters import Mode, Parameters, Rewards
from tetrarch.ledger.pools import pool_id
from tetrarch.sim.ledger_keys import KeyDisk, first_keys, seeded
from tetrarch.sim.ledger_profile import LedgerProfile
from tetrarch.sim.loop import EPOCH_S

START_S: Final = 2.0  # after the world's beginning
STAKE: Final = 1_000_000


def found(profile: LedgerProfile, rng: Random, election: bytes) -> tuple[Block, list[KeyDisk]]:
    """``election``: its configuration's document, where leaders are elected."""
    disks = []
    leaders, members, grants, pools = [], [], [], []
    for node in range(profile.nodes):
        account = AccountId(bytes([node + 1]) * 32)
        pool = pool_id(account, 0)
        disk = KeyDisk(first_keys(node, pool))
        keyring = Keyring(disk.kept, disk.store, seeded(rng))
        members.append(keyring.voter)
        for keys in (leader.keys for leader in keyring.leaders):
            if isinstance(keys, TurnKeys):
                leaders.append(keys.leader)
                continue
            register = PoolRegister(
                serial=0,
                vrf_key=keys.vrf_key,
                kes_key=keys.kes_key,
                vote_key=keyring.voter,
                kes_start_slot=0,
            )
            pools.append(FirstPool(account, register))
        grants.append(Grant(account, STAKE * (node + 1), pool))
        disks.append(disk)
    genesis = Genesis(
        start_unix_s=int(EPOCH_S + START_S),
        name="simulated",
        parameters=Parameters(
            mode=profile.mode,
            slots_per_epoch=profile.slots_per_epoch,
            coefficient_milli=profile.coefficient_milli,
            slots_per_kes_period=max(1, profile.slots_per_epoch // 2),
            rewards=Rewards(rate_millionth=200_000),  # so that who makes blocks final changes
        ),
        rewards_pot=50 * STAKE,
        leaders=tuple(leaders),
        election=election,
        members=tuple(members) if profile.mode is not Mode.PRAOS else (),
        grants=tuple(grants),
        pools=tuple(pools),
    )
    return genesis_block(genesis), disks


def leaders_secrets(disks: list[KeyDisk]) -> list[bytes]:
    """Of the leaders in turn, one a node."""
    return [
        leader.keys.secret
        for disk in disks
        for leader in disk.kept.leaders
        if isinstance(leader.keys, KeptTurn)
    ]
