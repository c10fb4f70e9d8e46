"""The leadership: from who may make an epoch's blocks to blocks on time.

    trigger    the block task, or the end of an epoch, looks for news (``plans``)
    schedule   the keys say, slice by slice, which slots are a leader's; each becomes an entry (``logs``)
    wake       at an entry's slot, its block is made (``making``); what becomes of it is said through its handle
    chain      a block that comes to count, or does so no more, is said to its entry, if it is ours

Entries of a finished slice are woken while later slices are still asked for. A slot whose time is over when its slice is
known is told as missed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from tetrarch.errors import TetrarchError
from tetrarch.leadership.logs import Handle, Logs, MadeBlock, Status
from tetrarch.leadership.making import Maker, right_of
from tetrarch.leadership.plans import NewLeadership, Plans
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.ledger.applying import Place
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.keyring import LeaderIs, PoolPublic
from tetrarch.ledger.leaders import BftLeaders, PraosLeaders
from tetrarch.ledger.tree import Switch
from tetrarch.network.overlay.chain import Verdict
from tetrarch.observability.logs import error_fields
from tetrarch.supervision import Supervisor

SLICE_SLOTS: Final = 16  # some 3 ms of the enclave's time: a signature waits no longer
CLOCK_LOOK_S: Final = 1.0  # the host's clock may be set while we wait
EVOLVE_BEFORE_S: Final = 0.5
LATE_MAX_SHARE: Final = 0.5  # of a slot, after which its block is not begun


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a leader's schedule of an epoch is known."""

    epoch: int
    leader: int
    slots_known: int
    slots: int


