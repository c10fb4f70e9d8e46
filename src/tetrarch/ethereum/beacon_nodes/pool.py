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
from functools import partial
from typing import Generic, TypeVar

from tetrarch.errors import invariant
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.beacon_nodes.asking import ask_all, ask_until_answered
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
            replies = await ask_until_answered(tier, call, stagger_s=hedge_s)
            good = successes(replies)
            if good:
                return good[0].value
            failed += replies
            if any(blames_request(reply) for reply in replies):
                break
        raise most_telling(failed, call.what)

    async def gather(self, call: Call[T], rules: "Gathering[T]") -> list[Reply[T]]:
        """Ask a whole tier at once; the successful replies of the first tier that has any.

        Where they are not enough to tell who is right, the other nodes of the same roles are
        asked too, although they are degraded or down: one may have come back unnoticed.

        Raises:
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: nobody answered.
        """
        failed: list[Reply[T]] = []
        tiers = self.walk()
        for tier in tiers:
            give_up_s = None
            if rules.patience_s is not None and tier is not tiers[-1]:
                give_up_s = now_s() + rules.patience_s
            replies = await ask_all(tier, call, stop_at=partial(rules.limit_s, tier, give_up_s))
            good = successes(replies)
            if good:
                if self.configured(tier) >= QUORUM_MIN_FROM and not rules.enough(good, tier):
                    good += await self._ask_spare(tier, call, rules.spare_wait_s)
                return good
            failed += replies
            if any(blames_request(reply) for reply in replies):
                break
        raise most_telling(failed, call.what)

    async def _ask_spare(
        self, tier: Sequence[Member], call: Call[T], wait_s: float
    ) -> list[Reply[T]]:
        roles = {member.fallback for member in tier}
        spare = [
            each
            for each in self.members
            if each.fallback in roles and not each.foreign and each not in tier
        ]
        return successes(await ask_all(spare, call, stop_at=until(now_s() + wait_s)))

    def _note_first(self, tier: Sequence[Member]) -> None:
        used = any(member.fallback for member in tier)
        if used == self.using_fallback:
            return
        self.using_fallback = used
        self.observer.fallback_used(used)
        if used:
            names = [member.name for member in tier]
            self.log.warning("fallback_beacon_nodes_used", beacon_nodes=names)
        else:
            self.log.info("primary_beacon_nodes_used")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering(Generic[T]):
    """How long to wait for a tier's replies.

    ``stop_at`` and ``enough`` get the successful replies so far, at least one, and who was asked.
    ``stop_at`` says until when to wait for more, by the loop's clock; None: for all. Without
    any success after ``patience_s``, the next tier is asked, if there is one.
    """

    stop_at: Callable[[Sequence[Reply[T]], Sequence[Member]], float | None]
    enough: Callable[[Sequence[Reply[T]], Sequence[Member]], bool] = lambda _good, _tier: True
    patience_s: float | None = None
    spare_wait_s: float = 0.5

    def limit_s(
        self, tier: Sequence[Member], give_up_s: float | None, replies: Sequence[Reply[T]]
    ) -> float | None:
        """Until when to wait, as ``ask_all`` wants it."""
        good = successes(replies)
        return self.stop_at(good, tier) if good else give_up_s


def successes(replies: Sequence[Reply[T]]) -> list[Reply[T]]:
    """Those with a value."""
    return [reply for reply in replies if reply.error is None]


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


def now_s() -> float:
    """The running loop's clock."""
    return asyncio.get_running_loop().time()


def until(at_s: float) -> Callable[[object], float]:
    """For ``ask_all``: stop waiting at the loop's time ``at_s``."""
    return lambda _replies: at_s
