"""One stream of events out of all nodes' streams: each event once, as soon as a first node tells.

A head is told of when a second node has it, too, where three or more are configured and two are
well: who attests as soon as there is a head then finds a majority for it, and one node alone
cannot hurry anybody to vote for the head before.

A stream that ends, fails or is dead is opened again; the merged one never ends. Fallback nodes
are listened to only while they stand in. Events of slots that have not begun are dropped.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.ports import BeaconEvent
from tetrarch.ethereum.beacon_nodes.event_keys import SeenEvents, slot_of
from tetrarch.ethereum.beacon_nodes.member import Member
from tetrarch.ethereum.beacon_nodes.pool import Pool
from tetrarch.ethereum.beacon_nodes.voting import QUORUM_MIN, QUORUM_MIN_FROM

QUEUE_MAX = 1024
# With one of these topics a live stream is never silent for many slots.
_EVERY_SLOT = frozenset({"head", "block", "block_gossip"})


class MergedEvents:
    """One caller's stream."""

    def __init__(
        self,
        pool: Pool,
        topics: tuple[str, ...],
        *,
        now_slot: Callable[[], int | None],
        slot_s: Callable[[], float],
        heard: Callable[[str, BeaconEvent], None] = lambda _node, _event: None,
    ) -> None:
        """``heard`` is called with each node's every event, whoever told of it before."""
        self._pool = pool
        self._topics = topics
        self._now_slot = now_slot
        self._slot_s = slot_s
        self._heard = heard
        self._seen = SeenEvents()
        self._arrived: asyncio.Queue[BeaconEvent] = asyncio.Queue(QUEUE_MAX)

    async def events(self) -> AsyncGenerator[BeaconEvent, None]:
        """Events until it is closed."""
        async with asyncio.TaskGroup() as tasks:
            listening = [
                tasks.create_task(self._listen(member), name=f"events of {member.name}")
                for member in self._pool.members
            ]
            # A group treats the close of a generator as an error: it must not see it.
            with contextlib.suppress(GeneratorExit):
                while True:
                    yield await self._arrived.get()
            for task in listening:
                task.cancel()

    async def _listen(self, member: Member) -> None:
        pause_s = self._pool.settings.reconnect_ms / 1000
        while True:
            if not member.foreign and (not member.fallback or self._pool.using_fallback):
                reason = await self._listen_once(member)
                self._pool.log.debug(
                    "beacon_node_events_ended", beacon_node=member.name, reason=reason
                )
            await asyncio.sleep(pause_s)

    async def _listen_once(self, member: Member) -> str:
        """Why it ended."""
        idle_s = None
        if not _EVERY_SLOT.isdisjoint(self._topics):
            idle_s = self._pool.settings.event_idle_slots * self._slot_s()
        try:
            async with contextlib.aclosing(member.node.events(self._topics)) as stream:
                while True:
                    async with asyncio.timeout(idle_s):
                        event = await anext(stream, None)
                    if event is None:
                        return "ended"
                    await self._take(event, member)
                    if member.foreign or (member.fallback and not self._pool.using_fallback):
                        return "not needed"
        except TimeoutError:
            return "silent"
        except Transient as error:
            return str(error)

    async def _take(self, event: BeaconEvent, member: Member) -> None:
        slot, now_slot = slot_of(event), self._now_slot()
        if slot is not None and now_slot is not None and slot > now_slot:
            return
        self._heard(member.name, event)
        needed = self._tellers_needed() if event.topic == "head" else 1
        if self._seen.passes(event, node=member.place, needed=needed):
            await self._arrived.put(event)

    def _tellers_needed(self) -> int:
        first = self._pool.electorate()
        enough = self._pool.configured(first) >= QUORUM_MIN_FROM
        return min(QUORUM_MIN, len(first)) if enough else 1
