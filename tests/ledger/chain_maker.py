"""Chains of tests: a first block with known accounts, pools and leaders, and who makes blocks upon it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.ledger.makers import PoolKeys, account_id, bft_public, bft_signed, pool_keys

from tetrarch.ledger.applying import Place, apply_block, digest_for, leaders_of
from tetrarch.ledger.blocks import Block, Fragment, content_hash, encode_content
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.elections import is_election
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.fragments.signed import SignedFragment, encode_fragment
from tetrarch.ledger.genesis import FirstPool, Genesis, Grant
from tetrarch.ledger.headers import Header, PoolId
from tetrarch.ledger.leaders import BftLeaders, PraosLeaders
from tetrarch.ledger.parameters import Mode, Parameters
from tetrarch.ledger.pools import pool_id

START_S = 1_700_000_000


def bft_genesis(count: int = 3, **changes: Any) -> Genesis:
    """Accounts 0 to 3 hold 1000 each."""
    genesis = Genesis(
        start_unix_s=START_S,
        name="test",
        parameters=Parameters(slots_per_epoch=10),
        leaders=tuple(map(bft_public, range(count))),
        members=tuple(map(bft_public, range(4))),
        grants=tuple(Grant(account_id(number), 1000) for number in range(4)),
    )
    return replace(genesis, **changes)


def own_pool(number: int) -> PoolId:
    """Of account ``number``."""
    return pool_id(account_id(number), 0)


def praos_genesis(*stakes: int, **changes: Any) -> Genesis:
    """Account n operates a pool that it delegates so much to."""
    genesis = Genesis(
        start_unix_s=START_S,
        name="test",
        parameters=Parameters(
            mode=Mode.PRAOS, slots_per_epoch=20, coefficient_milli=900, slots_per_kes_period=15
        ),
        rewards_pot=1_000_000,
        grants=tuple(
            Grant(account_id(number), stake, own_pool(number))
            for number, stake in enumerate(stakes)
        ),
        pools=tuple(
            FirstPool(account_id(number), register(number)) for number in range(len(stakes))
        ),
    )
    return replace(genesis, **changes)


def register(number: int) -> PoolRegister:
    keys = pool_keys(number)
    return PoolRegister(
        serial=0,
        vrf_key=keys.vrf.public_key,
        kes_key=keys.kes_public,
        vote_key=bft_public(number),
        kes_start_slot=0,
    )


def unsigned_block(
    place: Place, date: BlockDate, fragments: Sequence[SignedFragment | Fragment] = ()
) -> Block:
    """After ``place``, without a proof."""
    encoded = tuple(
        encode_fragment(each) if isinstance(each, SignedFragment) else each for each in fragments
    )
    digest = digest_for(place, date)
    if digest is not None:  # after an election, before all others
        at = sum(map(is_election, map(Fragment, encoded)))
        encoded = (*encoded[:at], digest, *encoded[at:])
    content = encode_content(encoded)
    header = Header(
        content_size_bytes=len(content),
        date=date,
        chain_length=place.header.chain_length + 1,
        content_hash=content_hash(content),
        parent=place.id,
    )
    return Block(header, tuple(map(Fragment, encoded)))


def bft_block(place: Place, date: BlockDate, *fragments: SignedFragment | Fragment) -> Block:
    """By the leader whose turn it is."""
    block = unsigned_block(place, date, fragments)
    leaders = leaders_of(place.layer, date.epoch)
    assert isinstance(leaders, BftLeaders)
    turn = leaders.leaders.index(leaders.leader(date.slot))
    return replace(block, header=bft_signed(block.header, turn))


def keys_as(number: int) -> PoolKeys:
    """Of account ``number``'s pool on a chain of ``praos_genesis``."""
    return replace(pool_keys(number), pool=own_pool(number))


def praos_leaders(place: Place, epoch: int) -> PraosLeaders:
    """As seen from ``place``."""
    leaders = leaders_of(place.layer, epoch)
    assert isinstance(leaders, PraosLeaders)
    return leaders


def praos_block(
    place: Place, date: BlockDate, number: int, *fragments: SignedFragment | Fragment
) -> Block:
    """By the pool of account ``number``, drawn or not."""
    block = unsigned_block(place, date, fragments)
    header = keys_as(number).signed(block.header, praos_leaders(place, date.epoch))
    return replace(block, header=header)


def next_praos(
    place: Place, *, pools: int, fragments: Sequence[SignedFragment | Fragment] = ()
) -> tuple[Place, int]:
    """The next block that somebody was drawn for, and whose it is."""
    era = place.settings.era
    slot = era.slot(place.header.date) + 1
    while True:
        date = era.date(slot)
        leaders = praos_leaders(place, date.epoch)
        for number in range(pools):
            keys = keys_as(number)
            if keys.is_drawn(leaders, date.slot):
                return apply_block(place, praos_block(place, date, number, *fragments)), number
        slot += 1
