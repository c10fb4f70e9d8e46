"""A node of the overlay with its wires. Theory of operation.

``OverlayMachine`` decides, ``Talking`` reads and answers, ``Links`` carries; here are the dials and the
clock's beats. Links are kept with the whole view, whoever dialled; what is not in the view any more and
was dialled by us is let go after a while.

    every round (10 s)       sign our profile, gossip with each layer's partner
    every quarter second     ask others for what did not come, tell what is new of late
    every second             dial who is in the view and not linked
    within a second          keep on disk who came or went
    every minute             apply the policy to all
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tetrarch.clock import Clock
from tetrarch.entropy import Entropy
from tetrarch.network.link import LinkMeters
from tetrarch.network.overlay.addresses import NOWHERE, Address
from tetrarch.network.overlay.chain import ChainPort, Verdict
from tetrarch.network.overlay.conduct import Fault
from tetrarch.network.overlay.doors import Doors
from tetrarch.network.overlay.greeting import NodeDiffers
from tetrarch.network.overlay.identity import OverlayIdentity
from tetrarch.network.overlay.inbox import FairInbox
from tetrarch.network.overlay.known import Known
from tetrarch.network.overlay.layers.layer import Layer
from tetrarch.network.overlay.layers.privileged import Privileged
from tetrarch.network.overlay.layers.trusted import Trusted
from tetrarch.network.overlay.links import Links
from tetrarch.network.overlay.listening import OtherCalls, OverlayListener, Spawn
from tetrarch.network.overlay.machine import OverlayMachine
from tetrarch.network.overlay.meeting import Introduction
from tetrarch.network.overlay.node_store import NodeStore, Storage
from tetrarch.network.overlay.profile import EPOCH_UNIX_S, NodeId, Profile, Topic, sign_profile
from tetrarch.network.overlay.reaching import NodeShutOut, Reaching, Target
from tetrarch.network.overlay.reference.accepted import AcceptedReferences
from tetrarch.network.overlay.reference.answers import Answers
from tetrarch.network.overlay.reference.calls import ReferenceCalls
from tetrarch.network.overlay.reference.watching import Watchers
from tetrarch.network.overlay.settings import OverlaySettings, TrustedPeer
from tetrarch.network.overlay.talking import Talking
from tetrarch.network.overlay.topology import Gossip
from tetrarch.network.overlay.wires import Wires
from tetrarch.observability.logs import Log
from tetrarch.supervision import Supervisor

TICK_S = 0.25
LINKING_S = 1.0
SWEEP_S = 60.0
SAVE_MIN_S, SAVE_MAX_S = 1.0, 60.0  # who was killed finds back without anybody whom it trusts
LINGER_S = 60.0  # a link that we dialled outlives its place in the view by so much
REDIAL_MIN_S, REDIAL_MAX_S = 1.0, 60.0
STABLE_S = 5.0  # a link that lived so long starts the waits anew
DIALS_MAX = 32  # at once


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a node asks of its host. Without ``storage`` it finds the others anew after each start."""

    clock: Clock
    entropy: Entropy
    meters: LinkMeters
    log: Log
    storage: Storage | None = None


