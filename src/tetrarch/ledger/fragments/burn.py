"""Who pays gives up coins, which are to be paid to an address outside. Pure.

    network u32 | coin u8 | amount u64 | address u8-sized

Burns of a network are numbered; what members plan to pay for them stands in ``plan_list``. Whether the address is one, the
network's custody says: what cannot be paid is not made whole here.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from tetrarch.ledger.custody import (
    ADDRESS_SIZE_BYTES_MAX,
    BURNS,
    Burnt,
    burn_key,
    change_supply,
    network_of,
    put_network,
    take_coins,
)
from tetrarch.ledger.fragments.kind import Context
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import Reader, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """See the module."""

    number: ClassVar[int] = 20
    name: ClassVar[str] = "burn"
    free_for_voters: ClassVar[bool] = False

    network: int
    coin: int
    amount: int
    address: bytes

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.u32(self.network).u8(self.coin).u64(self.amount)
        writer.u8(len(self.address)).raw(self.address)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        return cls(
            network=reader.u32(),
            coin=reader.u8(),
            amount=reader.u64(lowest=1),
            address=reader.raw(reader.u8(lowest=1, highest=ADDRESS_SIZE_BYTES_MAX)),
        )

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        network = network_of(draft, self.network)
        take_coins(draft, context.payer, self.network, self.coin, self.amount)
        change_supply(draft, self.network, self.coin, -self.amount)
        burnt = Burnt(
            account=context.payer,
            coin=self.coin,
            amount=self.amount,
            address=self.address,
            height=context.height,
        )
        BURNS.put(draft, burn_key(self.network, network.next_burn), burnt)
        put_network(draft, self.network, replace(network, next_burn=network.next_burn + 1))