class Leadership:
    """``run`` it; leaders come and go meanwhile."""

    def __init__(
        self, ports: LeadershipPorts, chain: LedgerChain, *, logs: Logs | None = None
    ) -> None:
        self.logs = logs or Logs()
        self._ports = ports
        self._chain = chain
        self._maker = Maker(ports, chain)
        self._plans = Plans()
        self._leaders: dict[int, LeaderIs] = {}
        self._current: dict[int, NewLeadership] = {}  # by epoch
        self._progress: dict[tuple[int, int], Progress] = {}
        self._schedulings: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._changed = asyncio.Event()  # a wake-up may be due earlier
        self._tasks: Supervisor | None = None
        self._on_woken: list[Callable[[float], None]] = []
        self._on_ended: list[Callable[[Status], None]] = []
        chain.news.on_switch(self._switched)
        chain.news.on_final(self._finalized)
        chain.news.on_elected(self._elected)

    @property
    def leaders(self) -> tuple[LeaderIs, ...]:
        """Of this node."""
        return tuple(self._leaders.values())

    def on_woken(self, handler: Callable[[float], None]) -> None:
        """Call ``handler`` with how late the making of a block begins, in seconds since its slot did."""
        self._on_woken.append(handler)

    def on_ended(self, handler: Callable[[Status], None]) -> None:
        """Call ``handler`` when a block was made, or rejected."""
        self._on_ended.append(handler)

    def progress(self) -> list[Progress]:
        """Of all schedules of epochs that are not over."""
        return [self._progress[key] for key in sorted(self._progress)]

    async def run(self) -> None:
        """Until cancelled."""
        for leader in await self._ports.keys.leaders():
            self._leaders[leader.number] = leader
        async with Supervisor(self._ports.log) as tasks:
            self._tasks = tasks
            tasks.spawn(self._watch_epochs(), name="leadership-epochs")
            tasks.spawn(self._wake(tasks), name="leadership-wake")

    async def add_leader(self, pool: PoolId | None = None) -> LeaderIs:
        """Have the keys of one more made, and lead with them from now on."""
        leader = await self._ports.keys.add_leader(pool)
        self._leaders[leader.number] = leader
        for leadership in self._current.values():
            self._schedule(leadership, leader)
        return leader

    async def drop_leader(self, number: int) -> None:
        """Forget a leader, its keys and what it was to make."""
        await self._ports.keys.drop_leader(number)
        self._leaders.pop(number, None)
        for key in [key for key in self._schedulings if key[1] == number]:
            self._schedulings.pop(key).cancel()
        for key in [key for key in self._progress if key[1] == number]:
            del self._progress[key]
        self.logs.drop(number)

    # -- triggers ---------------------------------------------------------------------------------

    def look(self) -> None:
        """Whether somebody else may make blocks of an epoch, or more of it is known. Any trigger may call it."""
        now_s = self._ports.clock.wall_s()
        tip = self._chain.tree.tip
        for leadership in self._plans.news(tip, now_s, self._chain.election_for(tip)):
            self._begin(leadership)

    def _begin(self, leadership: NewLeadership) -> None:
        epoch = leadership.epoch
        self._current = {each: kept for each, kept in self._current.items() if each >= epoch - 1}
        self._current[epoch] = leadership
        for key in [key for key in self._progress if key[0] < epoch - 1]:
            del self._progress[key]
        self.logs.drop_epoch(epoch)
        for leader in self._leaders.values():
            self._schedule(leadership, leader)

    async def _evolve_keys(self) -> None:
        """Forget what signed in periods that are over, whether the pool was drawn in this one or not.

        Not just before a block is to be made: it takes up to a fifth of a second.
        """
        now_s = self._ports.clock.wall_s()
        pending = self.logs.next_pending()
        if pending is not None and pending.entry.scheduled_s - now_s < EVOLVE_BEFORE_S:
            return
        for leader in tuple(self._leaders.values()):
            period = self._period_now(leader, now_s)
            if isinstance(leader.keys, PoolPublic) and (period or 0) > leader.keys.kes_period:
                try:
                    await self._ports.keys.evolve(leader.number, period or 0)
                except TetrarchError as error:
                    fields = {"leader": leader.number, **error_fields(error)}
                    self._ports.log.warning("key_not_evolved", **fields)
                    continue
                keys = msgspec.structs.replace(leader.keys, kes_period=period)
                self._leaders[leader.number] = msgspec.structs.replace(leader, keys=keys)

    def _period_now(self, leader: LeaderIs, now_s: float) -> int | None:
        for leadership in self._current.values():
            slot = leadership.frame.slot_at(now_s)
            leaders = leadership.leaders
            if slot is None or not isinstance(leaders, PraosLeaders):
                continue
            within = slot - leadership.slot_of(0)
            right = right_of(leader, leaders, within) if 0 <= within < leadership.slots else None
            if right is not None:
                return right.kes_period
        return None

    async def _watch_epochs(self) -> None:
        """The end of each epoch, by the clock."""
        while True:
            self.look()
            await self._evolve_keys()
            settings = self._chain.tree.tip.settings
            now_s = self._ports.clock.wall_s()
            slot = settings.frame.slot_at(now_s)
            if slot is None:
                ends_s = settings.frame.start_s
            else:
                following = BlockDate(settings.era.date(slot).epoch + 1, 0)
                ends_s = settings.frame.starts_s(settings.era.slot(following))
            await asyncio.sleep(min(CLOCK_LOOK_S, max(0.0, ends_s - now_s)))

    def _switched(self, switch: Switch) -> None:
        for place in switch.undone:
            handle = self.logs.handle_of(place.id)
            if handle is not None:
                handle.orphaned()
        for place in switch.done:
            handle = self.logs.handle_of(place.id)
            if handle is not None:
                handle.accepted()
        if self._tasks is not None:
            self.look()

    def _elected(self) -> None:
        if self._tasks is not None:
            self.look()

    def _finalized(self, places: tuple[Place, ...]) -> None:
        """Own blocks that another's stands in the place of, for good, never counted."""
        final = {place.id for place in places}
        self.logs.lost(places[-1].header.chain_length, final)

    # -- schedule ---------------------------------------------------------------------------------

    def _schedule(self, leadership: NewLeadership, leader: LeaderIs) -> None:
        if self._tasks is None:
            return
        key = (leadership.epoch, leader.number)
        running = self._schedulings.pop(key, None)
        if running is not None:
            running.cancel()
        task = self._tasks.spawn(
            self._schedule_slices(leadership, leader),
            name=f"leadership-schedule-{leadership.epoch}-{leader.number}",
        )
        self._schedulings[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: tuple[int, int], done: "asyncio.Task[None]") -> None:
        if self._schedulings.get(key) is done:
            del self._schedulings[key]

    async def _schedule_slices(self, leadership: NewLeadership, leader: LeaderIs) -> None:
        key = (leadership.epoch, leader.number)
        for slots in self._slices(leadership):
            try:
                drawn = await self._drawn(leadership, leader, slots)
            except TetrarchError as error:
                fields = {"epoch": key[0], "leader": leader.number, **error_fields(error)}
                self._ports.log.warning("schedule_failed", **fields)
                return
            for slot in drawn:
                self._add(leadership, leader, slot)
            self._progress[key] = Progress(*key, slots.stop, leadership.slots)
        self._ports.log.debug("schedule_known", leader=leader.number, epoch=key[0])

    def _slices(self, leadership: NewLeadership) -> Iterator[range]:
        """From the slot that the clock is in, or the one after the chain's first block."""
        now = leadership.frame.slot_at(self._ports.clock.wall_s())
        first = max(0, max(1, now or 0) - leadership.slot_of(0))
        for start in range(first, leadership.slots, SLICE_SLOTS):
            yield range(start, min(start + SLICE_SLOTS, leadership.slots))

    async def _drawn(
        self, leadership: NewLeadership, leader: LeaderIs, slots: range
    ) -> tuple[int, ...]:
        leaders = leadership.leaders
        if isinstance(leaders, BftLeaders):  # known to all
            return tuple(slot for slot in slots if right_of(leader, leaders, slot) is not None)
        right = right_of(leader, leaders, slots.start) or right_of(leader, leaders, slots[-1])
        if right is None or right.lottery is None:
            return ()
        drawn = await self._ports.keys.slots(leader.number, right.lottery, slots)
        return tuple(slot for slot in drawn if right_of(leader, leaders, slot) is not None)

    def _add(self, leadership: NewLeadership, leader: LeaderIs, slot: int) -> None:
        date, now_s = BlockDate(leadership.epoch, slot), self._ports.clock.wall_s()
        handle = self.logs.add(
            leader.number, date, scheduled_s=leadership.starts_s(slot), now_s=now_s
        )
        if handle is not None:
            self._changed.set()

    # -- wake -------------------------------------------------------------------------------------

    async def _wake(self, tasks: Supervisor) -> None:
        while True:
            self._changed.clear()
            now_s = self._ports.clock.wall_s()
            handle = self.logs.next_pending()
            wait_s = None if handle is None else handle.entry.scheduled_s - now_s
            if handle is not None and wait_s is not None and wait_s <= 0:
                handle.wake(now_s)
                for handler in self._on_woken:
                    handler(handle.entry.late_s or 0.0)
                name = f"leadership-block-{handle.entry.date}"
                tasks.spawn(self._make(handle), name=name)
                continue
            wait_s = CLOCK_LOOK_S if wait_s is None else min(wait_s, CLOCK_LOOK_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    async def _make(self, handle: Handle) -> None:
        await self._make_block(handle)
        for handler in self._on_ended:
            handler(Status.REJECTED if handle.entry.made is None else Status.MADE)

    async def _make_block(self, handle: Handle) -> None:
        entry, clock = handle.entry, self._ports.clock
        leader = self._leaders.get(entry.leader)
        slot_s = self._chain.tree.tip.settings.frame.slot_duration_s
        if leader is None:
            handle.reject("its leader is gone", clock.wall_s())
            return
        if (entry.late_s or 0.0) > LATE_MAX_SHARE * slot_s:
            handle.reject(f"woken {entry.late_s:.3f} s late", clock.wall_s())
            return

        def note(made: MadeBlock) -> None:
            handle.made(made, clock.wall_s())
            mark = (entry.date.epoch, entry.date.slot)
            self._leaders[leader.number] = msgspec.structs.replace(leader, mark=mark)

        try:
            verdict = await self._maker.make(leader, entry.date, note)
        except TetrarchError as error:
            if entry.made is None:
                handle.reject(str(error), clock.wall_s())
            fields = {"date": str(entry.date), "leader": leader.number, **error_fields(error)}
            self._ports.log.warning("block_not_made", **fields)
            return
        if verdict is not Verdict.NEW:
            handle.orphaned()
            self._ports.log.error(
                "own_block_refused",
                date=str(entry.date),
                leader=leader.number,
                verdict=verdict.value,
            )
            return
        self._ports.log.info(
            "block_made", date=str(entry.date), leader=leader.number, block=_block(entry.made)
        )


def _block(made: MadeBlock | None) -> str:
    return "" if made is None else made.block.hex()
