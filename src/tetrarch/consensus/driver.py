"""The consensus component: opens, feeds and ends one isolated instance per duty."""

import asyncio
import math

from tetrarch.consensus.codec import VALUE_SIZE_MAX_BYTES, Item, MessageInvalid
from tetrarch.consensus.inbox import FromPeer
from tetrarch.consensus.instance import Instance
from tetrarch.consensus.messages import Envelope, SignedMessage
from tetrarch.consensus.ports import ConsensusPorts, Decided, Undecided
from tetrarch.duties.types import Duty
from tetrarch.errors import InputInvalid, invariant
from tetrarch.network.ports import Topic
from tetrarch.output import Output

OPENED_BY_PEER_MAX = 16  # instances that one peer's messages may open before this node joins


class Consensus:
    """Inputs: ``propose``, ``participate``. Outputs: ``decided``, ``undecided``.

    Each duty is decided at most once. An instance also opens by a peer's first message, if the
    duty may be spoken of, and ends at the duty's deadline; until then it serves late peers.
    Memory is bounded by open duties and ``OPENED_BY_PEER_MAX``.
    """

    def __init__(self, ports: ConsensusPorts) -> None:
        self.decided: Output[Decided] = Output("decided")
        self.undecided: Output[Undecided] = Output("undecided")
        self._ports = ports
        self._instances: dict[Duty, Instance] = {}
        self._openers: dict[Duty, int] = {}  # duty: the peer whose message opened it
        self._tasks: asyncio.TaskGroup | None = None
        ports.bus.subscribe(Topic.CONSENSUS, self._on_message)

    @property
    def instance_count(self) -> int:
        """How many duties are open."""
        return len(self._instances)

    def heard_from(self, peer: int) -> tuple[SignedMessage, ...]:
        """The newest statement of ``peer`` in each open duty, newest duty first; not verified."""
        said = (
            instance.said.get(peer) for _, instance in sorted(self._instances.items(), reverse=True)
        )
        return tuple(signed for signed in said if signed is not None)

    async def run(self) -> None:
        """Serve until cancelled. A subscriber's exception ends it, and with it the node."""
        invariant(self._tasks is None, "consensus runs once")
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    async def propose(self, duty: Duty, value: bytes) -> None:
        """Take part in ``duty`` with an own value. Only the first value counts.

        Returns as soon as the instance has it; the outcome comes as ``decided`` or ``undecided``.
        Does nothing when the duty's deadline has passed.

        Raises:
            InputInvalid: the value is empty or larger than ``VALUE_SIZE_MAX_BYTES``.
        """
        if not 0 < len(value) <= VALUE_SIZE_MAX_BYTES:
            raise InputInvalid("propose value", duty=duty, size_bytes=len(value))
        instance = self._join(duty)
        if instance is not None:
            instance.propose(value)

    async def participate(self, duty: Duty) -> None:
        """Take part in ``duty`` without an own value, or before it is there."""
        self._join(duty)

    def _join(self, duty: Duty) -> Instance | None:
        self._openers.pop(duty, None)
        return self._instances.get(duty) or self._open(duty)

    def _open(self, duty: Duty) -> Instance | None:
        invariant(self._tasks is not None, "consensus runs before it is used")
        wall_end_s = self._ports.times.ends_s(duty)
        if wall_end_s is None or not math.isfinite(wall_end_s):
            return None  # nothing would ever remove it
        left_s = wall_end_s - self._ports.clock.wall_s()
        if left_s <= 0 or self._tasks is None:
            return None
        instance = Instance(duty, self._ports, on_decided=self._emit)
        self._instances[duty] = instance
        end_s = asyncio.get_running_loop().time() + left_s
        self._tasks.create_task(self._serve(duty, instance, end_s), name=f"qbft-{duty}")
        return instance

    async def _serve(self, duty: Duty, instance: Instance, end_s: float) -> None:
        deadline = asyncio.timeout_at(end_s)
        try:
            async with deadline:
                await instance.run()
        except TimeoutError:
            if not deadline.expired():
                raise
        await self._ports.votes.forget(duty)
        del self._instances[duty]
        self._openers.pop(duty, None)
        if instance.decision is None:
            machine = instance.machine
            reason = "value_missing" if machine.decided is not None else machine.missing()
            await self.undecided.emit(Undecided(duty=duty, round=machine.round, reason=reason))

    def _emit(self, decided: Decided) -> None:
        # Beside the instance: it goes on serving, and its end must not cut a subscriber short.
        if self._tasks is not None:
            self._tasks.create_task(self.decided.emit(decided), name=f"decided-{decided.duty}")

    async def _on_message(self, peer: int, payload: bytes) -> None:
        if self._tasks is None:
            return
        observer = self._ports.observer
        try:
            items = self._ports.codec.decode(payload)
        except MessageInvalid as fault:
            observer.fault(peer, fault)
            return
        by_duty: dict[Duty, list[Item]] = {}
        for item in items:
            duty = item.message.duty if isinstance(item, Envelope) else item.duty
            by_duty.setdefault(duty, []).append(item)
        for duty, about in by_duty.items():
            instance = self._instances.get(duty) or self._open_for(peer, duty, about)
            if instance is not None:
                instance.offer(FromPeer(peer, tuple(about), len(payload)))

    def _open_for(self, peer: int, duty: Duty, items: list[Item]) -> Instance | None:
        reason = self._refusal(peer, duty, items)
        instance = self._open(duty) if reason is None else None
        if instance is None:
            self._ports.observer.dropped(peer, reason or "duty_over")
        else:
            self._openers[duty] = peer
        return instance

    def _refusal(self, peer: int, duty: Duty, items: list[Item]) -> str | None:
        if not any(isinstance(item, Envelope) for item in items):
            return "duty_unknown"
        if not self._ports.times.may_speak_of(duty):
            return "duty_refused"
        opened = sum(opener == peer for opener in self._openers.values())
        return "too_many_duties" if opened >= OPENED_BY_PEER_MAX else None
