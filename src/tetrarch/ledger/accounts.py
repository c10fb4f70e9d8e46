"""Accounts: a key, what it holds, how many fragments it signed, and to whom it delegates. Pure."""

from dataclasses import dataclass, replace
from typing import Final, NewType

from tetrarch.errors import PeerFault
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.tables import Draft, Table, View
from tetrarch.ledger.wire import U64_MAX

AccountId = NewType("AccountId", bytes)  # an Ed25519 key, 32 bytes

VALUE_MAX: Final = U64_MAX


class ValueInvalid(PeerFault):
    """More is spent than there is, or more is there than can be."""

    code = "ledger_value_invalid"


@dataclass(frozen=True, slots=True)
class Account:
    """``counter``: of the next fragment that it pays for."""

    value: int = 0
    counter: int = 0
    pool: PoolId | None = None


NOBODY: Final = Account()
ACCOUNTS: Final = Table("accounts", Account)


def account_of(view: View, account: AccountId) -> Account:
    """As it is; one that nobody heard of holds nothing."""
    return ACCOUNTS.get(view, account) or NOBODY


def add_value(draft: Draft, account: AccountId, value: int) -> None:
    """It gets so much.

    Raises:
        ValueInvalid: it would hold more than ``VALUE_MAX``.
    """
    before = account_of(draft, account)
    if before.value + value > VALUE_MAX:
        raise ValueInvalid("add value", account=account.hex(), value=value, holds=before.value)
    ACCOUNTS.put(draft, account, replace(before, value=before.value + value))


def take_value(draft: Draft, account: AccountId, value: int) -> None:
    """It gives so much.

    Raises:
        ValueInvalid: it does not hold that.
    """
    before = account_of(draft, account)
    if before.value < value:
        raise ValueInvalid("take value", account=account.hex(), value=value, holds=before.value)
    ACCOUNTS.put(draft, account, replace(before, value=before.value - value))
