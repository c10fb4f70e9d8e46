"""One of several beacon nodes: asks it, and keeps its health and its standing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeAnswerInvalid,
    BeaconNodeRefused,
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.beacon_node.ports import BeaconNode, SyncStatus
from tetrarch.ethereum.beacon_nodes.health import (
    Circuit,
    Condition,
    Event,
    Failed,
    Health,
    HealthRules,
    ProbeAbandoned,
    ProbeStarted,
    Reported,
    Succeeded,
)
from tetrarch.ethereum.beacon_nodes.ports import Observer
from tetrarch.ethereum.beacon_nodes.scoring import Standing
from tetrarch.observability.logs import Log

T = TypeVar("T")
BeaconNodeError: TypeAlias = BeaconNodeUnreachable | BeaconNodeRefused | BeaconNodeAnswerInvalid
ERRORS = (BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request that any node can be sent. ``what`` is the port's method, for logs and metrics."""

    what: str
    send: Callable[[BeaconNode], Awaitable[T]]
    timed: bool = False  # its delay says how quick the node is: an easy question


class Member:
    """A beacon node among others. ``place`` is where it stands in the configured order."""

    def __init__(
        self,
        node: BeaconNode,
        place: int,
        *,
        fallback: bool,
        rules: HealthRules,
        observer: Observer,
        log: Log,
    ) -> None:
        self.node = node
        self.place = place
        self.fallback = fallback
        self.foreign = False  # it follows another chain: never asked
        self.health = Health()
        self.standing = Standing()
        self._rules = rules
        self._observer = observer
        self._log = log.bind(beacon_node=node.name)
        observer.condition_changed(node.name, self.condition.value)

    @property
    def name(self) -> str:
        """The node's name, without credentials."""
        return self.node.name

    @property
    def condition(self) -> Condition:
        """How far it can be relied on."""
        return self.health.condition

    @property
    def score(self) -> float:
        """By the formula of ``scoring``."""
        return self.standing.score

    async def ask(self, call: Call[T]) -> "Reply[T]":
        """Send ``call``; a failure is a value, and counts for the node's health.

        Cancelled, it notes that the node was too slow, but not that it failed.
        """
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        if self.health.may_probe(started_s):
            self._step(ProbeStarted(), started_s)
        outcome = "overdue"
        try:
            value = await call.send(self.node)
        except ERRORS as error:
            outcome = error.code
            self._failed(call.what, error, loop.time())
            return Reply(self, loop.time(), error=error)
        else:
            outcome = "ok"
            self._step(Succeeded(), loop.time())
            if call.timed:
                self._stand(self.standing.answered((loop.time() - started_s) * 1000))
            return Reply(self, loop.time(), value=value)
        finally:
            duration_s = loop.time() - started_s
            self._observer.answered(self.name, call.what, outcome, duration_s)
            if outcome == "overdue":
                self._abandoned(call, duration_s, loop.time())

    def reported(self, status: SyncStatus) -> None:
        """It said how far it is."""
        report = Reported(
            sync_distance=status.sync_distance,
            is_syncing=status.is_syncing,
            is_optimistic=status.is_optimistic,
            el_offline=status.el_offline,
        )
        # Its answer was counted when it came; only what it says is new here.
        self._step(report, asyncio.get_running_loop().time())
        self._stand(self.standing.synced(status.sync_distance))
        self._observer.synced(self.name, status.sync_distance)

    def succeeded(self) -> None:
        """It answered something that was not asked through ``ask``."""
        self._step(Succeeded(), asyncio.get_running_loop().time())

    def failed(self, what: str, error: BeaconNodeError) -> None:
        """It failed at something that was not asked through ``ask``."""
        self._failed(what, error, asyncio.get_running_loop().time())

    def was_silent(self) -> None:
        """It did not even say how far it is, in good time."""
        self._step(Failed(), asyncio.get_running_loop().time())

    def judged(self, share: float) -> None:
        """``share`` of the duties done with its data was included on chain."""
        self._stand(self.standing.judged(share))

    def _abandoned(self, call: Call[T], waited_s: float, now_s: float) -> None:
        if self.health.circuit is Circuit.HALF_OPEN:
            self._step(ProbeAbandoned(), now_s)
        if call.timed:
            self._stand(self.standing.overdue(waited_s * 1000))

    def _failed(self, what: str, error: BeaconNodeError, now_s: float) -> None:
        answered = isinstance(error, BeaconNodeRefused) and error.blames_request
        self._step(Succeeded() if answered else Failed(), now_s)
        # The text of the node's own name and words only: addresses carry no credentials there.
        self._log.debug("beacon_node_failed", request=what, reason=str(error))

    def _step(self, event: Event, now_s: float) -> None:
        before = self.condition
        self.health = self.health.step(event, now_s, self._rules)
        if self.condition is before:
            return
        self._observer.condition_changed(self.name, self.condition.value)
        tell = self._log.info if self.condition is Condition.HEALTHY else self._log.warning
        tell("beacon_node_condition_changed", was=before.value, now=self.condition.value)

    def _stand(self, standing: Standing) -> None:
        self.standing = standing
        self._observer.scored(self.name, standing.score)


class Reply(Generic[T]):
    """What a member said to a call, a value or an error, and when by the loop's clock."""

    __slots__ = ("_value", "arrived_s", "error", "member")

    def __init__(
        self,
        member: Member,
        arrived_s: float,
        *,
        value: T | None = None,
        error: BeaconNodeError | None = None,
    ) -> None:
        self.member = member
        self.arrived_s = arrived_s
        self.error = error
        self._value = value

    @property
    def value(self) -> T:
        """The answer; raises ``error`` where there is one."""
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]  # a value of T, which may be None itself
