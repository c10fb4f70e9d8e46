"""What who sends coins in wants done with them, in the bytes that come along. Pure.

    version u8 (1) | account 32 | address to which it goes back if it cannot be done, u8-sized, or nothing

Whatever is none is said so: the coins go back to where they seem to come from, or stay as a gift.
"""

from dataclasses import dataclass
from typing import Final

VERSION: Final = 1
ACCOUNT_SIZE_BYTES: Final = 32
ADDRESS_SIZE_BYTES_MAX: Final = 128
DATA_SIZE_BYTES_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Deposit:
    """``back_to``: an address as its chain writes it; empty: where the coins seem to come from."""

    account: bytes
    back_to: bytes = b""


def encode_deposit(deposit: Deposit) -> bytes:
    """The bytes that go along with coins: 33, or up to 162."""
    data = bytes((VERSION,)) + deposit.account
    return data + bytes((len(deposit.back_to),)) + deposit.back_to if deposit.back_to else data


def decode_deposit(data: bytes) -> Deposit | None:
    """What ``data`` says; nothing if it is no deposit in its one form."""
    head = 1 + ACCOUNT_SIZE_BYTES
    if len(data) < head or data[0] != VERSION:
        return None
    if len(data) == head:
        return Deposit(data[1:])
    size = data[head]
    back_to = data[head + 1 :]
    if len(back_to) != size or not 1 <= size <= ADDRESS_SIZE_BYTES_MAX:
        return None
    return Deposit(data[1:head], back_to)
