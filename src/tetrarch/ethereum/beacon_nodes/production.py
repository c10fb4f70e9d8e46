"""What nodes make: blocks, aggregates and contributions, each asked of all and the best taken."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tetrarch.ethereum.beacon_node.ports import BeaconNode, BlockRequest
from tetrarch.ethereum.beacon_nodes.block_choice import Offer, choose
from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply
from tetrarch.ethereum.beacon_nodes.pool import Gathering, Pool
from tetrarch.ethereum.beacon_nodes.voting import QUORUM_MIN, QUORUM_MIN_FROM
from tetrarch.ethereum.spec.aggregates import Aggregate, SyncCommitteeContribution
from tetrarch.ethereum.spec.proposals import Proposal

Made = TypeVar("Made", bound=Aggregate | SyncCommitteeContribution)


async def best_block(
    pool: Pool, request: BlockRequest, *, wait_s: float, limit_s: float
) -> tuple[Proposal, int]:
    """The block to propose, and the place of the node that made it.

    Others have ``wait_s`` after the first block, and ``limit_s`` while no two of three or more nodes
    build on the same parent.

    Raises:
        BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: there is no block.
    """

    def enough(good: Sequence[Reply[Proposal]], _tier: Sequence[Member]) -> bool:
        parents = Counter(reply.value.header.parent_root for reply in good)
        return max(parents.values()) >= QUORUM_MIN

    def stop_at(good: Sequence[Reply[Proposal]], tier: Sequence[Member]) -> float | None:
        lone = len(tier) >= QUORUM_MIN_FROM and not enough(good, tier)
        return good[0].arrived_s + (limit_s if lone else wait_s)

    call = Call("produce_block", lambda node: node.produce_block(request))
    replies = await pool.gather(
        call, Gathering(stop_at=stop_at, enough=enough, spare_wait_s=wait_s, patience_s=limit_s)
    )
    offers = [
        Offer(
            node=reply.member.place,
            parent_root=reply.value.header.parent_root,
            score=reply.member.score,
            arrived_s=reply.arrived_s,
            value_wei=reply.value.value_wei,
        )
        for reply in replies
    ]
    chosen = choose(offers)
    best = next((r for r in replies if chosen and r.member.place == chosen.node), replies[0])
    pool.log.debug(
        "block_chosen",
        slot=request.slot,
        taken_from=best.member.name,
        offers={reply.member.name: reply.value.value_wei for reply in replies},
    )
    return best.value, best.member.place


@dataclass(frozen=True, slots=True)
class Fullest(Generic[Made]):
    """Finds the aggregate or contribution with most votes in it.

    Nodes whose view of the slot was taken (``trusted``) come first: nobody here can verify the
    signatures inside. Others have ``wait_s`` after the first that saw any vote.
    """

    pool: Pool
    wait_s: float
    trusted: Collection[int]

    async def ask(
        self,
        what: str,
        send: Callable[[BeaconNode], Awaitable[Made | None]],
        is_asked_for: Callable[[Made], bool],
    ) -> Made | None:
        """The fullest; None when no node saw any vote.

        Raises:
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: nobody answered.
        """
        call = Call(what, send)
        found: list[tuple[bool, int, float, int, Made]] = []
        for reply in await self.pool.gather(call, Gathering(stop_at=self._stop_at)):
            made, member = reply.value, reply.member
            if made is None:
                continue
            if not is_asked_for(made):
                self.pool.observer.outvoted(member.name, what, "not_asked_for")
                continue
            votes = int.from_bytes(made.aggregation_bits.packed, "little").bit_count()
            found.append((member.place in self.trusted, votes, member.score, -member.place, made))
        return max(found, key=lambda each: each[:4])[4] if found else None

    def _stop_at(self, good: Sequence[Reply[Made | None]], _tier: Sequence[Member]) -> float | None:
        first = next((reply for reply in good if reply.value is not None), None)
        return None if first is None else first.arrived_s + self.wait_s
