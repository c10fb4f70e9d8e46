"""One peer as this node sees it: its identity, its link if there is one, its faults."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.clock import Clock
from tetrarch.errors import PeerFault
from tetrarch.network.clocks import OffsetWindow
from tetrarch.network.conduct import Conduct, Points, explain
from tetrarch.network.faults import (
    ClusterDiffers,
    HelloMissing,
    IndexDiffers,
    ProtocolVersionDiffers,
    StreamBroken,
)
from tetrarch.network.frames import Hello, decode_frame
from tetrarch.network.instances import Instances
from tetrarch.network.link import Link, Stream
from tetrarch.network.meters import PeerMeters
from tetrarch.network.peer_conduct import RULES, misdeeds, note_fault
from tetrarch.network.ports import Topic
from tetrarch.network.queues import fits
from tetrarch.network.versions import unsupported
from tetrarch.observability.logs import Log, error_fields

MISDEEDS_MEND = "ask its operator what that node does; it stays in the cluster, which does without it if it must"
_TOPICS = {int(topic): topic for topic in Topic}
FAULT_LOG_INTERVAL_S = 60.0  # per peer and code: a hostile peer must not fill the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerIdentity:
    """A cluster member, from the cluster files. ``index`` is 0-based."""

    index: int
    certificate_der: bytes
    host: str
    port: int

    @property
    def address(self) -> str:
        """As gRPC and people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """A snapshot for status pages and readiness. None: not known yet."""

    index: int
    address: str
    connected: bool
    rtt_s: float | None
    clock_offset_s: float | None  # the peer's clock minus ours
    builder_api: bool | None
    builder_api_differs: bool
    version: str | None
    nickname: str | None
    protocol: str | None
    version_refused: str | None  # how to mend it, while its version is not one of ours
    last_fault: str | None
    points: tuple[Points, ...]  # for and against it, worst first

    @property
    def score(self) -> float:
        """Their sum."""
        return sum(part.points for part in self.points)


class FaultLog:
    """One clear line per kind of fault, and at most one a minute after that."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._next_s: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def note(self, event: str, fault: PeerFault, **fields: object) -> None:
        """Log ``fault``, or count it as suppressed."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._next_s.get(fault.code, 0.0):
            self._suppressed[fault.code] = self._suppressed.get(fault.code, 0) + 1
            return
        self._next_s[fault.code] = now_s + FAULT_LOG_INTERVAL_S
        suppressed = self._suppressed.pop(fault.code, 0)
        self._log.warning(event, **error_fields(fault), suppressed=suppressed, **fields)


def check_hello(frame: bytes, *, own: Hello, index: int) -> Hello:
    """The peer's introduction, held against our own and against its certificate's index.

    Raises:
        HelloMissing, ProtocolVersionDiffers, ClusterDiffers, IndexDiffers, or a frame's fault.
    """
    hello = decode_frame(frame)
    if not isinstance(hello, Hello):
        raise HelloMissing("greet peer", reason="the first frame is something else")
    mend = unsupported(
        ours=own.protocols, theirs=hello.protocols, operator=index, version=hello.version
    )
    if mend is not None:
        ours, theirs = _range(own), _range(hello)
        raise ProtocolVersionDiffers("greet peer", ours=ours, theirs=theirs, mend=mend)
    if hello.lock_hash != own.lock_hash:
        raise ClusterDiffers("greet peer", ours=own.lock_hash.hex(), theirs=hello.lock_hash.hex())
    if hello.index != index:
        raise IndexDiffers("greet peer", certificate=index, claimed=hello.index)
    return hello


def _range(hello: Hello) -> str:
    oldest, newest = hello.protocols
    return f"{newest}" if oldest == newest else f"{oldest} to {newest}"


