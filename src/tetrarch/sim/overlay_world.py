"""The overlay of hundreds to thousands of nodes on virtual time: the code of a node, without its wires.

Every node runs ``OverlayMachine``; profiles are unsigned (one in ten seeds may sign them, see the tests),
messages take a random time, and whoever is gone is noticed only after a while. Each node gossips once a
round, at its own moment of it. Links are made with the view and have two sides, that greet each other.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from ipaddress import IPv4Address
from itertools import count
from random import Random

from tetrarch.network.conduct import Fault
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.doors import DoorLimits
from tetrarch.network.overlay.known import KnownLimits
from tetrarch.network.overlay.layers.cyclon import SWAP_MAX
from tetrarch.network.overlay.machine import OverlayMachine, OverlayRules
from tetrarch.network.overlay.profile import (
    BLOCKS,
    FRAGMENTS,
    Interest,
    NodeId,
    Profile,
    Topic,
    ring_position,
)
from tetrarch.network.overlay.spreading import Announce, Ask, Effect, ItemId, Send, Withheld
from tetrarch.network.overlay.topology import PROFILES_MAX, Gossip

TOPICS = (FRAGMENTS, BLOCKS)
INTERESTS = tuple((topic, int(Interest.NORMAL)) for topic in TOPICS)
PEERS_MAX = 32  # that a trusted peer tells who joins
TICK_S = 0.25
LINK_TIMEOUT_S = 2.0
LINK_ATTEMPTS = 3  # in one round, with those that stand in for the ones before
LINGER_S = 60.0  # that a link outlives its place in the view of who dialled
DIAL_TRIPS = 8  # one way each: the certificate is looked at, then TLS, then both show who they are
LIES = 3  # honest nodes that a liar talks to in each round
PROFILE_SIZE_BYTES = 176
FRAME_SIZE_BYTES = 32  # about: headers of HTTP/2, gRPC and TLS
ID_SIZE_BYTES = 32
_FIRST_GROUP = 20 << 24  # 20.0.0.0: addresses that anybody could have


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayKnobs:
    """A world. ``liars`` per honest node; each network of theirs holds ``liars_of_group``."""

    nodes: int
    known_max: int = 256
    round_s: float = 10.0
    delay_min_s: float = 0.01
    delay_max_s: float = 0.1
    noticed_after_s: float = 10.0  # until a connection to a node that vanished is given up
    liars_share: float = 0.0
    liars_of_group: int = 64
    of_group_max: int = 8


@dataclass(slots=True)
class Spread:
    """What became of one item, by node: how many hops it took, how often it came."""

    published_s: float
    hops: dict[NodeId, int] = field(default_factory=dict)
    copies: Counter[NodeId] = field(default_factory=Counter)
    last_s: float = 0.0


class SimNode:
    """One honest node."""

    def __init__(self, world: "OverlayWorld", node: NodeId, address: Address) -> None:
        self.node = node
        self.address = address
        self.since_s = world.now_s
        self.alive = True
        self.ticking = False
        self.bytes_sent = 0
        self.links: dict[NodeId, bool] = {}  # in order; whether it dialled
        self.dials: set[NodeId] = set()  # under way
        self.unwanted_s: dict[NodeId, float] = {}
        self.own = world.profile_of(self)
        self.random = Random(f"{world.seed}/{node.hex()}")
        knobs = world.knobs
        self.machine = OverlayMachine(
            node,
            OverlayRules(
                interests=INTERESTS,
                limits=KnownLimits(nodes_max=knobs.known_max, of_group_max=knobs.of_group_max),
            ),
            self.random,
            usable=lambda other: other in self.links or other in world.liars,
            linked=lambda: self.links,
        )

    @property
    def is_full(self) -> bool:
        """Whether it takes no more callers."""
        callers_max = DoorLimits().callers_max
        if len(self.links) < callers_max:
            return False
        return sum(not dialled for dialled in self.links.values()) >= callers_max


class OverlayWorld:
    """All nodes, the messages under way, and what is measured of them."""

    def __init__(self, seed: int, knobs: OverlayKnobs) -> None:
        self.seed = seed
        self.knobs = knobs
        self.now_s = 200_000_000.0  # some years after 2020
        self.nodes: dict[NodeId, SimNode] = {}
        self.liars: dict[NodeId, Address] = {}
        self._gone_s: dict[NodeId, float] = {}
        self.spreads: dict[ItemId, Spread] = {}
        self._sizes_bytes: dict[ItemId, int] = {}
        self._random = Random(f"{seed}/world")
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._made = 0
        self.trusted = self._make_node()
        self._gossip(self.trusted)
        for _ in range(knobs.nodes - 1):
            self._at(self.now_s + self._random.uniform(0, knobs.round_s), self.join)
        self._make_liars(int(knobs.nodes * knobs.liars_share))

    # -- what happens ---------------------------------------------------------------------------

    def run_rounds(self, rounds: float) -> None:
        """Let time pass."""
        self._run_until(self.now_s + rounds * self.knobs.round_s)

    def join(self) -> None:
        """One more node, that asks the trusted one for others."""
        node = self._make_node()
        told = [self.trusted.node, *self.trusted.machine.nodes.known.sample(PEERS_MAX)]
        profiles = [self._known_profile(self.trusted, each) for each in told]
        node.machine.take_profiles(profiles, self.trusted.node, now_s=self.now_s, wanted=True)
        self._gossip(node)

    def vanish(self, share: float) -> None:
        """That share of all nodes is gone, without a word; the trusted one stays."""
        others = [node for node in self.nodes.values() if node is not self.trusted]
        for node in self._random.sample(others, int(share * len(self.nodes))):
            del self.nodes[node.node]
            self._gone_s[node.node] = self.now_s
            node.alive = False
        for node in self.nodes.values():
            self._at(self.now_s + self.knobs.noticed_after_s, partial(self._link, node))

    def churn(self, share: float) -> None:
        """That share of all nodes is replaced by others."""
        gone = max(1, int(share * len(self.nodes)))
        self.vanish(share)
        for _ in range(gone):
            self.join()

    def publish(self, topic: Topic, size_bytes: int) -> ItemId:
        """Some node gives a new item to the others."""
        publisher = self._random.choice(list(self.nodes.values()))
        item = ItemId(blake2b(f"{self.seed}/{len(self.spreads)}".encode(), digest_size=32).digest())
        spread = self.spreads[item] = Spread(self.now_s)
        spread.hops[publisher.node] = 0
        effects = publisher.machine.spreading.publish(topic, item, size_bytes, now_s=self.now_s)
        self._sizes_bytes[item] = size_bytes
        self._do(publisher, effects)
        return item

    # -- what is measured -----------------------------------------------------------------------

    def rings_right(self) -> float:
        """The share of nodes that have their true neighbours, on both sides of all rings."""
        right = dict.fromkeys(self.nodes, 1)
        for topic in TOPICS:
            ring = sorted((ring_position(topic, node), node) for node in self.nodes)
            for place, (_, node) in enumerate(ring):
                before, after = ring[place - 1][1], ring[(place + 1) % len(ring)][1]
                near = self.nodes[node].machine.rings.neighbours(topic)
                if near.before[:1] != (before,) or near.after[:1] != (after,):
                    right[node] = 0
        return sum(right.values()) / len(right)

    def hit_ratio(self, item: ItemId) -> float:
        """The share of those that have it, of all that are there and were for a round before it."""
        spread = self.spreads[item]
        since_s = spread.published_s - self.knobs.round_s
        there = [node for node in self.nodes.values() if node.since_s <= since_s]
        return sum(node.machine.spreading.has(item) for node in there) / len(there)

    def copies(self, item: ItemId) -> float:
        """How often the item came to a node, on average, of those that it came to."""
        spread = self.spreads[item]
        return spread.copies.total() / max(1, len(spread.hops) - 1)

    def bytes_per_node_s(self) -> float:
        """What a node sent a second, on average since it was there."""
        rates = [
            node.bytes_sent / max(1.0, self.now_s - node.since_s) for node in self.nodes.values()
        ]
        return sum(rates) / len(rates)

    def liars_allowed(self) -> int:
        """How many liars their networks have places for."""
        whole, rest = divmod(len(self.liars), self.knobs.liars_of_group)
        of_group_max = self.knobs.of_group_max
        return whole * min(self.knobs.liars_of_group, of_group_max) + min(rest, of_group_max)

    def liars_in_views(self) -> float:
        """Liars' share of all places in honest views."""
        places = [each for node in self.nodes.values() for each in node.machine.topology.view()]
        return sum(each in self.liars for each in places) / len(places)

    # -- time -----------------------------------------------------------------------------------

    def _at(self, when_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when_s, next(self._order), what))

    def _run_until(self, end_s: float) -> None:
        while self._queue and self._queue[0][0] <= end_s:
            self.now_s, _, what = heapq.heappop(self._queue)
            what()
        self.now_s = end_s

    def _delay_s(self) -> float:
        return self._random.uniform(self.knobs.delay_min_s, self.knobs.delay_max_s)

    # -- nodes ----------------------------------------------------------------------------------

    def _make_node(self) -> SimNode:
        node_id = NodeId(blake2b(f"{self.seed}/{self._made}".encode(), digest_size=32).digest())
        node = SimNode(self, node_id, _address(self._made, 0))
        self._made += 1
        self.nodes[node_id] = node
        return node

    def _make_liars(self, liars: int) -> None:
        for place in range(liars):
            text = f"{self.seed}/liar/{place}".encode()
            node = NodeId(blake2b(text, digest_size=32).digest())
            group = self.knobs.nodes * 100 + place // self.knobs.liars_of_group
            self.liars[node] = _address(group, place % self.knobs.liars_of_group)
            self._at(
                self.now_s + self._random.uniform(0, self.knobs.round_s),
                partial(self._lie, node),
            )

    def profile_of(self, node: SimNode) -> Profile:
        """What it says of itself now; it does so once a round."""
        return Profile(node.node, int(self.now_s), node.address, INTERESTS, b"")

    def _known_profile(self, node: SimNode, about: NodeId) -> Profile:
        return node.own if about == node.node else node.machine.nodes.known.profiles[about]

    # -- links ----------------------------------------------------------------------------------

    def _link(self, node: SimNode, attempt: int = 0) -> None:
        """Dial whom the view has and no link; let go whom it has not had for a while."""
        if not node.alive:
            return
        view = node.machine.topology.view()
        self._let_go(node, set(view))
        gone = [other for other in view if other in self._gone_s and other not in node.links]
        for other in view:
            if other in self.nodes and other not in node.links and other not in node.dials:
                node.dials.add(other)
                self._at(self.now_s + self._dial_s(), partial(self._link_up, node, other))
        for other in gone:
            self._give_up(node, other)
        if gone and attempt < LINK_ATTEMPTS:
            self._at(self.now_s + LINK_TIMEOUT_S, lambda: self._link(node, attempt + 1))

    def _let_go(self, node: SimNode, view: set[NodeId]) -> None:
        for other, dialled in list(node.links.items()):
            if other in self._gone_s:
                if self.now_s >= self._gone_s[other] + self.knobs.noticed_after_s:
                    self._link_down(node, other)
            elif other in view:
                node.unwanted_s.pop(other, None)
            elif dialled:
                unwanted_s = node.unwanted_s.setdefault(other, self.now_s)
                if self.now_s - unwanted_s >= LINGER_S:
                    self._link_down(node, other)
                    self._link_down(self.nodes[other], node.node)

    def _link_up(self, node: SimNode, other: NodeId) -> None:
        node.dials.discard(other)
        peer = self.nodes.get(other)
        if not node.alive or peer is None or other in node.links or peer.is_full:
            return
        for each, its_peer in ((node, peer), (peer, node)):
            each.links[its_peer.node] = each is node
            each.machine.nodes.welcome(its_peer.node, now_s=self.now_s)
            greeting = each.machine.topology.begin(each.own, its_peer.node)
            self._send_gossip(each, its_peer.node, greeting)

    def _link_down(self, node: SimNode, other: NodeId) -> None:
        del node.links[other]
        node.unwanted_s.pop(other, None)
        node.machine.nodes.left(other)
        node.machine.spreading.left(other)

    def _dial_s(self) -> float:
        return sum(self._delay_s() for _ in range(DIAL_TRIPS))

    def _give_up(self, node: SimNode, other: NodeId) -> None:
        for _ in range(2):  # the connection, and the attempt to make it anew
            node.machine.nodes.report_failure(other, now_s=self.now_s)

    # -- gossip ---------------------------------------------------------------------------------

    def _gossip(self, node: SimNode) -> None:
        if not node.alive:
            return
        self._at(self.now_s + self.knobs.round_s, lambda: self._gossip(node))
        self._at(self.now_s + LINK_TIMEOUT_S, lambda: self._link(node))
        node.own = self.profile_of(node)
        self._link(node)
        for partner, gossip in node.machine.begin_round(node.own):
            self._send_gossip(node, partner, gossip)

    def _send_gossip(self, node: SimNode, partner: NodeId, gossip: Gossip) -> None:
        node.bytes_sent += FRAME_SIZE_BYTES + PROFILE_SIZE_BYTES * sum(1 for _ in gossip)
        if partner in self.liars:
            lie = self._lies_of(partner)
            self._at(self.now_s + self._delay_s(), lambda: self._hear(node, lie))
        elif partner in self.nodes:
            other = self.nodes[partner]
            self._at(self.now_s + self._delay_s(), lambda: self._hear(other, gossip))
        else:
            after_s = self.knobs.noticed_after_s
            self._at(self.now_s + after_s, lambda: self._give_up(node, partner))

    def _hear(self, node: SimNode, gossip: Gossip) -> None:
        if not node.alive:
            return
        answer = node.machine.hear_gossip(node.own, gossip, now_s=self.now_s)
        if answer is not None:
            self._send_gossip(node, gossip.own.node, answer)

    def _lie(self, liar: NodeId) -> None:
        """A liar tells some honest nodes of its kind, all of them fresh."""
        self._at(self.now_s + self.knobs.round_s, lambda: self._lie(liar))
        for node in self._random.sample(list(self.nodes.values()), min(LIES, len(self.nodes))):
            lie = self._lies_of(liar)
            self._at(self.now_s + self._delay_s(), partial(self._hear, node, lie))

    def _lies_of(self, liar: NodeId) -> Gossip:
        others = self._random.sample(list(self.liars), min(PROFILES_MAX - 1, len(self.liars)))
        told = tuple(self._liar_profile(each) for each in others)
        return Gossip(self._liar_profile(liar), told[:SWAP_MAX], told[SWAP_MAX:])

    def _liar_profile(self, liar: NodeId) -> Profile:
        return Profile(liar, int(self.now_s), self.liars[liar], INTERESTS, b"")

    # -- items ----------------------------------------------------------------------------------

    def _do(self, node: SimNode, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(peer, topic, item):
                    self._send_item(node, peer, topic, item)
                case Announce(peer, topic, items):
                    node.bytes_sent += FRAME_SIZE_BYTES + ID_SIZE_BYTES * len(items)
                    self._to(peer, partial(self._announced, source=node, effect=effect))
                case Ask(peer, topic, item):
                    node.bytes_sent += FRAME_SIZE_BYTES + ID_SIZE_BYTES
                    self._to(peer, partial(self._asked, source=node, effect=effect))
                case Withheld(peer):
                    node.machine.nodes.report_fault(peer, Fault.WITHHELD, now_s=self.now_s)
        if not node.ticking and node.machine.spreading.busy:
            node.ticking = True
            self._at(self.now_s + TICK_S, lambda: self._tick(node))

    def _to(self, peer: NodeId, what: Callable[[SimNode], None]) -> None:
        """Something arrives at ``peer``, if it is still there then; liars do nothing with it."""

        def arrive() -> None:
            node = self.nodes.get(peer)
            if node is not None:
                what(node)

        self._at(self.now_s + self._delay_s(), arrive)

    def _tick(self, node: SimNode) -> None:
        node.ticking = False
        if node.alive:
            self._do(node, node.machine.spreading.tick(now_s=self.now_s))

    def _send_item(self, node: SimNode, peer: NodeId, topic: Topic, item: ItemId) -> None:
        node.bytes_sent += FRAME_SIZE_BYTES + self._sizes_bytes[item]
        hops = self.spreads[item].hops[node.node] + 1
        self._to(peer, lambda to: self._received(to, node.node, topic, item, hops))

    def _received(
        self, node: SimNode, source: NodeId, topic: Topic, item: ItemId, hops: int
    ) -> None:
        spread = self.spreads[item]
        spread.copies[node.node] += 1
        if node.node not in spread.hops:
            spread.hops[node.node] = hops
            spread.last_s = self.now_s
        spreading = node.machine.spreading
        size_bytes = self._sizes_bytes[item]
        self._do(node, spreading.received(source, topic, item, size_bytes, now_s=self.now_s))

    def _announced(self, node: SimNode, source: SimNode, effect: Announce) -> None:
        effects = node.machine.spreading.announced(
            source.node, effect.topic, effect.items, now_s=self.now_s
        )
        self._do(node, effects)

    def _asked(self, node: SimNode, source: SimNode, effect: Ask) -> None:
        if node.machine.spreading.has(effect.item):
            self._send_item(node, source.node, effect.topic, effect.item)


def _address(group: int, host: int) -> Address:
    return Address(IPv4Address(_FIRST_GROUP + group * 256 + host + 1), 3000)
