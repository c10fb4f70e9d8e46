"""Whom a node of the overlay dials, when again, and which links it lets go.

in the view, not linked       dialled within a second, again after ever longer waits
named by the operator         dialled until its profile is known; then the layers do
dialled, out of the view      let go after a minute
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.errors import PeerFault, TetrarchError
from tetrarch.network.conduct import Fault
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.links import Links
from tetrarch.network.overlay.machine import OverlayMachine
from tetrarch.network.overlay.meeting import NodeShutOut
from tetrarch.network.overlay.profile import NodeId, Profile
from tetrarch.network.overlay.reaching import Reaching, Talk, Target
from tetrarch.network.overlay.settings import OverlaySettings, TrustedPeer
from tetrarch.network.overlay.topology import Gossip
from tetrarch.observability.logs import Log
from tetrarch.supervision import Supervisor

LINKING_S = 1.0
LINGER_S = 60.0  # a link that we dialled outlives its place in the view by so much
REDIAL_MIN_S, REDIAL_MAX_S = 1.0, 60.0
STABLE_S = 5.0  # a link that lived so long starts the waits anew
DIALS_MAX = 32  # at once
CONNECT_MAX_S = 15.0  # a dial and a meeting take ten at most
SETTLED_S = 1.0  # who does not want to talk ends a link before that
KEPT_S = 600.0  # whose profile is not known by then is told nobody's
CONNECTS_MAX = 32  # kept at once
FULL = "resource_exhausted"  # what a node without room says, as gRPC calls it


@dataclass(frozen=True, slots=True)
class Connected:
    """What came of a dial that the operator asked for: who answered, and why there is no link."""

    node: NodeId | None
    why_not: str = ""


class Dials:
    """See the module. ``run`` it beside the listener."""

    def __init__(
        self,
        settings: OverlaySettings,
        reaching: Reaching,
        machine: OverlayMachine,
        links: Links,
        *,
        blame: Callable[[NodeId, Fault, PeerFault | None], None],
        now_s: Callable[[], float],
        log: Log,
    ) -> None:
        """``now_s`` gives wall-clock seconds since 2020."""
        self._settings = settings
        self._reaching = reaching
        self._machine = machine
        self._links = links
        self._blame = blame
        self._now_s = now_s
        self._log = log
        self._gossip: dict[NodeId, Gossip] = {}  # for who is being dialled
        self._dials: set[NodeId] = set()
        self._redials: dict[NodeId, tuple[float, float]] = {}  # not before; the wait after that
        self._unwanted_s: dict[NodeId, float] = {}
        self._connects = 0
        self._begun = asyncio.Event()
        self._tasks: Supervisor | None = None  # once it began

    async def run(self) -> None:
        """Until cancelled."""
        async with Supervisor(self._log) as tasks:
            self._tasks = tasks
            self._begun.set()
            for peer in self._settings.trusted:
                tasks.spawn(self._join(peer), name="overlay_join")
            while True:
                view = self._machine.topology.view()
                for node in view:
                    if node not in self._links:
                        self._dial_soon(node)
                self._let_go(set(view))
                await asyncio.sleep(LINKING_S)

    async def connect(self, peer: TrustedPeer) -> Connected:
        """Dial ``peer`` now; whoever answers is kept linked until its profile is known.

        Tells within 15 s whether there is a link. Who was not reached is not dialled again.
        """
        if self._connects >= CONNECTS_MAX:
            return Connected(None, f"{CONNECTS_MAX} are kept already")
        told: asyncio.Future[Connected] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(CONNECT_MAX_S):
                await self._begun.wait()
                if self._tasks is not None:
                    self._connects += 1
                    self._tasks.spawn(self._keep(peer, told), name="overlay_connect")
                return await told
        except TimeoutError:
            return Connected(None, f"no answer within {CONNECT_MAX_S:.0f} s")

    def gossip_soon(self, node: NodeId, gossip: Gossip) -> None:
        """Dial ``node`` to tell it ``gossip``."""
        self._gossip[node] = gossip
        self._dial_soon(node)

    def take_gossip(self, node: NodeId) -> Gossip | None:
        """What a node that was dialled for it, and is linked now, is to be told."""
        return self._gossip.pop(node, None)

    def link_down(self, node: NodeId) -> None:
        """A link ended."""
        self._unwanted_s.pop(node, None)

    def _dial_soon(self, node: NodeId) -> None:
        not_before_s, _ = self._redials.get(node, (0.0, 0.0))
        now_s = asyncio.get_running_loop().time()
        if node in self._dials or len(self._dials) >= DIALS_MAX or now_s < not_before_s:
            return
        profile = self._machine.nodes.known.profiles.get(node)
        if profile is None or len(self._links.dialled()) >= self._settings.dialled_max:
            return
        if self._tasks is None:
            return  # it begins with the view
        self._dials.add(node)
        self._tasks.spawn(self._dial_known(profile), name="overlay_dial")

    async def _dial_known(self, profile: Profile) -> None:
        node, loop = profile.node, asyncio.get_running_loop()
        begun_s = loop.time()
        try:
            talk = await self._reaching.talk(Target.of_profile(profile))
        finally:
            self._dials.discard(node)
            self._gossip.pop(node, None)
        self._blame_for(talk, node)
        now_s = loop.time()
        if talk.node is not None and now_s - begun_s >= STABLE_S:
            self._redials.pop(node, None)
            return
        _, wait_s = self._redials.get(node, (0.0, REDIAL_MIN_S / 2))
        wait_s = min(2 * wait_s, REDIAL_MAX_S)
        self._redials[node] = (now_s + wait_s, wait_s)
        if talk.node is None and not _is_full(talk.error) and node not in self._links:
            self._machine.nodes.report_failure(node, now_s=self._now_s())

    async def _join(self, peer: TrustedPeer) -> None:
        """Keep a link to a trusted peer until its profile is known; then the layers do."""
        wait_s = REDIAL_MIN_S
        while True:
            known = self._machine.nodes.known.profiles.values()
            if not any(map(peer.name.matches, known)):
                self._blame_for(await self._reaching.talk(Target.of_peer(peer)), peer.node)
                wait_s = min(2 * wait_s, REDIAL_MAX_S)
            await asyncio.sleep(wait_s)

    async def _keep(self, peer: TrustedPeer, told: asyncio.Future[Connected]) -> None:
        """As ``_join``, for whoever answers ``peer``'s first dial, and for ten minutes at most."""
        loop, wait_s = asyncio.get_running_loop(), REDIAL_MIN_S
        until_s = loop.time() + KEPT_S

        def tell(outcome: Connected) -> None:
            if not told.done():
                told.set_result(outcome)

        def met(node: NodeId) -> None:
            loop.call_later(SETTLED_S, tell, Connected(node))

        try:
            while loop.time() < until_s:
                talk = await self._reaching.talk(Target.of_peer(peer), on_met=met)
                self._blame_for(talk, talk.node)  # who named it may have mistaken its id
                tell(Connected(talk.node, "" if talk.error is None else str(talk.error)))
                if told.cancelled() or told.result().why_not:
                    return
                if talk.node in self._machine.nodes.known or isinstance(talk.error, NodeShutOut):
                    return
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, REDIAL_MAX_S)
        finally:
            self._connects -= 1

    def _blame_for(self, talk: Talk, node: NodeId | None) -> None:
        """``node`` broke the protocol in ``talk``, or is not where it said that it is."""
        error = talk.error
        if node is None or isinstance(error, NodeShutOut):
            return
        if isinstance(error, PeerFault):
            self._blame(node, Fault.PROTOCOL, error)

    def _let_go(self, view: set[NodeId]) -> None:
        now_s = asyncio.get_running_loop().time()
        for node in self._links.dialled():
            if node in view:
                self._unwanted_s.pop(node, None)
            elif now_s - self._unwanted_s.setdefault(node, now_s) >= LINGER_S:
                self._links.close(node, "not_in_view")


def _is_full(error: TetrarchError | None) -> bool:
    """It is there, and has no room now."""
    return isinstance(error, StreamBroken) and error.fields.get("reason") == FULL
