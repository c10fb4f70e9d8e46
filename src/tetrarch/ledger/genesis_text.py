"""What a chain begins with, as an operator writes it: TOML, each key checked. Pure.

name = "federation"                  # shown, and part of the chain's id
start = 2026-12-01T12:00:00Z         # of its first slot
leaders = ["HEX", ...]               # who make blocks in turn, in mode "bft"
members = ["HEX", ...]               # who make blocks final, in modes "bft" and "elected"
election = "election.json"           # in mode "elected": its configuration with all members' keys
rewards_pot = 0
[parameters]                         # all have defaults
mode = "bft"                         # or "praos", or "elected"
slot_duration_ms = 1000
[elected]                            # in mode "elected": the leader's key of each member of the election
"node0.example:4000" = "HEX"
[[grants]]
account = "HEX"
value = 1000
pool = "HEX"                         # to whom it delegates, if to anybody
[[pools]]
operator = "HEX"
vrf_key = "HEX"
kes_key = "HEX"
vote_key = "HEX"                     # its node's, by which its stake makes blocks final
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.election.documents import read_configuration
from tetrarch.errors import ConfigInvalid, InputInvalid
from tetrarch.ledger.accounts import VALUE_MAX, AccountId
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.genesis import COUNT_MAX, FirstPool, Genesis, Grant
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.leaders import LEADERS_MAX
from tetrarch.ledger.parameters import Fees, Mode, Parameters, ParametersInvalid, Rewards
from tetrarch.ledger.pools import OWNERS_MAX, RATIO_ONE, Tax

TEXT_SIZE_BYTES_MAX: Final = 4 << 20

Key: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]
Value: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=min(VALUE_MAX, 2**63 - 1))]
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Keys: TypeAlias = Annotated[tuple[Key, ...], msgspec.Meta(max_length=LEADERS_MAX)]


class _Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: a misspelt key is an error."""


class FeesText(_Text, frozen=True, kw_only=True):
    """``Fees``."""

    constant: Value = 0
    per_byte: Value = 0


class RewardsText(_Text, frozen=True, kw_only=True):
    """``Rewards``."""

    rate_millionth: int = 0
    treasury_millionth: int = 0


_DEFAULT: Final = Parameters()


class ParametersText(_Text, frozen=True, kw_only=True):
    """``Parameters``, which says what is within bounds."""

    mode: Mode = _DEFAULT.mode
    slot_duration_ms: int = _DEFAULT.slot_duration_ms
    slots_per_epoch: int = _DEFAULT.slots_per_epoch
    coefficient_milli: int = _DEFAULT.coefficient_milli
    slots_per_kes_period: int = _DEFAULT.slots_per_kes_period
    content_size_bytes_max: int = _DEFAULT.content_size_bytes_max
    fragment_size_bytes_max: int = _DEFAULT.fragment_size_bytes_max
    expiry_epochs_max: int = _DEFAULT.expiry_epochs_max
    fees: FeesText = FeesText()
    rewards: RewardsText = RewardsText()
    compat: bool = False


class GrantText(_Text, frozen=True, kw_only=True):
    """``Grant``."""

    account: Key
    value: Value
    pool: Key | None = None


class TaxText(_Text, frozen=True, kw_only=True):
    """``Tax``."""

    fixed: Value = 0
    ratio_millionth: Annotated[int, msgspec.Meta(ge=0, le=RATIO_ONE)] = 0
    limit: Value | None = None


class PoolText(_Text, frozen=True, kw_only=True):
    """``PoolRegister`` by ``operator``."""

    operator: Key
    vrf_key: Key
    kes_key: Key
    vote_key: Key
    serial: Number = 0
    kes_start_slot: Number = 0
    owners: Annotated[tuple[Key, ...], msgspec.Meta(max_length=OWNERS_MAX)] = ()
    tax: TaxText = TaxText()


class GenesisText(_Text, frozen=True, kw_only=True):
    """``Genesis``."""

    name: str
    start: datetime
    leaders: Keys = ()
    members: Keys = ()
    election: str = ""
    elected: Annotated[dict[str, Key], msgspec.Meta(max_length=LEADERS_MAX)] = {}
    rewards_pot: Value = 0
    parameters: ParametersText = ParametersText()
    grants: Annotated[tuple[GrantText, ...], msgspec.Meta(max_length=COUNT_MAX)] = ()
    pools: Annotated[tuple[PoolText, ...], msgspec.Meta(max_length=COUNT_MAX)] = ()