class Peer:
    """Sends to one peer through its present link and keeps what is known of it."""

    def __init__(
        self,
        identity: PeerIdentity,
        *,
        own: Hello,
        meters: PeerMeters,
        clock: Clock,
        log: Log,
        deliver: Callable[[int, int, bytes], None],
    ) -> None:
        self.identity = identity
        self.meters = meters
        self.log = log.bind(peer=identity.index)
        self.away_since_s: float | None = None  # loop time; None while connected
        self.conduct: Conduct[Topic] = Conduct(clock.wall_s())  # in Unix time
        self._own = own
        self._clock = clock
        self._deliver = deliver
        self._told_misdeeds = False
        self._link: Link | None = None
        self._hello: Hello | None = None
        self._window = OffsetWindow()
        self._faults = FaultLog(self.log)
        self._connected_handlers: list[Callable[[int], None]] = []
        self._last_fault: str | None = None
        self._version_refused: str | None = None
        self._instances = Instances()

    @property
    def connected(self) -> bool:
        """Whether a stream is open."""
        return self._link is not None

    @property
    def runs_twice(self) -> bool:
        """Whether two processes with this peer's certificate run, as far as can be seen."""
        return self._instances.twins(now_s=asyncio.get_running_loop().time())

    def older_twin_of(self, instance: bytes) -> bool | None:
        """See ``Instances``."""
        now_s = asyncio.get_running_loop().time()
        return self._instances.older_twin_of(instance, now_s=now_s)

    @property
    def queued(self) -> int:
        """How many messages wait to be sent."""
        return len(self._link.outbox) if self._link is not None else 0

    @property
    def clock_offset_s(self) -> float | None:
        """The peer's clock minus ours; None while away or not yet measured."""
        return self._window.offset_s if self._link is not None else None

    def on_connected(self, handler: Callable[[int], None]) -> None:
        """Call ``handler`` with the peer's index each time a stream has opened."""
        self._connected_handlers.append(handler)

    def status(self) -> PeerStatus:
        """What is known now."""
        hello = self._hello
        return PeerStatus(
            index=self.identity.index,
            address=self.identity.address,
            connected=self.connected,
            rtt_s=self._window.rtt_s,
            clock_offset_s=self.clock_offset_s,
            builder_api=hello.builder_api if hello else None,
            builder_api_differs=hello is not None and hello.builder_api != self._own.builder_api,
            version=hello.version if hello else None,
            nickname=hello.nickname if hello else None,
            protocol=_range(hello) if hello else None,
            version_refused=self._version_refused,
            last_fault=self._last_fault,
            points=explain(self.conduct, RULES, now_s=self._clock.wall_s()),
        )

    def send(self, topic: int, payload: bytes) -> bool:
        """Queue without waiting. False: no stream, or larger than a frame."""
        if not fits(payload):
            self.meters.count_dropped(topic, "oversize")
            self.log.error(
                "message_oversize",
                message_topic=topic,
                size_bytes=len(payload),
                mend="report it as a bug",
            )
            return False
        if self._link is None:
            self.meters.count_dropped(topic, "away")
            return False
        self._link.outbox.put(topic, payload)
        return True

    async def serve(self, stream: Stream, hello: Hello) -> PeerFault | None:
        """Carry messages over ``stream`` until it ends; then the caller closes it.

        The newest stream wins: one that was open before is closed. The peer proved its identity
        anew, and the older stream is most often one whose death has not been noticed yet.

        Returns: the fault that ended it, already counted and logged; None if it just ended.
        """
        self._note_instance(hello)
        self._replace_link(hello)
        self._hello = hello
        self._window = OffsetWindow()
        link = self._link = Link(
            stream,
            meters=self.meters,
            window=self._window,
            clock=self._clock,
            deliver=self._received,
        )
        self._greet(hello)
        fault: PeerFault | None = None
        reason = "stopped"
        try:
            await link.run()
        except StreamBroken as broken:
            reason = str(broken.fields.get("reason"))
        except PeerFault as error:
            self.note_fault(error)
            fault, reason = error, error.code
        finally:
            if self._link is link:
                self._link = None
                self.away_since_s = asyncio.get_running_loop().time()
                self.meters.show_away()
                self.log.info("peer_disconnected", reason=reason)
        return fault

    def note_fault(self, fault: PeerFault) -> None:
        """Count ``fault`` and log it, within limits."""
        self._last_fault = fault.code
        if isinstance(fault, ProtocolVersionDiffers):
            self._version_refused = str(fault.fields["mend"])
            self.meters.show_version_supported(supported=False)
        self.meters.count_fault(fault.code)
        self.blame(fault.code)
        self._faults.note("peer_fault", fault, address=self.identity.address)

    def blame(self, kind: str) -> None:
        """It did what no honest peer does, or could not go on."""
        note_fault(self.conduct, kind, now_s=self._clock.wall_s())

    def unreachable(self, reason: str) -> None:
        """It could not be dialled, or its stream broke."""
        self.meters.count_dial_failure(reason)
        self.conduct.failed(self._clock.wall_s())

    def look(self) -> None:
        """Now and then: whether it answers, and whether its operator should be asked what it does."""
        now_s = self._clock.wall_s()
        if self._link is not None and self._window.rtt_s is not None:
            self.conduct.answered(now_s, self._window.rtt_s)
        why = misdeeds(self.conduct, now_s=now_s)
        if why and not self._told_misdeeds:
            self.log.warning("peer_misbehaves", why=why, mend=MISDEEDS_MEND)
        self._told_misdeeds = bool(why)

    def _received(self, topic: int, payload: bytes) -> None:
        known = _TOPICS.get(topic)
        if known is not None:
            self.conduct.brought(known, self._clock.wall_s(), first=False)
        self._deliver(self.identity.index, topic, payload)

    def close(self, reason: str) -> None:
        """End the present stream, if any."""
        if self._link is not None:
            self._link.close(StreamBroken("use stream", reason=reason))

    def _replace_link(self, hello: Hello) -> None:
        if self._link is None or self._hello is None:
            return
        self.meters.count_fault("connection_replaced")
        if hello.instance == self._hello.instance:
            self.log.warning("peer_connection_replaced")
        else:
            self.log.warning(
                "peer_process_replaced",
                mend="if it was not restarted just now, two processes run this peer's node:"
                " its operator must stop one",
            )
        self.close("replaced")

    def _note_instance(self, hello: Hello) -> None:
        known = self.runs_twice
        before = None if self._link is None or self._hello is None else self._hello.instance
        returned = self._instances.note(
            hello.instance,
            now_s=asyncio.get_running_loop().time(),
            pushes_out=before not in (None, hello.instance),
        )
        if returned and not known:
            self.log.error(
                "peer_runs_twice",
                mend="its operator must stop one of the two: a copy of its folder runs elsewhere",
            )

    def _greet(self, hello: Hello) -> None:
        differs = hello.builder_api != self._own.builder_api
        self.away_since_s = None
        self._version_refused = None
        self.meters.show_version_supported(supported=True)
        self.meters.show_connected(hello, builder_api_differs=differs)
        self.log.info("peer_connected", version=hello.version, nickname=hello.nickname)
        if differs:
            self.log.warning(
                "builder_api_differs",
                ours=self._own.builder_api,
                theirs=hello.builder_api,
                mend="set builder_api alike on all nodes; until then no builder is asked",
            )
        for handler in self._connected_handlers:
            handler(self.identity.index)
