"""What the chain knows of coins on outside networks that its members hold: keys, blocks, batches, balances, burns, plans. Pure.

    key       a quorum says that a group made a key, for a network's next session
    block     a quorum says that a block of the network is final there
    batch     the group's key signs what came in with such a block: accounts get coins
    burn      an account gives coins up, for a payment outside
    plans     a quorum lists the payments that it makes for all up to a final block of this chain: nothing else may be signed

A network is a number that its members agree on; a coin is a number within it. What leads from one to the next outside is
``custody``'s.
"""

from dataclasses import dataclass, replace
from typing import Final

from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.fragments.kind import FragmentRefused
from tetrarch.ledger.tables import Draft, Table, View
from tetrarch.ledger.wire import U64_MAX, Writer

EXTERNAL_KEY_SIZE_BYTES_MAX: Final = 96
ADDRESS_SIZE_BYTES_MAX: Final = 128
BLOCKS_WAITING_MAX: Final = 256  # of a network, that no batch is there for


@dataclass(frozen=True, slots=True)
class CustodyKey:
    """Of a group, in one session: the Ed25519 key that signs batches, and the one that holds coins."""

    batch_key: bytes
    external_key: bytes


@dataclass(frozen=True, slots=True)
class ExternalBlock:
    """Of a network."""

    number: int
    block: bytes  # its hash, 32 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """``signing_session``: whose key signed the latest batch; ``blocks`` are final there, and may have a batch yet.

    ``planned_height``: of the block of this chain up to which burns are planned.
    """

    next_session: int = 0
    signing_session: int = 0
    blocks: tuple[ExternalBlock, ...] = ()
    latest: int = -1  # number of the latest that is final
    next_batch: int = 0
    next_burn: int = 0
    next_unplanned: int = 0  # burn
    planned_height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Burnt:
    """Coins that are to be paid outside. ``height``: of the block it is in."""

    account: AccountId
    coin: int
    amount: int
    address: bytes
    height: int


NETWORKS: Final = Table("networks", Network)  # by number, u32
CUSTODY_KEYS: Final = Table("custody_keys", CustodyKey)  # by network and session
COINS: Final = Table("coins", int)  # by account, network and coin
SUPPLY: Final = Table("supply", int)  # by network and coin
BURNS: Final = Table("burns", Burnt)  # that are not planned, by network and number
PLANS: Final = Table("plans", int)  # heights up to which they pay, by network and plan


def network_of(view: View, number: int) -> Network:
    """As it stands.

    Raises:
        FragmentRefused: no key was made for it.
    """
    network = NETWORKS.get(view, network_key(number))
    if network is None:
        raise FragmentRefused("find network", network=number, reason="it has no key yet")
    return network


def put_network(draft: Draft, number: int, network: Network) -> None:
    """As it stands from now on."""
    NETWORKS.put(draft, network_key(number), network)


def add_key(draft: Draft, number: int, session: int, key: CustodyKey) -> None:
    """A quorum saw it made."""
    network = NETWORKS.get(draft, network_key(number)) or Network()
    CUSTODY_KEYS.put(draft, session_key(number, session), key)
    put_network(draft, number, replace(network, next_session=session + 1))


def add_external_block(draft: Draft, number: int, block: ExternalBlock) -> None:
    """A quorum saw it final."""
    network = network_of(draft, number)
    changed = replace(network, blocks=(*network.blocks, block), latest=block.number)
    put_network(draft, number, changed)


def coins_of(view: View, account: AccountId, network: int, coin: int) -> int:
    """What an account has."""
    return COINS.get(view, coins_key(account, network, coin)) or 0


def supply_of(view: View, network: int, coin: int) -> int:
    """What all accounts have: so much must be there outside, beside what is burnt and not paid."""
    return SUPPLY.get(view, coin_key(network, coin)) or 0


def add_coins(draft: Draft, account: AccountId, network: int, coin: int, amount: int) -> None:
    """An account gets some.

    Raises:
        FragmentRefused: there would be more than can be written.
    """
    held = coins_of(draft, account, network, coin) + amount
    if held > U64_MAX:
        raise FragmentRefused("add coins", account=account.hex(), amount=amount, reason="too many")
    COINS.put(draft, coins_key(account, network, coin), held)


def take_coins(draft: Draft, account: AccountId, network: int, coin: int, amount: int) -> None:
    """An account gives some.

    Raises:
        FragmentRefused: it has less.
    """
    held = coins_of(draft, account, network, coin)
    if held < amount:
        raise FragmentRefused("take coins", account=account.hex(), amount=amount, holds=held)
    if held == amount:
        COINS.remove(draft, coins_key(account, network, coin))
    else:
        COINS.put(draft, coins_key(account, network, coin), held - amount)


def change_supply(draft: Draft, network: int, coin: int, amount: int) -> None:
    """Batches make it more, burns less.

    Raises:
        FragmentRefused: there would be more than can be written.
    """
    supply = supply_of(draft, network, coin) + amount
    if not 0 <= supply <= U64_MAX:
        raise FragmentRefused("change supply", network=network, coin=coin, reason="too many")
    SUPPLY.put(draft, coin_key(network, coin), supply)


def network_key(number: int) -> bytes:
    """In its table."""
    return Writer().u32(number).data


def session_key(network: int, session: int) -> bytes:
    """In its table."""
    return Writer().u32(network).u32(session).data


def coin_key(network: int, coin: int) -> bytes:
    """In its table."""
    return Writer().u32(network).u8(coin).data


def coins_key(account: AccountId, network: int, coin: int) -> bytes:
    """In its table."""
    return account + coin_key(network, coin)


def burn_key(network: int, number: int) -> bytes:
    """In its table; it is the burn's identity."""
    return Writer().u32(network).u64(number).data


def plan_key(network: int, plan: bytes) -> bytes:
    """In its table."""
    return network_key(network) + plan
