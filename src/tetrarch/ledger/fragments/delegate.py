"""Delegates what who pays holds to a stake pool, or to nobody. Pure.

pool 32, zeros: nobody
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from tetrarch.ledger.accounts import ACCOUNTS, account_of
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import ID_SIZE_BYTES, PoolId
from tetrarch.ledger.pools import POOLS
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import Reader, Writer

_NOBODY: Final = bytes(ID_SIZE_BYTES)


@dataclass(frozen=True, slots=True)
class Delegate:
    """See the module."""

    number: ClassVar[int] = 4
    name: ClassVar[str] = "delegate"
    free_for_voters: ClassVar[bool] = False

    pool: PoolId | None

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.raw(self.pool or _NOBODY)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        pool = reader.raw(ID_SIZE_BYTES)
        return cls(None if pool == _NOBODY else PoolId(pool))

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        if self.pool is not None and POOLS.get(draft, self.pool) is None:
            raise FragmentRefused("delegate", pool=self.pool.hex(), reason="there is no such pool")
        account = account_of(draft, context.payer)
        ACCOUNTS.put(draft, context.payer, replace(account, pool=self.pool))
