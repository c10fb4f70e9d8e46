"""What a node of the overlay tells of the network: whom it knows, links with and put aside, and why.

The paths and shapes below ``api/v0`` are the reference's, so that what reads them goes on; ours are below
``overlay``. Asking changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from tetrarch.api.conduct_views import conduct_view, unix_rfc3339
from tetrarch.errors import InputInvalid
from tetrarch.network.conduct import explain, score
from tetrarch.network.overlay.overlay import Overlay
from tetrarch.network.overlay.profile import (
    BLOCKS,
    EPOCH_UNIX_S,
    FRAGMENTS,
    NODE_ID_SIZE_BYTES,
    NodeId,
    Profile,
    Topic,
)
from tetrarch.network.overlay.tuning import rules_of
from tetrarch.observability.monitoring import View

TOPICS = {"blocks": BLOCKS, "fragments": FRAGMENTS}
NODE_DIGITS = 2 * NODE_ID_SIZE_BYTES  # hexadecimal
NODE_DIGITS_MIN = 4


def overlay_views(overlay: Overlay) -> dict[str, View]:
    """By the paths at which the monitoring listener serves them."""
    nodes = overlay.machine.nodes
    views: dict[str, View] = {
        "api/v0/network/stats": lambda _: [_link(overlay, node) for node in overlay.links],
        "api/v0/network/p2p/available": lambda _: [
            _reference(profile, None) for profile in nodes.known.profiles.values()
        ],
        "api/v0/network/p2p/non_public": lambda _: [
            _reference(profile, None) for profile in nodes.guests.values()
        ],
        "api/v0/network/p2p/quarantined": lambda _: [
            _reference(each.profile, each.since_s) for each in nodes.quarantined.values()
        ],
        "api/v0/network/p2p/view": lambda _: _addresses(overlay, overlay.machine.topology.view()),
        "overlay/layers": lambda _: {
            layer.name: [node.hex() for node in layer.view()]
            for layer in overlay.machine.topology.layers
        },
        "overlay/nodes": lambda _: _listed(overlay),
        "overlay/node": lambda query: _explained(overlay, query),
        "overlay/policy": lambda _: rules_of(overlay.machine.rules.policy),
    }
    for name, topic in TOPICS.items():
        views[f"api/v0/network/p2p/view/{name}"] = partial(_linked_with, overlay, topic)
    return views


def _linked_with(overlay: Overlay, topic: Topic, _query: Mapping[str, str]) -> list[str]:
    """Whom items of ``topic`` go to now."""
    return _addresses(overlay, overlay.machine.links(topic))


def _listed(overlay: Overlay) -> dict[str, Any]:
    """All nodes that are not forgotten and the guests, best first, and the bans."""
    nodes = overlay.machine.nodes
    layers = layers_by_node(overlay)
    told = [_summary(overlay, node, layers.get(node, ())) for node in nodes.everybody()]
    return {
        "own": overlay.identity.node.hex(),
        "addresses": [str(address) for address in overlay.addresses],
        "nodes": sorted(told, key=lambda each: (-each["score"], each["node"])),
        "banned": [
            {"node": node.hex(), "reason": ban.reason, "since": rfc3339(ban.since_s)}
            for node, ban in nodes.bans.items()
        ],
    }


def _summary(overlay: Overlay, node: NodeId, layers: Sequence[str]) -> dict[str, Any]:
    nodes = overlay.machine.nodes
    quarantine = nodes.quarantined.get(node)
    profile = nodes.profile(node) if quarantine is None else quarantine.profile
    return {
        "node": node.hex(),
        "address": address_text(profile),
        "disposition": disposition_text(overlay, node),
        "linked": node in overlay.links,
        "layers": layers,
        "score": round(points_of(overlay, node), 2),
    }


def disposition_text(overlay: Overlay, node: NodeId) -> str:
    """Its disposition, or ``guest``: available as well, and told to nobody."""
    nodes = overlay.machine.nodes
    return "guest" if node in nodes.guests else nodes.disposition(node).value


def address_text(profile: Profile | None) -> str:
    """Where it says that it is; empty if it says nothing."""
    return str(profile.address) if profile is not None and profile.address.port else ""


def layers_by_node(overlay: Overlay) -> dict[NodeId, tuple[str, ...]]:
    """The names of the layers that pick each node of the view."""
    found: dict[NodeId, tuple[str, ...]] = {}
    for layer in overlay.machine.topology.layers:
        for node in layer.view():
            found[node] = (*found.get(node, ()), layer.name)
    return found


def points_of(overlay: Overlay, node: NodeId) -> float:
    """What a node's conduct comes to now."""
    nodes = overlay.machine.nodes
    conduct = nodes.conduct(node)
    if conduct is None:
        return 0.0
    rules = overlay.machine.rules.policy.score
    return score(conduct, rules, now_s=overlay.now_s(), own_height=nodes.own_height)