def no_file(name: str) -> bytes:
    """There is none.

    Raises:
        ConfigInvalid: always.
    """
    raise ConfigInvalid("read genesis", file=name[:80], reason="there is no such file")


def read_genesis_text(text: str, file: Callable[[str], bytes] = no_file) -> Genesis:
    """What it says. ``file`` gives what another file has in it that it names.

    Raises:
        ConfigInvalid: it is no such TOML, or no chain can begin so; names what and where.
    """
    if len(text) > TEXT_SIZE_BYTES_MAX:
        raise ConfigInvalid("read genesis", characters=len(text), maximum=TEXT_SIZE_BYTES_MAX)
    try:
        read = msgspec.convert(tomllib.loads(text), type=GenesisText)
        return _genesis(read, file)
    except InputInvalid as error:
        raise ConfigInvalid("read genesis", **error.fields) from None
    except (*UNDECODABLE, tomllib.TOMLDecodeError) as error:
        raise ConfigInvalid("read genesis", reason=error) from None


def changed_parameters(parameters: Parameters, changes: Mapping[str, object]) -> Parameters:
    """``parameters`` with some of them as text says: by name, or GROUP.NAME for those in groups.

    Raises:
        ParametersInvalid: there is no such parameter, or it cannot be that.
    """
    fields = asdict(parameters) | {"mode": parameters.mode.value}
    for name, value in changes.items():
        *groups, own = name.split(".")
        place = fields
        for group in groups:
            found = place.get(group)
            place = found if isinstance(found, dict) else {}
        if own not in place or isinstance(place[own], dict):
            raise ParametersInvalid("change parameters", name=name[:60], reason="there is no such")
        place[own] = value
    try:
        return _parameters(msgspec.convert(fields, type=ParametersText, strict=False))
    except UNDECODABLE as error:
        raise ParametersInvalid("change parameters", reason=error) from None


def _genesis(read: GenesisText, file: Callable[[str], bytes]) -> Genesis:
    start = read.start if read.start.tzinfo is not None else read.start.replace(tzinfo=UTC)
    election, leaders = b"", read.leaders
    if read.election:
        election = file(read.election)
        leaders = _elected(read, read_configuration(election)[0].members)
    return Genesis(
        start_unix_s=int(start.timestamp()),
        name=read.name,
        parameters=_parameters(read.parameters),
        leaders=tuple(map(bytes.fromhex, leaders)),
        members=tuple(map(bytes.fromhex, read.members)),
        election=election,
        rewards_pot=read.rewards_pot,
        grants=tuple(map(_grant, read.grants)),
        pools=tuple(map(_pool, read.pools)),
    )


def _elected(read: GenesisText, members: tuple[str, ...]) -> tuple[str, ...]:
    """The members' keys as leaders, in the order in which the election has them."""
    if read.leaders or read.elected.keys() != set(members):
        named = ", ".join(members)
        raise ConfigInvalid("read genesis", field="elected", expected=f"a key each of {named}")
    return tuple(read.elected[member] for member in members)


def _parameters(read: ParametersText) -> Parameters:
    numbers = msgspec.structs.asdict(read)
    numbers["fees"] = Fees(**msgspec.structs.asdict(read.fees))
    numbers["rewards"] = Rewards(**msgspec.structs.asdict(read.rewards))
    return Parameters(**numbers)


def _grant(read: GrantText) -> Grant:
    pool = None if read.pool is None else PoolId(bytes.fromhex(read.pool))
    return Grant(AccountId(bytes.fromhex(read.account)), read.value, pool)


def _pool(read: PoolText) -> FirstPool:
    register = PoolRegister(
        serial=read.serial,
        vrf_key=bytes.fromhex(read.vrf_key),
        kes_key=bytes.fromhex(read.kes_key),
        vote_key=bytes.fromhex(read.vote_key),
        kes_start_slot=read.kes_start_slot,
        owners=tuple(AccountId(bytes.fromhex(each)) for each in read.owners),
        tax=Tax(**msgspec.structs.asdict(read.tax)),
    )
    return FirstPool(AccountId(bytes.fromhex(read.operator)), register)
