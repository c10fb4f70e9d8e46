"""Coins of an outside network, from who pays to another. Pure.

network u32 | coin u8 | account 32 | amount u64
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.custody import add_coins, take_coins
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import KEY_SIZE_BYTES
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import Reader, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinTransfer:
    """See the module."""

    number: ClassVar[int] = 21
    name: ClassVar[str] = "coin_transfer"
    free_for_voters: ClassVar[bool] = False

    network: int
    coin: int
    account: AccountId
    amount: int

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.u32(self.network).u8(self.coin).raw(self.account).u64(self.amount)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        return cls(
            network=reader.u32(),
            coin=reader.u8(),
            account=AccountId(reader.raw(KEY_SIZE_BYTES)),
            amount=reader.u64(lowest=1),
        )

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        if self.account == context.payer:
            raise FragmentRefused("transfer coins", reason="it pays the payer")
        take_coins(draft, context.payer, self.network, self.coin, self.amount)
        add_coins(draft, self.account, self.network, self.coin, self.amount)
