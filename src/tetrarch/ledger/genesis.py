"""A chain's first block: who it belongs to, what it begins with, and by what parameters. Pure.

It is a block without a proof, and its only fragment is of kind 0:

    0 u8 | start u64, Unix seconds | name u8-sized text | parameters
    | leaders u32, so often: Ed25519 key 32 | members u32, so often: Ed25519 key 32
    | rewards pot u64 | grants u32, so often: account 32 | value u64 | pool 32, zeros: none
    | pools u32, so often: operator 32 | registration

Its id names the chain, so nobody can be on it who has another one.
"""

from dataclasses import dataclass, field
from typing import Final

from tetrarch.errors import ConfigInvalid, InputInvalid
from tetrarch.ledger.accounts import ACCOUNTS, VALUE_MAX, Account, AccountId
from tetrarch.ledger.blocks import (
    FRAGMENT_SIZE_BYTES_MAX,
    Block,
    Fragment,
    content_hash,
    encode_content,
)
from tetrarch.ledger.dates import BlockDate, Era, TimeFrame
from tetrarch.ledger.elections import DOCUMENT_SIZE_BYTES_MAX, begin_election
from tetrarch.ledger.epochs import begin_chain, snapshot_for, stake_voters
from tetrarch.ledger.finality import Voters
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.headers import (
    ID_SIZE_BYTES,
    KEY_SIZE_BYTES,
    NO_PARENT,
    Header,
    PoolId,
)
from tetrarch.ledger.leaders import LEADERS_MAX
from tetrarch.ledger.membership import alike, begin_membership
from tetrarch.ledger.parameters import Mode, Parameters, read_parameters, write_parameters
from tetrarch.ledger.pools import POOLS, Registration, pool_id
from tetrarch.ledger.settings import Settings, put_settings
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.treasury import Pots, put_pots
from tetrarch.ledger.wire import Reader, Writer

NUMBER: Final = 0
NAME_SIZE_BYTES_MAX: Final = 64
COUNT_MAX: Final = (
    FRAGMENT_SIZE_BYTES_MAX // 32
)  # of grants, and of pools: its fragment has no room for more
_NO_POOL: Final = bytes(ID_SIZE_BYTES)


