"""How much one node may say: a bucket of tokens that fills with time, and with what we asked for. Pure.

Costs follow the work that a message makes: a signature of gossip is some hundred small messages' worth.
Whoever says more than any honest node does is dropped, and blamed, before the work is done.
"""

from dataclasses import dataclass

from tetrarch.network.overlay.messages import Kind
from tetrarch.network.overlay.profile import NodeId

TOKENS_PER_S = 250.0
TOKENS_MAX = 2048.0  # an honest node comes back after an outage, or tells all its late news
GOSSIP_COST = 32.0
ITEM_SIZE_PER_TOKEN = 16_384
SIZE_PER_TOKEN = 256  # of lists of ids


def cost(kind: int, size_bytes: int) -> float:
    """Of one message, in tokens: one is some 100 us of work."""
    if kind == Kind.GOSSIP:
        return GOSSIP_COST
    return 1 + size_bytes / (ITEM_SIZE_PER_TOKEN if kind == Kind.ITEM else SIZE_PER_TOKEN)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float
    asked: float = 0.0  # of what it may say besides, for we asked


class Pace:
    """Of each node that says something. Times are of one clock."""

    def __init__(self) -> None:
        self._buckets: dict[NodeId, _Bucket] = {}

    def takes(self, node: NodeId, tokens: float, *, now_s: float) -> bool:
        """Whether the node may say what costs so much now."""
        bucket = self._bucket(node, now_s)
        from_asked = min(tokens, bucket.asked)
        left = bucket.tokens - (tokens - from_asked)
        if left < 0:
            return False
        bucket.tokens = left
        bucket.asked -= from_asked
        return True

    def grant(self, node: NodeId, tokens: float, *, now_s: float) -> None:
        """We asked it for something. What it leaves unsaid is not saved up beyond one bucket's size."""
        bucket = self._bucket(node, now_s)
        bucket.asked = min(bucket.asked + tokens, max(tokens, TOKENS_MAX))

    def forget(self, node: NodeId) -> None:
        """Its link is gone."""
        self._buckets.pop(node, None)

    def _bucket(self, node: NodeId, now_s: float) -> _Bucket:
        bucket = self._buckets.get(node)
        if bucket is None:
            bucket = self._buckets[node] = _Bucket(TOKENS_MAX, now_s)
        gained = max(0.0, now_s - bucket.filled_s) * TOKENS_PER_S
        bucket.tokens = min(TOKENS_MAX, bucket.tokens + gained)
        bucket.filled_s = now_s
        return bucket
