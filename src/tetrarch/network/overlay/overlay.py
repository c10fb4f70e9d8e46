"""A node of the overlay with its wires. Theory of operation.

``OverlayMachine`` decides, ``Talking`` reads and answers, ``Links`` carries, ``Dials`` makes links and
lets them go; here are the clock's beats. Links are kept with the whole view, whoever dialled.

    every round (10 s)       sign our profile, gossip with each layer's partner; say where our chain ends, and
                             look where those of the trusted nodes do
    every quarter second     ask others for what did not come, tell what is new of late
    within a second          keep on disk who came or went
    every minute             apply the policy to all
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tetrarch.clock import Clock
from tetrarch.entropy import Entropy
from tetrarch.network.conduct import Fault
from tetrarch.network.link import LinkMeters
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.callers import Callers
from tetrarch.network.overlay.chain import ChainPort, Tip, Verdict
from tetrarch.network.overlay.dials import Connected, Dials
from tetrarch.network.overlay.discovery import Discovery
from tetrarch.network.overlay.forks import ForkWatch
from tetrarch.network.overlay.greeting import NodeDiffers
from tetrarch.network.overlay.identity import OverlayIdentity
from tetrarch.network.overlay.known import Known
from tetrarch.network.overlay.layers.layer import Layer
from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.layers.privileged import Privileged
from tetrarch.network.overlay.layers.trusted import Trusted
from tetrarch.network.overlay.links import BANNED, Links
from tetrarch.network.overlay.listening import OtherCalls, OverlayListener, Spawn
from tetrarch.network.overlay.machine import OverlayMachine
from tetrarch.network.overlay.meeting import Introduction, Met, NodeShutOut
from tetrarch.network.overlay.messages import Kind
from tetrarch.network.overlay.node_store import NodeStore, Storage
from tetrarch.network.overlay.own_profile import OwnProfile, shown_certificate
from tetrarch.network.overlay.paced_inbox import PacedInbox
from tetrarch.network.overlay.profile import (
    BLOCKS,
    EPOCH_UNIX_S,
    FRAGMENTS,
    NodeId,
    Profile,
    Topic,
)
from tetrarch.network.overlay.reaching import Reaching
from tetrarch.network.overlay.reference.services import ReferenceServices
from tetrarch.network.overlay.reference.watching import Watchers
from tetrarch.network.overlay.settings import OverlaySettings, TrustedPeer
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.overlay.talking import Talking
from tetrarch.network.overlay.trusted_tips import TrustedTips
from tetrarch.network.overlay.wires import Wires
from tetrarch.observability.logs import Log
from tetrarch.supervision import Supervisor

TICK_S = 0.25
SWEEP_S = 60.0


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
        *,
        on_part: Callable[[NodeId, bytes], Verdict] = lambda *_: Verdict.STALE,
    ) -> None:
        """``on_part`` takes parts of states, which only who asked for them can use."""
        clock, log = world.clock, world.log
        self.identity = identity
        self.listening = asyncio.Event()
        self.settings = settings
        self._clock = clock
        self._chain = chain
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
            on_frame=lambda node: self._inbox.count_frame(node),  # noqa: PLW0108 - built later
        )
        self.discovery = Discovery(
            settings.observed_rules,
            self.links,
            certificate=shown_certificate(identity, settings),
            private_addresses=settings.rules.policy.private_addresses,
            random=self._random,
            found=lambda _: self._own.sign(),
            log=log,
        )
        self._own = OwnProfile(
            identity, settings, address=lambda: self.discovery.address, now_s=self.now_s
        )
        self.watchers = Watchers(chain)
        self.talking = Talking(
            self.machine,
            chain,
            self.links,
            own_profile=lambda: self._own.profile,
            now_s=self.now_s,
            on_block=self.watchers.block_is_new,
            others={
                Kind.REACH: lambda node, payload: self.discovery.hear_question(
                    node, payload, reaching=self._reaching, spawn=self._spawn
                ),
                Kind.REACHED: self.discovery.hear_answer,
            },
            log=log,
            asked=lambda node, tokens: self._inbox.grant(node, tokens),  # noqa: PLW0108 - built later
            on_part=on_part,
        )
        self._inbox = PacedInbox(
            self.talking.handle, flooded=lambda node: self.talking.blame(node, Fault.FLOOD, None)
        )
        introduction = Introduction(
            node=identity.node,
            block0=chain.block0,
            program=settings.program,
            certificates=(identity.certificate_hash, *settings.proxy_certificates),
            sign=identity.sign,
            entropy=world.entropy,
        )
        self.trusted_tips = TrustedTips(
            self._trusted, self.machine.nodes, chain, watch=ForkWatch(), log=log
        )
        self._store = (
            None if world.storage is None else NodeStore(world.storage, self.machine.nodes)
        )
        self._wires = Wires(
            introduction=introduction,
            chain=chain,
            links=self.links,
            deliver=self._deliver,
            meters=world.meters,
        )
        self._reaching = Reaching(
            self._wires, is_extended=settings.is_extended, met=self._met, log=log
        )
        self._dials = Dials(
            settings,
            self._reaching,
            self.machine,
            self.links,
            blame=self.talking.blame,
            now_s=self.now_s,
            log=log,
        )
        self._listener = OverlayListener(
            settings,
            identity,
            introduction,
            links=self.links,
            met=self._met,
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

    @property
    def profile(self) -> Profile:
        """What we say of ourselves, as it was signed last."""
        return self._own.profile

    def tip(self) -> Tip:
        """Where our chain ends now."""
        return self._chain.tip()

    async def propose_block(self, content: bytes) -> Verdict:
        """Give a block of our own to the network, if our chain takes it."""
        return await self.talking.publish(BLOCKS, content)

    async def propose_fragment(self, content: bytes) -> Verdict:
        """Give a fragment of our own to the network, if our chain takes it."""
        return await self.talking.publish(FRAGMENTS, content)

    def sync_to_tip(self, node: NodeId) -> bool:
        """Ask a linked node for all blocks that its chain has after the last that both have.

        They come one after another and are judged as any. False: there is no link with it.
        """
        return self.talking.sync_to_tip(node)

    def ask(self, node: NodeId, topic: Topic, item: ItemId) -> bool:
        """Ask a linked node for an item by its name. False: there is no link with it."""
        return self.talking.ask(node, topic, item)

    async def ban(self, node: NodeId, reason: str) -> None:
        """Never again, until ``unban``, also after a restart."""
        self.machine.nodes.ban(node, reason, now_s=self.now_s())
        self.links.close(node, BANNED)
        if self._store is not None:
            await self._store.save_bans()

    async def unban(self, node: NodeId) -> bool:
        """It may come back by gossip. False: it was not banned."""
        was_banned = self.machine.nodes.unban(node)
        if was_banned and self._store is not None:
            await self._store.save_bans()
        return was_banned

    async def connect(self, peer: TrustedPeer) -> Connected:
        """Dial ``peer`` now; whoever answers is kept linked until the layers decide. Takes 15 s at most."""
        return await self._dials.connect(peer)

    def privilege(self, profiles: Sequence[Profile]) -> None:
        """These nodes, whose signatures are right, are privileged beside those of the settings."""
        names = [Name(node=profile.node) for profile in profiles]
        self._privileged.rename([*self.settings.privileged, *names])
        for profile in profiles:
            self.machine.take_profiles((profile,), profile.node, now_s=self.now_s(), wanted=True)

    async def run(self) -> None:
        """Until cancelled.

        Raises:
            ListenFailed: an address cannot be listened on.
        """
        if self._store is not None:
            await self._store.load(now_s=self.now_s())
        async with Supervisor(self._log) as tasks:
            self._tasks = tasks
            await self._listener.start(self._spawn)
            self.listening.set()
            self._own.sign()
            tasks.spawn(self._inbox.run(), name="overlay_inbox")
            tasks.spawn(self._tick(), name="overlay_tick")
            tasks.spawn(self._dials.run(), name="overlay_dials")
            tasks.spawn(self._sweep(), name="overlay_sweep")
            tasks.spawn(self.discovery.run(), name="overlay_discovery")
            if self._store is not None:
                tasks.spawn(self._store.keep(), name="overlay_nodes")
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
            self._own.sign()
            self.trusted_tips.look(now_s=self.now_s())
            for node in self.links:
                self._note_latency(node)
                self.talking.send_status(node)  # who is behind is known by what it said of late
            for node, gossip in self.machine.begin_round(self.profile):
                if not self.talking.send_gossip(node, gossip):
                    self._dials.gossip_soon(node, gossip)
            # Not in step with others, that began at the same moment.
            await asyncio.sleep(self.settings.round_s * (0.9 + 0.2 * self._random.random()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.talking.do(self.machine.spreading.tick(now_s=self.now_s()))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.machine.nodes.sweep(now_s=self.now_s())

    # -- links --------------------------------------------------------------------------------------

    def _met(self, met: Met) -> None:
        """It showed who it is. Raises a PeerFault: we do not talk with it, or not so."""
        nodes, node = self.machine.nodes, met.node
        known = nodes.profile(node)
        offered = self.settings.is_extended and known is not None and known.is_extended
        if offered and not met.is_extended:
            # The reference's handshake can be had from it by whoever stands between.
            raise NodeDiffers("shake hands", node=node.hex(), reason="it offers a better service")
        nodes.met(node, now_s=self.now_s())
        if node in nodes.bans:
            raise NodeShutOut("meet node", reason="banned")
        if node in nodes.quarantined:
            raise NodeShutOut("meet node", reason=nodes.quarantined[node].reason)
        self.discovery.met(met)

    def _note_latency(self, node: NodeId) -> None:
        latency_s = self.links.latency_s(node)
        if latency_s is not None:  # it answers, too
            self.machine.nodes.met(node, now_s=self.now_s(), latency_s=latency_s)

    def _on_up(self, node: NodeId) -> None:
        self._log.debug("overlay_link_up", peer=node.hex())
        self.machine.nodes.welcome(node, now_s=self.now_s())
        gossip = self._dials.take_gossip(node)
        self.talking.send_gossip(node, gossip or self.machine.topology.begin(self.profile, node))
        self.talking.send_status(node)

    def _on_down(self, node: NodeId) -> None:
        self._log.debug("overlay_link_down", peer=node.hex())
        self.machine.nodes.left(node)
        self.discovery.left(node)
        self._dials.link_down(node)
        self._inbox.forget(node)
        self.talking.forget(node)

    def _deliver(self, node: NodeId, kind: int, payload: bytes) -> None:
        self._inbox.deliver(node, kind, payload)

    # -- parts ----------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return self._tasks.spawn(work, name=name)

    def _reference_calls(self, callers: Callers, spawn: Spawn) -> OtherCalls:
        """The reference's services, beside our own."""
        known = self.machine.nodes.known.profiles
        services = ReferenceServices(
            self._wires,
            self.watchers,
            met=self._met,
            at_fault=lambda node, fault: self.talking.blame(node, Fault.PROTOCOL, fault),
            own=lambda: self.profile,
            others=lambda: [known[node] for node in self.machine.topology.view()],
        )
        return services.calls(callers, spawn)

    def _named_layers(self, known: Known) -> Sequence[Layer]:
        self._privileged = Privileged(self.settings.privileged, known)
        return (self._privileged, self._trusted)
