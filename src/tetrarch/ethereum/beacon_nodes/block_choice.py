"""Which of several beacon nodes' blocks to propose. Pure.

1. Where more than half of the offers build on the same parent, the others are left out: a block
   on a wrong head is worth nothing, whatever its node says.
2. The highest value wins, where nodes name one (execution payload plus consensus rewards, in
   wei); an offer without a value counts as 0.
3. Then the best score, then the earliest arrival, then the node that is configured first.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One node's block. ``node`` is its place in the configured order."""

    node: int
    parent_root: bytes
    score: float
    arrived_s: float
    value_wei: int | None = None


def choose(offers: Iterable[Offer]) -> Offer | None:
    """The offer to take; None when there is none. The order of ``offers`` does not matter."""
    all_offers = list(offers)
    if not all_offers:
        return None
    parents = Counter(offer.parent_root for offer in all_offers)
    needed = len(all_offers) // 2 + 1
    on_agreed = [offer for offer in all_offers if parents[offer.parent_root] >= needed]
    return min(
        on_agreed or all_offers,
        key=lambda offer: (-(offer.value_wei or 0), -offer.score, offer.arrived_s, offer.node),
    )
