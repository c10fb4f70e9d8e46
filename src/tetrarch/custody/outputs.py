"""What is held and what is paid, on a chain whose coins are outputs of transactions. Pure.

Amounts are in the chain's smallest unit (satoshi), and whole.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

OutputId = NewType("OutputId", bytes)  # of a transaction and a place in it, as the chain writes it
PlanId = NewType("PlanId", bytes)  # 32 bytes
PaymentId = NewType("PaymentId", bytes)  # a burn's, or an output's that goes back


class OutputKind(StrEnum):
    """By the address that it was sent to."""

    EXTERNAL = "external"  # from somebody else
    BRANCH = "branch"  # of a transaction of ours, for payments that had no room in it
    CHANGE = "change"  # of a transaction of ours, for ourselves
    FORWARDED = "forwarded"  # from the key before


@dataclass(frozen=True, slots=True)
class Output:
    """Held by our key."""

    id: OutputId
    kind: OutputKind
    amount: int


@dataclass(frozen=True, slots=True)
class Payment:
    """To ``address``, as the chain writes it. ``amount`` is before fees, which who is paid bears."""

    id: PaymentId
    address: bytes
    amount: int