def _explained(overlay: Overlay, query: Mapping[str, str]) -> dict[str, Any]:
    """One node with all that was seen of it, and every line of its score."""
    nodes = overlay.machine.nodes
    node = find_node(nodes.everybody(), query.get("id", ""))
    conduct, quarantine = nodes.conduct(node), nodes.quarantined.get(node)
    told = _summary(overlay, node, layers_by_node(overlay).get(node, ()))
    if conduct is None:
        return told
    rules, now_s = overlay.machine.rules.policy.score, overlay.now_s()
    points = explain(conduct, rules, now_s=now_s, own_height=nodes.own_height)
    told |= conduct_view(conduct, points, rfc3339=rfc3339, topics=TOPICS)
    tip = conduct.tip
    return told | {
        "latency_s": conduct.latency_s or overlay.links.latency_s(node),
        "tip": None if tip is None else {"block": tip.block.hex(), "height": tip.height},
        "quarantine_at_points": overlay.machine.rules.policy.quarantine_at_points,
        "times_quarantined": nodes.times_quarantined(node),
        "quarantine": None
        if quarantine is None
        else {"reason": quarantine.reason, "until": rfc3339(quarantine.until_s)},
    }


def find_node(nodes: Iterable[NodeId], text: str) -> NodeId:
    """The one of ``nodes`` whose id begins with ``text``.

    Raises:
        InputInvalid: ``text`` is no part of an id, or not of exactly one.
    """
    wanted = text.lower().removeprefix("0x")
    allowed = range(NODE_DIGITS_MIN, NODE_DIGITS + 1)
    if len(wanted) not in allowed or not set(wanted) <= set("0123456789abcdef"):
        raise InputInvalid("find node", got=text[:100], expected="4 to 64 hexadecimal digits")
    found = [node for node in nodes if node.hex().startswith(wanted)]
    if len(found) != 1:
        raise InputInvalid("find node", got=wanted, matches=len(found))
    return found[0]


def _link(overlay: Overlay, node: NodeId) -> dict[str, Any]:
    conduct = overlay.machine.nodes.conduct(node)
    profile = overlay.machine.nodes.profile(node)
    last = {} if conduct is None else conduct.last_message_s
    return {
        "nodeId": node.hex(),
        "addr": address_text(profile) or None,
        "latencySeconds": overlay.links.latency_s(node),
        "lastBlockReceived": _optional_time(last.get(BLOCKS)),
        "lastFragmentReceived": _optional_time(last.get(FRAGMENTS)),
        "lastGossipReceived": None if profile is None else rfc3339(profile.time_s),
    }


def _reference(profile: Profile, quarantined_s: float | None) -> dict[str, Any]:
    return {
        "id": profile.node.hex(),
        "address": str(profile.address),
        "last_update": rfc3339(profile.time_s),
        "quarantined": _optional_time(quarantined_s),
        "subscriptions": [
            {"topic": topic.hex(), "interest": interest} for topic, interest in profile.interests
        ],
    }


def _addresses(overlay: Overlay, nodes: Iterable[NodeId]) -> list[str]:
    texts = (address_text(overlay.machine.nodes.profile(node)) for node in nodes)
    return [text for text in texts if text]


def _optional_time(at_s: float | None) -> str | None:
    return None if at_s is None else rfc3339(at_s)


def rfc3339(at_s: float) -> str:
    """RFC 3339, from seconds since 2020."""
    return unix_rfc3339(EPOCH_UNIX_S + at_s)
