"""The overlay as one node knows it, as something that can be drawn: see ``overlay_page``.

Bounded: of more nodes than are drawn those come first that are linked, then those of a layer, then the
best; how many were left out is said.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from tetrarch.api.overlay_views import (
    TOPICS,
    address_text,
    disposition_text,
    layers_by_node,
    points_of,
    rfc3339,
)
from tetrarch.network.overlay.overlay import Overlay
from tetrarch.network.overlay.profile import RING_SIZE, NodeId, Profile, Topic, ring_position

AVAILABLE_MAX = 1_000
QUARANTINED_MAX = 200
BANNED_MAX = 100
SLICE = 100  # nodes between two turns of the loop: some 3 ms
_POSITION_DIGITS = 9


async def overlay_graph(overlay: Overlay) -> dict[str, Any]:
    """Our node, the rings of its topics, and everybody it knows, put aside or banned.

    Cost: 30 ms at 1,000 nodes, in slices that hold nobody up.
    """
    available = await _available(overlay)
    nodes = overlay.machine.nodes
    # Newest first.
    quarantined = sorted(nodes.quarantined.items(), key=lambda each: -each[1].since_s)
    banned = sorted(nodes.bans.items(), key=lambda each: -each[1].since_s)
    drawn = [
        *available[:AVAILABLE_MAX],
        *(
            _drawn(overlay, node, quarantine.profile, (), reason=quarantine.reason)
            for node, quarantine in quarantined[:QUARANTINED_MAX]
        ),
        *(
            _banned(node, reason=ban.reason, since_s=ban.since_s)
            for node, ban in banned[:BANNED_MAX]
        ),
    ]
    return {
        "at": rfc3339(overlay.now_s()),
        "own": _own(overlay),
        "topics": [
            _topic(overlay, name, topic)
            for name, topic in TOPICS.items()
            if topic in dict(overlay.machine.rules.interests)
        ],
        "counts": {
            "known": len(available),
            "linked": len(overlay.links),
            "quarantined": len(quarantined),
            "banned": len(banned),
        },
        "nodes": drawn,
        "left_out": {
            "available": _left_out(available, AVAILABLE_MAX),
            "quarantined": _left_out(quarantined, QUARANTINED_MAX),
            "banned": _left_out(banned, BANNED_MAX),
        },
    }


def _own(overlay: Overlay) -> dict[str, Any]:
    node, tip = overlay.identity.node, overlay.tip()
    return {
        "node": node.hex(),
        "address": str(overlay.profile.address),
        "addresses": [str(address) for address in overlay.addresses],
        "tip": {"block": tip.block.hex(), "height": tip.height},
        "positions": _positions(node, overlay.profile.topics),
    }


def _topic(overlay: Overlay, name: str, topic: Topic) -> dict[str, Any]:
    """One ring, as our node stands on it: its neighbours on both sides, nearest first."""
    near = overlay.machine.rings.neighbours(topic)
    return {
        "name": name,
        "position": _position(topic, overlay.identity.node),
        "nodes": len(overlay.machine.nodes.known.ring(topic)),
        "before": [node.hex() for node in near.before],
        "after": [node.hex() for node in near.after],
    }


async def _available(overlay: Overlay) -> list[dict[str, Any]]:
    layers = layers_by_node(overlay)
    told: list[dict[str, Any]] = []
    nodes = overlay.machine.nodes
    known = [*nodes.known.profiles.items(), *nodes.guests.items()]
    for begin in range(0, len(known), SLICE):
        told += (
            _drawn(overlay, node, profile, layers.get(node, ()))
            for node, profile in known[begin : begin + SLICE]
            if nodes.profile(node) is not None  # still
        )
        await asyncio.sleep(0)
    return sorted(
        told,
        key=lambda each: (not each["linked"], not each["layers"], -each["score"], each["node"]),
    )


def _drawn(
    overlay: Overlay, node: NodeId, profile: Profile, layers: Sequence[str], *, reason: str = ""
) -> dict[str, Any]:
    nodes = overlay.machine.nodes
    conduct = nodes.conduct(node)
    tip = None if conduct is None else conduct.tip
    return {
        "node": node.hex(),
        "address": address_text(profile),
        "positions": _positions(node, profile.topics),
        "disposition": disposition_text(overlay, node),
        "layers": layers,
        "linked": node in overlay.links,
        "latency_s": overlay.links.latency_s(node),
        "height": None if tip is None else tip.height,
        "score": round(points_of(overlay, node), 2),
        "reason": reason,
    }


def _banned(node: NodeId, *, reason: str, since_s: float) -> dict[str, Any]:
    """Nothing is kept of it but the ban; where it would stand follows from its id."""
    return {
        "node": node.hex(),
        "address": "",
        "positions": _positions(node, TOPICS.values()),
        "disposition": "banned",
        "layers": (),
        "linked": False,
        "latency_s": None,
        "height": None,
        "score": None,
        "reason": reason,
        "since": rfc3339(since_s),
    }


def _positions(node: NodeId, topics: Iterable[Topic]) -> dict[str, float]:
    """By topic's name, for those that have one."""
    wanted = set(topics)
    return {name: _position(topic, node) for name, topic in TOPICS.items() if topic in wanted}


def _position(topic: Topic, node: NodeId) -> float:
    """In parts of the whole ring: 64 bits are more than a JSON number holds everywhere."""
    return round(ring_position(topic, node) / RING_SIZE, _POSITION_DIGITS) % 1.0


def _left_out(all_: Sequence[object], drawn_max: int) -> int:
    return max(0, len(all_) - drawn_max)
