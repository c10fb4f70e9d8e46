"""Registers a stake pool of who pays, or changes it. Pure.

    serial u32 | random function's key 32 | evolving key 32 | its votes' key 32 | first slot of its first period u64
    | owners u8, so often: account 32 | tax fixed u64 | tax ratio u32, in millionths | tax limit u64, 0: none

Keys that change count with the next snapshot of stake, as stake does. A pool that was retired is so no more.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from tetrarch.crypto.ristretto import PointInvalid, decode_point
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import KEY_SIZE_BYTES
from tetrarch.ledger.pools import (
    NO_TAX,
    OWNERS_MAX,
    POOLS,
    RATIO_ONE,
    Registration,
    Tax,
    pool_id,
)
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import Reader, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRegister:
    """See the module."""

    number: ClassVar[int] = 2
    name: ClassVar[str] = "pool_register"
    free_for_voters: ClassVar[bool] = False

    serial: int
    vrf_key: bytes
    kes_key: bytes
    vote_key: bytes
    kes_start_slot: int
    owners: tuple[AccountId, ...] = ()
    tax: Tax = NO_TAX

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.u32(self.serial).raw(self.vrf_key).raw(self.kes_key)
        writer.raw(self.vote_key).u64(self.kes_start_slot)
        writer.u8(len(self.owners))
        for owner in self.owners:
            writer.raw(owner)
        writer.u64(self.tax.fixed).u32(self.tax.ratio_millionth).u64(self.tax.limit or 0)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        return cls(
            serial=reader.u32(),
            vrf_key=reader.raw(KEY_SIZE_BYTES),
            kes_key=reader.raw(KEY_SIZE_BYTES),
            vote_key=reader.raw(KEY_SIZE_BYTES),
            kes_start_slot=reader.u64(),
            owners=tuple(
                AccountId(reader.raw(KEY_SIZE_BYTES)) for _ in range(reader.u8(highest=OWNERS_MAX))
            ),
            tax=Tax(reader.u64(), reader.u32(highest=RATIO_ONE), reader.u64() or None),
        )

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        try:
            decode_point(self.vrf_key)
        except PointInvalid:
            raise FragmentRefused("register pool", reason="its VRF key is no point") from None
        if len({context.payer, *self.owners}) != 1 + len(self.owners):
            raise FragmentRefused("register pool", reason="an owner is named twice")
        registration = Registration(
            operator=context.payer,
            owners=self.owners,
            vrf_key=self.vrf_key,
            kes_key=self.kes_key,
            vote_key=self.vote_key,
            kes_start_slot=self.kes_start_slot,
            tax=self.tax,
        )
        POOLS.put(draft, pool_id(context.payer, self.serial), registration)
