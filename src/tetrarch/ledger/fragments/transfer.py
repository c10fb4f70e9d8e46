"""Transfers: value from who pays to others. Pure.

count u8 | so often: account 32 | value u64
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from tetrarch.ledger.accounts import AccountId, add_value, take_value
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import KEY_SIZE_BYTES
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import U8_MAX, Reader, Writer

OUTPUTS_MAX = U8_MAX


@dataclass(frozen=True, slots=True)
class Output:
    """Who gets how much."""

    account: AccountId
    value: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """See the module."""

    number: ClassVar[int] = 1
    name: ClassVar[str] = "transfer"
    free_for_voters: ClassVar[bool] = False

    outputs: tuple[Output, ...]

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.u8(len(self.outputs))
        for output in self.outputs:
            writer.raw(output.account).u64(output.value)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        count = reader.u8(lowest=1)
        return cls(
            tuple(
                Output(AccountId(reader.raw(KEY_SIZE_BYTES)), reader.u64(lowest=1))
                for _ in range(count)
            )
        )

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        if any(output.account == context.payer for output in self.outputs):
            raise FragmentRefused("transfer", reason="it pays the payer")
        take_value(draft, context.payer, sum(output.value for output in self.outputs))
        for output in self.outputs:
            add_value(draft, output.account, output.value)
