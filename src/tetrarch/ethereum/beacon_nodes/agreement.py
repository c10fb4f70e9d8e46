"""Which answer to take when beacon nodes should all say the same. Pure.

For duties and constants: there is one right answer, and a wrong one costs the duty. More than half
of the answers win; without such a majority, the answer of the best score does.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one node says; ``key`` is equal for answers that mean the same."""

    node: int
    key: Hashable
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Whose answer to take, and who said otherwise; nodes ascending."""

    node: int
    supporters: tuple[int, ...]
    dissenters: tuple[int, ...]
    by_majority: bool


def agree(statements: Iterable[Statement]) -> Agreement | None:
    """Compare ``statements``, one a node; None when there is none. Their order does not matter.

    Ties go to the best score, then to the node that is configured first.
    """
    ordered = sorted(statements, key=lambda statement: statement.node)
    if not ordered:
        return None
    groups: dict[Hashable, list[Statement]] = {}
    for statement in ordered:
        groups.setdefault(statement.key, []).append(statement)
    largest = max(groups.values(), key=len)
    by_majority = 2 * len(largest) > len(ordered)
    best = max(largest if by_majority else ordered, key=lambda statement: statement.score)
    supporters = tuple(statement.node for statement in groups[best.key])
    return Agreement(
        node=best.node,
        supporters=supporters,
        dissenters=tuple(each.node for each in ordered if each.node not in supporters),
        by_majority=by_majority,
    )


def is_settled(statements: Iterable[Statement], *, electorate: int) -> bool:
    """Whether no further answer of the ``electorate`` nodes asked could change the result."""
    agreement = agree(statements)
    return agreement is not None and 2 * len(agreement.supporters) > electorate


def largest(statements: Iterable[Statement]) -> int:
    """How many say the same as most others."""
    return max(Counter(statement.key for statement in statements).values(), default=0)
