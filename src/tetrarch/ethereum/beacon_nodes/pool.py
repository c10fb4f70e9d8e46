"""The members, who of them may be asked, and in which order.

Members stand in *tiers*; the next tier is turned to only while nobody of the tiers before it can
answer:

1. healthy primaries; 2. healthy fallbacks; 3. degraded primaries; 4. degraded fallbacks;
5. the others, though their circuits are open: with nobody else left, trying costs nothing.

Within a tier the best score comes first, then the order of the configuration. Members that follow
another chain are in no tier.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tetrarch.errors import invariant
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.beacon_nodes.asking import (
    Inquiry,
    StopAt,
    ask_within,
    successes,
)
from tetrarch.ethereum.beacon_nodes.health import Condition
from tetrarch.ethereum.beacon_nodes.member import BeaconNodeError, Call, Member, Reply
from tetrarch.ethereum.beacon_nodes.ports import Observer
from tetrarch.ethereum.beacon_nodes.settings import Settings
from tetrarch.ethereum.beacon_nodes.voting import QUORUM_MIN_FROM
from tetrarch.observability.logs import Log

T = TypeVar("T")
_TIERS = (
    (Condition.HEALTHY, False),
    (Condition.HEALTHY, True),
    (Condition.DEGRADED, False),
    (Condition.DEGRADED, True),
)


class Pool:
    """All members. Knows nothing of what is asked."""

    def __init__(
        self,
        primaries: Sequence[BeaconNode],
        fallbacks: Sequence[BeaconNode],
        *,
        settings: Settings,
        observer: Observer,
        log: Log,
    ) -> None:
        invariant(bool(primaries), "there is a primary beacon node")
        self.settings = settings
        self.observer = observer
        self.log = log
        nodes = [(node, False) for node in primaries] + [(node, True) for node in fallbacks]
        self.members = tuple(
            Member(
                node, place, fallback=fallback, rules=settings.health, observer=observer, log=log
            )
            for place, (node, fallback) in enumerate(nodes)
        )
        self.using_fallback = False
        observer.fallback_used(False)

    def tiers(self) -> list[list[Member]]:
        """Whom to ask, in groups; never empty unless all follow another chain."""
        eligible = [member for member in self.members if not member.foreign]
        tiers = [
            [each for each in eligible if each.condition is condition and each.fallback is fallback]
            for condition, fallback in _TIERS
        ]
        tiers = [self.ranked(tier) for tier in tiers if tier]
        return tiers or [self.ranked(eligible)]

    def walk(self) -> list[list[Member]]:
        """The tiers, noting whether fallbacks stand in."""
        tiers = self.tiers()
        self._note_first(tiers[0])
        return tiers

    def electorate(self) -> list[Member]:
        """The first tier: who is asked when several are. Notes whether fallbacks stand in."""
        first = self.tiers()[0]
        self._note_first(first)
        return first

    @staticmethod
    def ranked(members: Sequence[Member]) -> list[Member]:
        """Best score first, then the order of the configuration."""
        return sorted(members, key=lambda member: (-member.score, member.place))

    def configured(self, members: Sequence[Member]) -> int:
        """How many nodes are configured in the roles that ``members`` have."""
        roles = {member.fallback for member in members}
        return sum(member.fallback in roles for member in self.members)

    async def read(self, call: Call[T]) -> T:
        """The answer of the best node that has one; others are asked when it is slow or fails.

        Raises:
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: nobody answered.
        """
        hedge_s = self.settings.hedge_ms / 1000
        failed: list[Reply[T]] = []
        for tier in self.walk():
            hedged = Inquiry(call, stop_at=at_once, wave_after_s=hedge_s)
            good = await hedged.ask([[member] for member in tier])
            if good:
                return good[0].value
            failed += hedged.replies
            if not worth_going_on(failed):
                break
        raise most_telling(failed, call.what)

    async def gather(self, call: Call[T], rules: "Gathering[T]") -> list[Reply[T]]:
        """Ask tier after tier until there is an answer; all successful replies.

        Where they are not enough to tell who is right, the other nodes of the same roles are
        asked too, although they are degraded or down: one may have come back unnoticed.

        Raises:
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: nobody answered.
        """
        inquiry = Inquiry(
            call, stop_at=rules.stop_at, wave_after_s=rules.patience_s, go_on=worth_going_on
        )
        good = await inquiry.ask(self.walk())
        if not good:
            raise most_telling(inquiry.replies, call.what)
        electorate = inquiry.electorate
        if self.configured(electorate) >= QUORUM_MIN_FROM and not rules.enough(good, electorate):
            roles = {member.fallback for member in electorate}
            answered = [reply.member for reply in inquiry.replies]
            spare = [
                each
                for each in self.members
                if each.fallback in roles
                and not each.foreign
                and each not in electorate
                and each not in answered
            ]
            good += successes(await ask_within(spare, call, limit_s=rules.spare_wait_s))
        return good

    def _note_first(self, tier: Sequence[Member]) -> None:
        used = any(member.fallback for member in tier)
        if used == self.using_fallback:
            return
        self.using_fallback = used
        self.observer.fallback_used(used)
        if used:
            names = [member.name for member in tier]
            self.log.warning(
                "fallback_beacon_nodes_used", beacon_nodes=names, mend="look at the primary ones"
            )
        else:
            self.log.info("primary_beacon_nodes_used")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering(Generic[T]):
    """How long to wait for replies, and when they are enough.

    ``stop_at`` and ``enough`` get the successful replies so far, at least one, and whose there can
    be. ``stop_at`` says until when to wait for more, by the loop's clock; None: for all. After
    ``patience_s`` without any success, the next tier is asked, too.
    """

    stop_at: StopAt[T]
    enough: Callable[[Sequence[Reply[T]], Sequence[Member]], bool] = lambda _good, _tier: True
    patience_s: float | None = None
    spare_wait_s: float = 0.5


def at_once(_good: object, _electorate: object) -> float:
    """Stop at the first success."""
    return 0.0


def blames_request(reply: Reply[T]) -> bool:
    """Whether a node took the request in and said no."""
    return isinstance(reply.error, BeaconNodeRefused) and reply.error.blames_request


def most_telling(replies: Sequence[Reply[T]], what: str) -> BeaconNodeError:
    """The error to raise when nobody answered: a refusal first, as it says what is wrong."""
    errors = [reply.error for reply in replies if reply.error is not None]
    blaming = [reply.error for reply in replies if reply.error and blames_request(reply)]
    for error in (*blaming, *errors):
        return error
    return BeaconNodeUnreachable("ask beacon nodes", request=what, reason="none answered in time")


def worth_going_on(replies: Sequence[Reply[T]]) -> bool:
    """Whether other nodes may answer what these did not: not where the request is to blame."""
    return not any(blames_request(reply) for reply in replies)


def now_s() -> float:
    """The running loop's clock."""
    return asyncio.get_running_loop().time()
