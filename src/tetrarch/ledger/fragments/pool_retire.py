"""Retires a stake pool that who pays owns. Pure.

    pool 32 | the first epoch without it u32

The next epoch's leaders are known already, so that epoch is the one after it at the earliest. The pool stays registered
until then; who delegated to it delegates to nobody from then on.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import ID_SIZE_BYTES, PoolId
from tetrarch.ledger.pools import POOLS
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import Reader, Writer


@dataclass(frozen=True, slots=True)
class PoolRetire:
    """See the module."""

    number: ClassVar[int] = 3
    name: ClassVar[str] = "pool_retire"
    free_for_voters: ClassVar[bool] = False

    pool: PoolId
    epoch: int

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.raw(self.pool).u32(self.epoch)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        return cls(PoolId(reader.raw(ID_SIZE_BYTES)), reader.u32())

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        registration = POOLS.get(draft, self.pool)
        if registration is None:
            raise FragmentRefused("retire pool", pool=self.pool.hex(), reason="there is no such")
        if context.payer not in registration.all_owners:
            raise FragmentRefused("retire pool", pool=self.pool.hex(), reason="another's")
        earliest = context.date.epoch + 2
        if self.epoch < earliest:
            raise FragmentRefused("retire pool", epoch=self.epoch, earliest=earliest)
        POOLS.put(draft, self.pool, replace(registration, retires=self.epoch))
