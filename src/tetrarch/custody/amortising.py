"""Fees are borne by those who are paid, evenly. Pure.

``cost`` is what some outputs are to bear together, given which they are: the fee of the transaction that has them, and what
earlier transactions cost that paid nobody. What would be left below the dust limit is not paid; what it was worth goes
towards the cost of the others, and what is too much of it stays with us.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tetrarch.errors import invariant

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Borne(Generic[_T]):
    """``paid``: in the order they were given, with what is left of each. ``dropped``: what is not paid."""

    paid: tuple[tuple[_T, int], ...]
    dropped: tuple[_T, ...]


def amortise(
    items: Sequence[tuple[_T, int]], cost: Callable[[Sequence[_T]], int], *, dust: int
) -> Borne[_T]:
    """Spread what ``cost`` says of those that are paid over them. Cost: the calls of ``cost``, one for each that is dropped.

    Args:
        items: with their amounts.
        cost: of some of ``items`` together; not more for less of them.
        dust: the lowest amount that is paid.
    """
    order = sorted(range(len(items)), key=lambda place: (-items[place][1], place))
    gained = total = each = rest = 0
    while order:
        total = max(cost([items[place][0] for place in sorted(order)]) - gained, 0)
        each, rest = divmod(total, len(order))
        smallest = items[order[-1]][1]
        if smallest - each - (1 if rest else 0) >= dust:
            break
        gained += items[order.pop()][1]
    dropped = tuple(items[place][0] for place in range(len(items)) if place not in set(order))
    if not order:
        return Borne((), dropped)
    bears = {place: each + (turn < rest) for turn, place in enumerate(order)}
    paid = tuple((items[place][0], items[place][1] - bears[place]) for place in sorted(order))
    invariant(sum(bears.values()) == total, "what is borne is what it costs")
    return Borne(paid, dropped)
