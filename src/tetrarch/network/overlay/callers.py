"""Whoever knocks: let in within the limits, told apart from those who only connect, shown out.

``received`` holds a caller's place while its call is served. ``watch`` looks at the listener's connections
twice a second, and cuts those that are too many, and those whose calls were refused again and again: what
grpcio does about a refused call is to wait for the next one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import grpc
import grpc.aio

from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.connections import Connection, accepted, cut
from tetrarch.network.overlay.crowds import Crowds
from tetrarch.network.overlay.doors import CallerRefused, DoorLimits, Doors, door_of
from tetrarch.network.overlay.origins import IpNetwork, Origin, is_proxy, origin_of
from tetrarch.network.overlay.refusals import Refusals
from tetrarch.observability.logs import Log

WATCH_S = 0.5
TELL_CUT_S = 10.0
REFUSED_AFTER_S = 0.5
CALLS_REFUSED_MAX = 8  # of one connection between two looks
REFUSED = "overlay_caller_refused"
CUT = "overlay_connections_cut"
ERRED_HELD_S = 60.0  # the place of a caller that broke the protocol, or may not talk with us now
UNKNOWN = "unknown"  # no address: a proxy on a Unix socket


@dataclass(slots=True)
class Caller:
    """One call. It may be kept from another one like it until ``until_s``."""

    origin: Origin
    entered_s: float
    proven: bool = False
    until_s: float = 0.0

    @property
    def address(self) -> Address | None:
        """Who calls; None: nobody knows."""
        return self.origin.address

    @property
    def door(self) -> str:
        """What its limits are counted by."""
        address = self.origin.address
        return UNKNOWN if address is None else door_of(address.ip)

    @property
    def text(self) -> str:
        """Where it calls from, or nothing."""
        return "" if self.address is None else str(self.address)


class Callers:
    """Of one listener."""

    def __init__(self, limits: DoorLimits, log: Log, *, proxies: Sequence[IpNetwork] = ()) -> None:
        self._proxies = tuple(proxies)
        self._doors = Doors(limits)
        self._crowds = Crowds(limits)
        self._log = log
        self._refusals = Refusals(log, REFUSED)
        self._talking: Counter[Address] = Counter()  # calls that have a place, by connection
        self._cut, self._tell_cut_s = 0, 0.0  # not told yet, and when they may be
        self._refused: Counter[Address] = Counter()  # calls since the last look, by connection

    def identify(self, context: grpc.aio.ServicerContext) -> Caller:
        """Who calls; it has no place yet."""
        return Caller(origin_of(context, self._proxies), _now_s())

    def enter(self, caller: Caller) -> None:
        """Give it a place, until it leaves. Raises CallerRefused: there is none."""
        caller.entered_s = _now_s()
        refused = self._doors.enter(caller.door, now_s=caller.entered_s)
        if refused is not None:
            raise CallerRefused("take call", reason=refused.value)

    def leave(self, caller: Caller) -> None:
        """It is gone."""
        self._doors.leave(
            caller.door,
            proven=caller.proven,
            entered_s=caller.entered_s,
            until_s=caller.until_s,
        )
        if not caller.proven:
            self._count_refused(caller)

    @contextmanager
    def talking(self, caller: Caller) -> Iterator[None]:
        """Its connection is in use for so long."""
        peer = caller.origin.peer
        if peer is not None:
            self._talking[peer] += 1
        try:
            yield
        finally:
            if peer is not None:
                self._talking[peer] -= 1
                if not self._talking[peer]:
                    del self._talking[peer]

    @asynccontextmanager
    async def received(self, context: grpc.aio.ServicerContext) -> AsyncIterator[Caller]:
        """A place for this call, for as long as it is served; without one the call is aborted."""
        caller = self.identify(context)
        try:
            self.enter(caller)
        except CallerRefused as refused:
            await self.refuse(caller, str(refused.fields["reason"]))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(refused.fields["reason"]))
        try:
            with self.talking(caller):
                yield caller
        finally:
            self.leave(caller)

    def prove(self, caller: Caller) -> None:
        """It showed who it is."""
        caller.proven = True
        self._doors.proven(caller.door)

    def hold(self, caller: Caller) -> None:
        """Its place stays taken for a minute when it is gone: it erred, and keys are free."""
        caller.until_s = _now_s() + ERRED_HELD_S

    async def refuse(self, caller: Caller, reason: str) -> None:
        """It is to be sent away when this returns; said in the log now and then.

        It waits for that: gRPC takes a connection's next call when one is over, and to say no at once, without
        end, is work as well.
        """
        self._count_refused(caller)
        self._refusals.note(caller.door, reason, now_s=_now_s())
        await asyncio.sleep(REFUSED_AFTER_S)

    async def watch(self, ports: Collection[int]) -> None:
        """Until cancelled: what grpcio accepted on ``ports`` is kept within the limits."""
        while True:
            await asyncio.sleep(WATCH_S)
            # In a thread: of a thousand connections it takes 20 ms to see them, and more to cut them.
            connections = await asyncio.to_thread(accepted, ports)
            gone = self._surplus(connections)
            self._cut += await asyncio.to_thread(_cut_all, gone, ports)
            self._tell_cut(len(connections))
            self._refusals.tell(now_s=_now_s())

    def _surplus(self, found: Sequence[Connection]) -> list[Connection]:
        # A proxy's connections are as many as it needs; their callers have places like others.
        connections = [each for each in found if not is_proxy(each.caller.ip, self._proxies)]
        tiresome = {
            address for address, count in self._refused.items() if count > CALLS_REFUSED_MAX
        }
        self._refused.clear()
        gone = dict.fromkeys(self._crowds.surplus(connections, self._talking))
        gone |= dict.fromkeys(each for each in connections if each.caller in tiresome)
        return list(gone)

    def _tell_cut(self, connections: int) -> None:
        if self._cut and _now_s() >= self._tell_cut_s:
            self._log.info(CUT, count=self._cut, connections=connections)
            self._cut, self._tell_cut_s = 0, _now_s() + TELL_CUT_S

    def _count_refused(self, caller: Caller) -> None:
        if caller.origin.peer is not None:
            self._refused[caller.origin.peer] += 1


def _cut_all(gone: Sequence[Connection], ports: Collection[int]) -> int:
    return sum(cut(each, ports) for each in gone)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
