"""How much one node may say: a bucket of tokens that fills with time, and with what we asked for. Pure.

So it is for how much may be asked from one address. Costs follow the work that a message makes: a signature of gossip is some hundred small messages' worth.
Whoever says more than any honest node does is dropped, and blamed, before the work is done.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tetrarch.network.overlay.messages import Kind

TOKENS_PER_S = 250.0
TOKENS_MAX = 2048.0  # an honest node comes back after an outage, or tells all its late news
GOSSIP_COST = 32.0
ITEM_SIZE_PER_TOKEN = 16_384
SIZE_PER_TOKEN = 256  # of lists of ids
BUCKETS_MAX = 4096

Who = TypeVar("Who", bound=Hashable)


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


class Pace(Generic[Who]):
    """Of each that says something. Times are of one clock."""

    def __init__(
        self, *, tokens_per_s: float = TOKENS_PER_S, tokens_max: float = TOKENS_MAX
    ) -> None:
        self._tokens_per_s = tokens_per_s
        self._tokens_max = tokens_max
        self._buckets: dict[Who, _Bucket] = {}

    def takes(self, who: Who, tokens: float, *, now_s: float) -> bool:
        """Whether it may say what costs so much now."""
        bucket = self._bucket(who, now_s)
        from_asked = min(tokens, bucket.asked)
        left = bucket.tokens - (tokens - from_asked)
        if left < 0:
            return False
        bucket.tokens = left
        bucket.asked -= from_asked
        return True

    def grant(self, who: Who, tokens: float, *, now_s: float) -> None:
        """We asked it for something. What it leaves unsaid is not saved up beyond one bucket's size."""
        bucket = self._bucket(who, now_s)
        bucket.asked = min(bucket.asked + tokens, max(tokens, self._tokens_max))

    def forget(self, who: Who) -> None:
        """Its link is gone."""
        self._buckets.pop(who, None)

    def _bucket(self, who: Who, now_s: float) -> _Bucket:
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._make_room(now_s)
            bucket = self._buckets[who] = _Bucket(self._tokens_max, now_s)
        self._fill(bucket, now_s)
        return bucket

    def _fill(self, bucket: _Bucket, now_s: float) -> None:
        gained = max(0.0, now_s - bucket.filled_s) * self._tokens_per_s
        bucket.tokens = min(self._tokens_max, bucket.tokens + gained)
        bucket.filled_s = now_s

    def _make_room(self, now_s: float) -> None:
        """Full buckets are as good as new ones; if there are none, the oldest goes."""
        for who, bucket in list(self._buckets.items()):
            self._fill(bucket, now_s)
            if bucket.tokens >= self._tokens_max and not bucket.asked:
                del self._buckets[who]
        if len(self._buckets) >= BUCKETS_MAX:
            del self._buckets[next(iter(self._buckets))]