class GenesisInvalid(InputInvalid):
    """A first block that no chain can begin with."""

    code = "genesis_invalid"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an account has from the beginning, and to whom it delegates."""

    account: AccountId
    value: int
    pool: PoolId | None = None


@dataclass(frozen=True, slots=True)
class FirstPool:
    """A pool that is there from the beginning."""

    operator: AccountId
    register: PoolRegister


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """``leaders`` make blocks in turn in mode BFT, or one of them in mode ELECTED; ``members`` make blocks final (in mode
    Praos: pools). ``election``: its configuration's document with all members' keys, whose order is that of ``leaders``.
    """

    start_unix_s: int
    name: str
    parameters: Parameters
    leaders: tuple[bytes, ...] = ()
    members: tuple[bytes, ...] = ()
    election: bytes = field(default=b"", repr=False)
    rewards_pot: int = 0
    grants: tuple[Grant, ...] = field(default=(), repr=False)
    pools: tuple[FirstPool, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if len(self.name.encode()) > NAME_SIZE_BYTES_MAX or not self.name.isprintable():
            raise GenesisInvalid("make genesis", name=self.name[:64], maximum=NAME_SIZE_BYTES_MAX)
        for what, keys in (("leaders", self.leaders), ("members", self.members)):
            if len(set(keys)) != len(keys) or len(keys) > LEADERS_MAX:
                raise GenesisInvalid("make genesis", reason=f"{what} are named twice, or too many")
        if len({grant.account for grant in self.grants}) != len(self.grants):
            raise GenesisInvalid("make genesis", reason="an account has two grants")
        if (self.parameters.mode is Mode.ELECTED) != bool(self.election):
            raise GenesisInvalid(
                "make genesis", reason="an election's configuration goes with mode elected, only"
            )
        if self.rewards_pot + sum(grant.value for grant in self.grants) > VALUE_MAX:
            raise GenesisInvalid("make genesis", reason="there is more value than can be written")

    @property
    def era(self) -> Era:
        """Of its first epochs."""
        return Era(slots_per_epoch=self.parameters.slots_per_epoch)

    @property
    def frame(self) -> TimeFrame:
        """Of its first slots."""
        return TimeFrame(
            # A number of its own type, also before it has ever been written: the state has a hash.
            start_s=float(self.start_unix_s),
            slot_duration_s=self.parameters.slot_duration_ms / 1000,
        )


def genesis_block(genesis: Genesis) -> Block:
    """The chain's first block.

    Raises:
        GenesisInvalid: it has more grants than a fragment has room for, some 14,000.
    """
    fragment = Fragment(_encode(genesis))
    if len(fragment) > FRAGMENT_SIZE_BYTES_MAX:
        raise GenesisInvalid("make genesis", bytes=len(fragment), maximum=FRAGMENT_SIZE_BYTES_MAX)
    content = encode_content((fragment,))
    header = Header(
        content_size_bytes=len(content),
        date=BlockDate(0, 0),
        chain_length=0,
        content_hash=content_hash(content),
        parent=NO_PARENT,
    )
    return Block(header, (fragment,))


def read_genesis(block: Block) -> Genesis:
    """What a first block says.

    Raises:
        GenesisInvalid, ParametersInvalid, BytesInvalid: it is none.
    """
    header = block.header
    if header.proof is not None or header.parent != NO_PARENT or len(block.fragments) != 1:
        raise GenesisInvalid("read genesis", reason="the block is not a chain's first")
    genesis = _decode(block.fragments[0])
    if genesis_block(genesis) != block:
        raise GenesisInvalid("read genesis", reason="it is not in its one form")
    return genesis


def begin_state(draft: Draft, genesis: Genesis) -> None:
    """The state that the chain begins with.

    Raises:
        GenesisInvalid: a pool is registered twice, or one that is not is delegated to; nobody makes blocks final; the
            election's configuration is none, or not of these leaders.
    """
    put_settings(
        draft,
        Settings(
            parameters=genesis.parameters,
            era=genesis.era,
            frame=genesis.frame,
            leaders=genesis.leaders,
        ),
    )
    put_pots(draft, Pots(rewards=genesis.rewards_pot))
    for first in genesis.pools:
        register, pool = first.register, pool_id(first.operator, first.register.serial)
        if POOLS.get(draft, pool) is not None:
            raise GenesisInvalid("begin chain", pool=pool.hex(), reason="it is registered twice")
        registration = Registration(
            operator=first.operator,
            owners=register.owners,
            vrf_key=register.vrf_key,
            kes_key=register.kes_key,
            vote_key=register.vote_key,
            kes_start_slot=register.kes_start_slot,
            tax=register.tax,
        )
        POOLS.put(draft, pool, registration)
    for grant in genesis.grants:
        if grant.pool is not None and POOLS.get(draft, grant.pool) is None:
            raise GenesisInvalid("begin chain", pool=grant.pool.hex(), reason="there is no such")
        ACCOUNTS.put(draft, grant.account, Account(value=grant.value, pool=grant.pool))
    if genesis.election:
        try:
            begin_election(draft, genesis.election, len(genesis.leaders))
        except ConfigInvalid as error:
            raise GenesisInvalid("begin chain", **error.fields) from None
    begin_chain(draft)
    begin_membership(draft, _first_voters(draft, genesis))


def _first_voters(draft: Draft, genesis: Genesis) -> Voters:
    if genesis.parameters.mode is not Mode.PRAOS:
        return alike(genesis.members)
    snapshot = snapshot_for(draft, 0)
    voters = Voters({}) if snapshot is None else stake_voters(snapshot)
    if genesis.members or not voters.weights:
        reason = "in mode praos pools vote, which have stake from the beginning, and no members"
        raise GenesisInvalid("begin chain", reason=reason)
    return voters


def _encode(genesis: Genesis) -> bytes:
    name = genesis.name.encode()
    writer = Writer().u8(NUMBER).u64(genesis.start_unix_s).u8(len(name)).raw(name)
    write_parameters(writer, genesis.parameters)
    for keys in (genesis.leaders, genesis.members):
        writer.u32(len(keys))
        for key in keys:
            writer.raw(key)
    if genesis.parameters.mode is Mode.ELECTED:
        writer.u32(len(genesis.election)).raw(genesis.election)
    writer.u64(genesis.rewards_pot).u32(len(genesis.grants))
    for grant in genesis.grants:
        writer.raw(grant.account).u64(grant.value).raw(grant.pool or _NO_POOL)
    writer.u32(len(genesis.pools))
    for pool in genesis.pools:
        writer.raw(pool.operator)
        pool.register.write(writer)
    return writer.data


def _decode(data: bytes) -> Genesis:
    reader = Reader(data, what="genesis")
    reader.u8(highest=NUMBER)
    start_unix_s = reader.u64()
    try:
        name = reader.raw(reader.u8(highest=NAME_SIZE_BYTES_MAX)).decode()
    except UnicodeDecodeError:
        raise GenesisInvalid("read genesis", reason="its name is no text") from None
    parameters = read_parameters(reader)
    leaders, members = (
        tuple(reader.raw(KEY_SIZE_BYTES) for _ in range(reader.u32(highest=LEADERS_MAX)))
        for _ in range(2)
    )
    election = b""
    if parameters.mode is Mode.ELECTED:
        election = reader.raw(reader.u32(highest=DOCUMENT_SIZE_BYTES_MAX))
    rewards_pot = reader.u64()
    grants = tuple(_read_grant(reader) for _ in range(reader.u32(highest=COUNT_MAX)))
    pools = tuple(
        FirstPool(AccountId(reader.raw(KEY_SIZE_BYTES)), PoolRegister.read(reader))
        for _ in range(reader.u32(highest=COUNT_MAX))
    )
    reader.end()
    return Genesis(
        start_unix_s=start_unix_s,
        name=name,
        parameters=parameters,
        leaders=leaders,
        members=members,
        election=election,
        rewards_pot=rewards_pot,
        grants=grants,
        pools=pools,
    )


def _read_grant(reader: Reader) -> Grant:
    account, value, pool = (
        AccountId(reader.raw(KEY_SIZE_BYTES)),
        reader.u64(),
        reader.raw(ID_SIZE_BYTES),
    )
    return Grant(account, value, None if pool == _NO_POOL else PoolId(pool))
