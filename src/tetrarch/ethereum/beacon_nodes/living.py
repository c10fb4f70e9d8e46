"""Who voted in an epoch, as far as several nodes saw it; for doppelganger detection.

To believe a false "voted" keeps a node from starting; to believe a false "did not vote" lets two
programs sign with one key. So the second weighs more: a vote that any node saw counts. Only where
three or more answer must a second one have seen it, for a real vote is soon in a block that all of
them have, and one liar alone is to stop nobody. Where three or more are configured one answer is
none: it may be the liar's.
"""

from collections import Counter
from collections.abc import Sequence

from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply
from tetrarch.ethereum.beacon_nodes.pool import Gathering, Pool
from tetrarch.ethereum.beacon_nodes.voting import QUORUM_MIN, QUORUM_MIN_FROM

WHAT = "live_validators"


async def live_validators(pool: Pool, epoch: int, indices: tuple[int, ...]) -> frozenset[int]:
    """Those of ``indices`` that voted in ``epoch``. Late nodes have ``check_limit_ms``.

    Raises:
        BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: too few answered.
    """
    call = Call(WHAT, lambda node: node.live_validators(epoch, indices))
    limit_s = pool.settings.check_limit_ms / 1000
    configured = 0

    def stop_at(good: Sequence[Reply[frozenset[int]]], tier: Sequence[Member]) -> float:
        nonlocal configured
        configured = pool.configured(tier)
        return good[0].arrived_s + limit_s

    def enough(good: Sequence[Reply[frozenset[int]]], _tier: Sequence[Member]) -> bool:
        return len(good) >= QUORUM_MIN

    rules = Gathering(stop_at=stop_at, enough=enough, spare_wait_s=limit_s)
    replies = await pool.gather(call, rules)
    if configured >= QUORUM_MIN_FROM and len(replies) < QUORUM_MIN:
        name = replies[0].member.name
        raise BeaconNodeUnreachable("ask liveness", reason=f"only {name} answered of {configured}")
    seen_by = Counter(index for reply in replies for index in reply.value)
    needed = QUORUM_MIN if len(replies) >= QUORUM_MIN_FROM else 1
    _tell_differences(pool, replies, epoch)
    return frozenset(index for index, count in seen_by.items() if count >= needed)


def _tell_differences(pool: Pool, replies: Sequence[Reply[frozenset[int]]], epoch: int) -> None:
    if len({reply.value for reply in replies}) > 1:
        seen = {reply.member.name: len(reply.value) for reply in replies}
        pool.log.warning("beacon_nodes_disagreed", request=WHAT, epoch=epoch, seen=seen)
