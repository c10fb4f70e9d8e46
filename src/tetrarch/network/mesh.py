"""The mesh: the cluster's message bus over gRPC. Theory of operation.

Each pair of nodes shares one long-lived bidirectional stream, used both ways. The node with the
lower index dials (``dialer``), the other accepts (``listener``); both then run the same ``Link``
for the same ``Peer``. TLS is mutual with pinned certificates, so an index is proven, never
claimed. Sending only queues (``queues``): whatever waits when the stream is free leaves as one
frame (``frames``). Received messages go to one bounded inbox per topic, each with its own task,
so a slow handler of one topic delays no other and a flooding peer takes only its own turn.

Whatever a peer does ends, at worst, its own stream.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tetrarch.clock import Clock
from tetrarch.entropy import Entropy
from tetrarch.errors import invariant
from tetrarch.network.certificates import (
    check_distinct_subjects,
    check_own_key,
    load_certificate,
    to_der,
)
from tetrarch.network.clocks import ClockVerdict, judge_clocks
from tetrarch.network.conduct import Conduct
from tetrarch.network.dialer import Dialer, DialerKeys
from tetrarch.network.frames import INSTANCE_SIZE_BYTES, Hello
from tetrarch.network.listener import Listener
from tetrarch.network.meters import PeerMeters
from tetrarch.network.peer import Peer, PeerIdentity, PeerStatus
from tetrarch.network.ports import MessageHandler, Topic
from tetrarch.network.queues import Inbox
from tetrarch.network.versions import CURRENT, Versions
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.supervision import Supervisor, sole_cause

WATCH_INTERVAL_S = 1.0
ABSENT_AFTER_S = 10.0
DRAIN_CHECKS = 30
DRAIN_CHECK_INTERVAL_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """What a mesh must know. ``peers`` are the *other* nodes, in any order.

    ``listen_port`` 0 picks a free one.
    """

    own_index: int
    lock_hash: bytes
    peers: tuple[PeerIdentity, ...]
    private_key_pem: bytes = field(repr=False)
    certificate_pem: bytes
    listen_host: str
    listen_port: int
    builder_api: bool
    version: str
    nickname: str = ""
    clock_offset_max_s: float = 1.0
    versions: Versions = CURRENT


class Mesh:
    """Implements ``MessageBus``. Subscribe everything, then ``run``."""

    def __init__(
        self,
        settings: MeshSettings,
        *,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        log: Log,
    ) -> None:
        """Check the cluster's certificates; nothing is opened yet.

        Raises:
            CertificateUnusable: a certificate or our key cannot serve.
        """
        _check_certificates(settings)
        self.listening = asyncio.Event()
        self.bound_port = settings.listen_port  # the real one once ``listening``
        self._settings = settings
        self._entropy = entropy
        self._metrics = metrics
        self._log = log
        self._own = Hello(
            protocol=settings.versions.protocol,
            lock_hash=settings.lock_hash,
            index=settings.own_index,
            instance=entropy(INSTANCE_SIZE_BYTES),
            builder_api=settings.builder_api,
            version=settings.version[:64],
            nickname=settings.nickname[:32],
            protocol_min=settings.versions.protocol_min,
            features=settings.versions.features,
        )
        self._peers = {
            identity.index: Peer(
                identity,
                own=self._own,
                meters=PeerMeters(metrics, str(identity.index)),
                clock=clock,
                log=log,
                deliver=self._deliver,
            )
            for identity in sorted(settings.peers, key=lambda identity: identity.index)
        }
        self._inboxes: dict[int, Inbox] = {}
        self._verdict = ClockVerdict()
        self._told_absent: dict[int, bool] = {}

    @property
    def own_index(self) -> int:
        """The 0-based position of this node in the cluster."""
        return self._settings.own_index

    @property
    def instance(self) -> bytes:
        """What tells this process from another with the same certificate."""
        return self._own.instance

    def older_twin_of(self, peer: int, instance: bytes) -> bool | None:
        """Whether the process beside ``instance`` of ``peer`` is older; None: there is none."""
        return self._peers[peer].older_twin_of(instance)

    @property
    def peers(self) -> tuple[int, ...]:
        """The 0-based indices of the other nodes, ascending."""
        return tuple(self._peers)

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        """Queue ``payload`` for ``peer`` without waiting. False: dropped, and counted."""
        return self._peers[peer].send(topic, payload)

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        """``send`` to every other node."""
        for peer in self._peers.values():
            peer.send(topic, payload)

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """Await ``handler`` for every message of ``topic``, one at a time."""
        invariant(topic not in self._inboxes, "a topic has one handler")
        invariant(not self.listening.is_set(), "handlers are set before the mesh runs")

        def count(peer: int) -> None:
            self._peers[peer].meters.count_dropped(topic, "inbox_full")

        self._inboxes[topic] = Inbox(handler, on_drop=count)

    def on_connected(self, handler: Callable[[int], None]) -> None:
        """Call ``handler`` with a peer's index each time its stream has opened: messages sent
        from there on are the first on the new stream.
        """
        for peer in self._peers.values():
            peer.on_connected(handler)

    def status(self) -> tuple[PeerStatus, ...]:
        """What is known of each peer now, by index."""
        return tuple(peer.status() for peer in self._peers.values())

    def connected_count(self) -> int:
        """How many peers have an open stream."""
        return sum(peer.connected for peer in self._peers.values())

    def conduct(self, peer: int) -> Conduct[Topic]:
        """What was seen of a peer, in Unix time."""
        return self._peers[peer].conduct

    def blame(self, peer: int, kind: str) -> None:
        """Who uses the mesh says that a peer did what no honest one does."""
        if peer in self._peers:
            self._peers[peer].blame(kind)

    def praise(self, peer: int) -> None:
        """A peer did its part in what all do together."""
        if peer in self._peers:
            self._peers[peer].conduct.contributed()

    @property
    def own_clock_offset_s(self) -> float | None:
        """How far our clock is ahead of the cluster's; None while it is right."""
        return self._verdict.own_offset_s

    async def run(self) -> None:
        """Keep streams to all peers until cancelled. Ends only by an exception.

        Raises:
            ListenFailed: the address cannot be bound.
            Whatever a handler raised: it has been logged, the mesh has stopped.
        """
        try:
            await self._run()
        except BaseExceptionGroup as group:
            raise sole_cause(group) from group

    async def _run(self) -> None:
        tasks = Supervisor(self._log)
        listener = Listener(
            own=self._own,
            peers=self._peers,
            metrics=self._metrics,
            log=self._log,
            spawn=lambda work, name: tasks.spawn(work, name=name),
        )
        dialers = self._build_dialers()
        async with tasks:
            for topic, inbox in self._inboxes.items():
                tasks.spawn(inbox.run(), name=f"inbox-{Topic(topic).name.lower()}")
            try:
                await self._open(listener)
                for dialer in dialers:
                    tasks.spawn(dialer.run(), name="dialer")
                await self._watch()
            finally:
                await self._drain()
                tasks.stop()
                await listener.stop()

    def _build_dialers(self) -> tuple[Dialer, ...]:
        keys = DialerKeys(
            certificate_pem=self._settings.certificate_pem,
            private_key_pem=self._settings.private_key_pem,
        )
        return tuple(
            Dialer(peer, own=self._own, keys=keys, entropy=self._entropy)
            for peer in self._peers.values()
            if peer.identity.index > self.own_index
        )

    async def _open(self, listener: Listener) -> None:
        settings = self._settings
        self.bound_port = await listener.start(
            host=settings.listen_host,
            port=settings.listen_port,
            key_pem=settings.private_key_pem,
            certificate_pem=settings.certificate_pem,
        )
        now_s = asyncio.get_running_loop().time()
        for peer in self._peers.values():
            peer.away_since_s = now_s
        self._log.info("mesh_listening", address=f"{settings.listen_host}:{self.bound_port}")
        self.listening.set()

    def _deliver(self, peer: int, topic: int, payload: bytes) -> None:
        inbox = self._inboxes.get(topic)
        if inbox is None:
            self._peers[peer].meters.count_dropped(topic, "no_handler")
        else:
            inbox.put(peer, payload)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            self._watch_clocks()
            self._watch_absent()
            for peer in self._peers.values():
                peer.meters.show_runs_twice(twice=peer.runs_twice)
                peer.look()

    def _watch_clocks(self) -> None:
        """One line when a verdict changes, with who is wrong and how to mend it."""
        offsets_s = {
            index: peer.clock_offset_s
            for index, peer in self._peers.items()
            if peer.clock_offset_s is not None
        }
        if len(offsets_s) < self.connected_count():
            return  # a new stream: wait for its first offset, else the first one takes the blame
        before = self._verdict
        verdict = judge_clocks(offsets_s, offset_max_s=self._settings.clock_offset_max_s)
        self._verdict = verdict
        own_s = verdict.own_offset_s
        self._metrics.gauge("mesh_own_clock_offset_seconds").set(own_s or 0.0)
        mend = "synchronise that host's clock (chrony or systemd-timesyncd)"
        if len(offsets_s) == 1:
            mend = "look which of the two hosts' clocks is wrong, and synchronise it"
        if own_s is not None and before.own_offset_s is None:
            mend = "synchronise this host's clock (chrony or systemd-timesyncd)"
            self._log.warning("own_clock_wrong", ahead_s=round(own_s, 3), mend=mend)
        elif own_s is None and before.own_offset_s is not None:
            self._log.info("own_clock_right")
        for index in verdict.wrong_peers:
            if index not in before.wrong_peers:
                ahead_s = round(offsets_s[index], 3)
                self._peers[index].log.warning("peer_clock_wrong", ahead_s=ahead_s, mend=mend)
        for index in before.wrong_peers:
            if index not in verdict.wrong_peers and index in offsets_s:
                self._peers[index].log.info("peer_clock_right")

    def _watch_absent(self) -> None:
        """One line per outage of a peer that should dial us; dialers tell of the others."""
        now_s = asyncio.get_running_loop().time()
        for index, peer in self._peers.items():
            away_s = 0.0 if peer.away_since_s is None else now_s - peer.away_since_s
            if index > self.own_index or away_s < ABSENT_AFTER_S:
                self._told_absent[index] = False
            elif not self._told_absent.get(index):
                self._told_absent[index] = True
                mend = "start the peer; check that it can reach our address with its certificate"
                peer.log.warning("peer_absent", for_s=round(away_s), mend=mend)

    async def _drain(self) -> None:
        """Give queued messages a moment to leave."""
        for _ in range(DRAIN_CHECKS):
            if not any(peer.queued for peer in self._peers.values()):
                return
            await asyncio.sleep(DRAIN_CHECK_INTERVAL_S)


def _check_certificates(settings: MeshSettings) -> None:
    own = load_certificate(to_der(settings.certificate_pem), of="this node")
    check_own_key(settings.private_key_pem, own)
    certificates = [
        load_certificate(peer.certificate_der, of=f"peer {peer.index}") for peer in settings.peers
    ]
    check_distinct_subjects([own, *certificates])
    indices = [settings.own_index, *(peer.index for peer in settings.peers)]
    invariant(len(set(indices)) == len(indices), "each node has its own index")