class Overlay:
    """One node. ``run`` it beside whatever owns ``chain``."""

    def __init__(
        self,
        settings: OverlaySettings,
        identity: OverlayIdentity,
        chain: ChainPort,
        world: World,
    ) -> None:
        clock, log = world.clock, world.log
        self.identity = identity
        self.listening = asyncio.Event()
        self._settings = settings
        self._clock = clock
        self._log = log
        self._random = Random(world.entropy(32))  # noqa: S311 - chooses partners, no secrets
        self._trusted = Trusted([peer.name for peer in settings.trusted])
        self.machine = OverlayMachine(
            identity.node,
            settings.rules,
            self._random,
            more_layers=self._named_layers,
            whitelist=lambda profile: profile in self._trusted,
            usable=lambda node: node in self.links,
            linked=lambda: self.links,
        )
        self.links = Links(
            identity.node,
            meters=world.meters,
            clock=clock,
            deliver=self._deliver,
            on_up=self._on_up,
            on_down=self._on_down,
        )
        self.watchers = Watchers(chain)
        self.talking = Talking(
            self.machine,
            chain,
            self.links,
            own_profile=lambda: self._own,
            now_s=self.now_s,
            on_block=self.watchers.block_is_new,
            log=log,
        )
        self._inbox = FairInbox(self.talking.handle, on_drop=self._on_drop)
        introduction = Introduction(
            node=identity.node,
            block0=chain.block0,
            program=settings.program,
            certificates=(identity.certificate_hash, *settings.proxy_certificates),
            sign=identity.sign,
            entropy=world.entropy,
        )
        self._own = self._signed()
        self._store = (
            None if world.storage is None else NodeStore(world.storage, self.machine.nodes)
        )
        self._gossip: dict[NodeId, Gossip] = {}  # for who is being dialled
        self._dials: set[NodeId] = set()
        self._redials: dict[NodeId, tuple[float, float]] = {}  # not before; the wait after that
        self._unwanted_s: dict[NodeId, float] = {}
        self._wires = Wires(
            introduction=introduction,
            chain=chain,
            links=self.links,
            deliver=self._deliver,
            meters=world.meters,
        )
        self._reaching = Reaching(
            self._wires,
            is_extended=settings.is_extended,
            met=self._met,
            blame=self.talking.blame,
            log=log,
        )
        self._listener = OverlayListener(
            settings,
            identity,
            introduction,
            links=self.links,
            met=lambda node: self._met(node, True),
            other_calls=self._reference_calls,
            log=log,
        )

    def now_s(self) -> float:
        """Wall-clock seconds since 2020."""
        return self._clock.wall_s() - EPOCH_UNIX_S

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, real ports once ``listening`` is set."""
        return self._listener.addresses

    async def publish(self, topic: Topic, content: bytes) -> Verdict:
        """Give an item of our own to the network, if our chain takes it."""
        return await self.talking.publish(topic, content)

    async def ban(self, node: NodeId, reason: str) -> None:
        """Never again, until ``unban``, also after a restart."""
        self.machine.nodes.ban(node, reason, now_s=self.now_s())
        self.links.close(node, "banned")
        if self._store is not None:
            await self._store.save_bans()

    async def unban(self, node: NodeId) -> bool:
        """It may come back by gossip. False: it was not banned."""
        was_banned = self.machine.nodes.unban(node)
        if was_banned and self._store is not None:
            await self._store.save_bans()
        return was_banned

    async def run(self) -> None:
        """Until cancelled.

        Raises:
            ListenFailed: an address cannot be listened on.
        """
        if self._store is not None:
            await self._store.load(now_s=self.now_s())
        async with Supervisor(self._log) as tasks:
            self._tasks = tasks
            await self._listener.start(lambda work, name: tasks.spawn(work, name=name))
            self.listening.set()
            self._own = self._signed()
            tasks.spawn(self._inbox.run(), name="overlay_inbox")
            tasks.spawn(self._tick(), name="overlay_tick")
            tasks.spawn(self._keep_links(), name="overlay_links")
            tasks.spawn(self._sweep(), name="overlay_sweep")
            if self._store is not None:
                tasks.spawn(self._keep_nodes(self._store), name="overlay_nodes")
            for peer in self._settings.trusted:
                tasks.spawn(self._join(peer), name="overlay_join")
            try:
                await self._gossip_rounds()
            finally:
                tasks.stop()
                await self._listener.stop()
                if self._store is not None:
                    await self._store.save()

    # -- beats --------------------------------------------------------------------------------------

    async def _gossip_rounds(self) -> None:
        while True:
            self._own = self._signed()
            for node, gossip in self.machine.begin_round(self._own):
                if not self.talking.send_gossip(node, gossip):
                    self._gossip[node] = gossip
                    self._dial_soon(node)
            # Not in step with others, that began at the same moment.
            await asyncio.sleep(self._settings.round_s * (0.9 + 0.2 * self._random.random()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.talking.do(self.machine.spreading.tick(now_s=self.now_s()))

    async def _keep_links(self) -> None:
        while True:
            view = self.machine.topology.view()
            for node in view:
                if node not in self.links:
                    self._dial_soon(node)
            self._let_go(set(view))
            await asyncio.sleep(LINKING_S)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.machine.nodes.sweep(now_s=self.now_s())

    async def _keep_nodes(self, store: NodeStore) -> None:
        """Soon after somebody came or went, and now and then what was seen of all."""
        kept, at_s, loop = set[NodeId](), 0.0, asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SAVE_MIN_S)
            here = set(self.machine.nodes)
            if here != kept or loop.time() - at_s >= SAVE_MAX_S:
                await store.save()
                kept, at_s = here, loop.time()

    def _let_go(self, view: set[NodeId]) -> None:
        now_s = asyncio.get_running_loop().time()
        for node in self.links.dialled():
            if node in view:
                self._unwanted_s.pop(node, None)
            elif now_s - self._unwanted_s.setdefault(node, now_s) >= LINGER_S:
                self.links.close(node, "not_in_view")

    # -- links --------------------------------------------------------------------------------------

    def _dial_soon(self, node: NodeId) -> None:
        not_before_s, _ = self._redials.get(node, (0.0, 0.0))
        now_s = asyncio.get_running_loop().time()
        if node in self._dials or len(self._dials) >= DIALS_MAX or now_s < not_before_s:
            return
        profile = self.machine.nodes.known.profiles.get(node)
        if profile is None or len(self.links.dialled()) >= self._settings.dialled_max:
            return
        self._dials.add(node)
        self._tasks.spawn(self._dial_known(profile), name="overlay_dial")

    async def _dial_known(self, profile: Profile) -> None:
        node, loop = profile.node, asyncio.get_running_loop()
        begun_s = loop.time()
        try:
            reached = await self._reaching.talk(Target.of_profile(profile))
        finally:
            self._dials.discard(node)
            self._gossip.pop(node, None)
        now_s = loop.time()
        if reached and now_s - begun_s >= STABLE_S:
            self._redials.pop(node, None)
            return
        _, wait_s = self._redials.get(node, (0.0, REDIAL_MIN_S / 2))
        wait_s = min(2 * wait_s, REDIAL_MAX_S)
        self._redials[node] = (now_s + wait_s, wait_s)
        if not reached and node not in self.links:
            self.machine.nodes.report_failure(node, now_s=self.now_s())

    async def _join(self, peer: TrustedPeer) -> None:
        """Keep a link to a trusted peer until its profile is known; then the layers do."""
        wait_s = REDIAL_MIN_S
        while True:
            known = self.machine.nodes.known.profiles.values()
            if not any(peer.name.matches(profile) for profile in known):
                await self._reaching.talk(Target.of_peer(peer))
                wait_s = min(2 * wait_s, REDIAL_MAX_S)
            await asyncio.sleep(wait_s)

    def _met(self, node: NodeId, is_extended: bool) -> None:  # noqa: FBT001 - a callback
        """It showed who it is. Raises a PeerFault: we do not talk with it, or not so."""
        nodes = self.machine.nodes
        known = nodes.profile(node)
        offered = self._settings.is_extended and known is not None and known.is_extended
        if offered and not is_extended:
            # The reference's handshake can be had from it by whoever stands between.
            raise NodeDiffers("shake hands", node=node.hex(), reason="it offers a better service")
        nodes.met(node, now_s=self.now_s())
        if node in nodes.bans:
            raise NodeShutOut("meet node", reason="banned")
        if node in nodes.quarantined:
            raise NodeShutOut("meet node", reason=nodes.quarantined[node].reason)

    def _on_up(self, node: NodeId) -> None:
        self._log.debug("overlay_link_up", peer=node.hex())
        self.machine.nodes.welcome(node, now_s=self.now_s())
        gossip = self._gossip.pop(node, None)
        self.talking.send_gossip(node, gossip or self.machine.topology.begin(self._own, node))
        self.talking.send_status(node)

    def _on_down(self, node: NodeId) -> None:
        self._log.debug("overlay_link_down", peer=node.hex())
        self.machine.nodes.left(node)
        self._unwanted_s.pop(node, None)
        self._inbox.forget(node)
        self.talking.forget(node)

    def _deliver(self, node: NodeId, kind: int, payload: bytes) -> None:
        self._inbox.put(node, kind, payload)

    def _on_drop(self, node: NodeId, kind: int) -> None:
        del kind
        self.talking.blame(node, Fault.FLOOD, None)

    # -- ourselves ------------------------------------------------------------------------------------

    def _signed(self) -> Profile:
        settings = self._settings
        certificate = self.identity.certificate_hash if settings.secured else b""
        return sign_profile(
            self.identity.sign,
            node=self.identity.node,
            time_s=int(self.now_s()),
            address=settings.public or NOWHERE,
            interests=settings.rules.interests,
            certificate=(*settings.proxy_certificates, certificate)[0],
            is_extended=settings.is_extended,
        )

    def _reference_calls(self, doors: Doors, spawn: Spawn) -> OtherCalls:
        """The reference's services, beside our own."""
        known = self.machine.nodes.known.profiles
        accepted = AcceptedReferences(
            self._wires,
            met=lambda node: self._met(node, False),
            at_fault=lambda node, fault: self.talking.blame(node, Fault.PROTOCOL, fault),
            doors=doors,
            spawn=spawn,
        )
        answers = Answers(
            self._wires.chain,
            own=lambda: self._own,
            others=lambda: [known[node] for node in self.machine.topology.view()],
        )
        proxies = self._settings.proxies
        return ReferenceCalls(accepted, answers, self.watchers, proxies=proxies).handler

    def _named_layers(self, known: Known) -> Sequence[Layer]:
        privileged = Privileged(self._settings.privileged, known)
        return (*((privileged,) if self._settings.privileged else ()), self._trusted)
