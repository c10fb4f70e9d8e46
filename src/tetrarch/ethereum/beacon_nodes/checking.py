"""Answers of which there is one right one: asked of all nodes and compared."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tetrarch.errors import InvariantBroken
from tetrarch.ethereum.beacon_nodes.agreement import (
    Agreement,
    Statement,
    agree,
    is_settled,
    largest,
)
from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply
from tetrarch.ethereum.beacon_nodes.pool import Gathering, Pool
from tetrarch.ethereum.beacon_nodes.voting import QUORUM_MIN, QUORUM_MIN_FROM

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checked:
    """An agreement, and how many nodes are configured that could have had a say."""

    agreement: Agreement
    configured: int

    @property
    def is_sure(self) -> bool:
        """Whether it is worth keeping: two said the same, or there is one node only."""
        alike = len(self.agreement.supporters)
        return self.agreement.by_majority and alike >= min(self.configured, QUORUM_MIN)


async def ask_checked(
    pool: Pool, call: Call[T], key: Callable[[T], Hashable], *, may_differ: bool = False
) -> tuple[T, Checked]:
    """Ask all nodes of a tier; the answer that more than half give, else the best node's.

    Returns when more than half agree; else late nodes have ``check_wait_ms`` after the first, and
    ``check_limit_ms`` while no two of three or more agree.

    Args:
        pool: whom to ask.
        call: what.
        key: equal for answers that mean the same.
        may_differ: honest nodes see this differently now and then: no warning.

    Raises:
        BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: nobody answered.
    """
    configured = 0

    def stop_at(good: Sequence[Reply[T]], tier: Sequence[Member]) -> float | None:
        nonlocal configured
        configured = pool.configured(tier)
        statements = _statements(good, key)
        if is_settled(statements, electorate=len(tier)):
            return 0.0
        lone = len(tier) >= QUORUM_MIN_FROM and largest(statements) < QUORUM_MIN
        wait_ms = pool.settings.check_limit_ms if lone else pool.settings.check_wait_ms
        return good[0].arrived_s + wait_ms / 1000

    def enough(good: Sequence[Reply[T]], _tier: Sequence[Member]) -> bool:
        return largest(_statements(good, key)) >= QUORUM_MIN

    replies = await pool.gather(call, Gathering(stop_at=stop_at, enough=enough))
    agreement = agree(_statements(replies, key))
    by_place = {reply.member.place: reply for reply in replies}
    if agreement is None:
        raise InvariantBroken("gathered replies are at least one")
    if agreement.dissenters:
        names = {place: reply.member.name for place, reply in by_place.items()}
        tell = pool.log.debug if may_differ else pool.log.warning
        tell(
            "beacon_nodes_disagreed",
            request=call.what,
            taken_from=[names[place] for place in agreement.supporters],
            others=[names[place] for place in agreement.dissenters],
            by_majority=agreement.by_majority,
        )
        for place in agreement.dissenters:
            pool.observer.outvoted(names[place], call.what, "outvoted")
    return by_place[agreement.node].value, Checked(agreement, configured)


def _statements(replies: Sequence[Reply[T]], key: Callable[[T], Hashable]) -> list[Statement]:
    return [
        Statement(node=each.member.place, key=key(each.value), score=each.member.score)
        for each in replies
    ]
