"""Values of the state as they are at rest: MessagePack, of the types that their tables have. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tetrarch.ledger.accounts import ACCOUNTS
from tetrarch.ledger.checkpoints import ANCESTORS, JUSTIFIED, STANDING
from tetrarch.ledger.custody import BURNS, COINS, CUSTODY_KEYS, NETWORKS, PLANS, SUPPLY
from tetrarch.ledger.elections import ELECTED, ELECTION
from tetrarch.ledger.epochs import BLOCKS_MADE, NONCES, SNAPSHOTS
from tetrarch.ledger.membership import MEMBERSHIP
from tetrarch.ledger.parameter_votes import AGREED
from tetrarch.ledger.pools import POOLS
from tetrarch.ledger.settings import SETTINGS
from tetrarch.ledger.state_digest import DIGESTED
from tetrarch.ledger.tables import Table
from tetrarch.ledger.tallies import OPEN_VOTES, TALLIES
from tetrarch.ledger.treasury import POTS

TABLES: Final[tuple[Table[Any], ...]] = (
    SETTINGS,
    MEMBERSHIP,
    ACCOUNTS,
    POOLS,
    POTS,
    NONCES,
    BLOCKS_MADE,
    SNAPSHOTS,
    STANDING,
    ANCESTORS,
    JUSTIFIED,
    AGREED,
    TALLIES,
    OPEN_VOTES,
    NETWORKS,
    CUSTODY_KEYS,
    COINS,
    SUPPLY,
    BURNS,
    PLANS,
    ELECTION,
    ELECTED,
    DIGESTED,
)
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final[Mapping[str, msgspec.msgpack.Decoder[Any]]] = {
    table.name: msgspec.msgpack.Decoder(table.kind) for table in TABLES
}


def encode_value(value: object) -> bytes:
    """As it is kept."""
    return _ENCODER.encode(value)


def decode_value(table: str, data: bytes) -> Any:
    """As it was.

    Raises:
        ValueError: no table has that name, or no such value.
    """
    decoder = _DECODERS.get(table)
    if decoder is None:
        raise ValueError(f"there is no table {table[:40]}")
    return decoder.decode(data)
