"""JSON views of a running node: its peers. They change nothing and hold no secret."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from tetrarch.api.conduct_views import conduct_view, unix_rfc3339
from tetrarch.consensus.dump import Dump, MessageDump
from tetrarch.election.of_cluster import ClusterMembership
from tetrarch.network.mesh import Mesh
from tetrarch.network.peer_info import PeerInfo
from tetrarch.network.ports import Topic
from tetrarch.node import Node
from tetrarch.observability.monitoring import View

TOPICS = {topic.name.lower(): topic for topic in Topic}


def dump_view(dump: MessageDump) -> View:
    """``/debug/consensus``: the newest consensus messages, for ``tetrarch consensus replay``."""

    def view(_query: Mapping[str, str]) -> Dump:
        return dump.snapshot()

    return view


def peers_view(mesh: Mesh, node: Node, membership: ClusterMembership | None = None) -> View:
    """``/peers``: who is connected, how far away, what they say of themselves, what is agreed.

    What was seen of each, and what that comes to. And which enclaves they have shown, where the nodes attest each other.
    """

    def view(_query: Mapping[str, str]) -> dict[str, Any]:
        infos, agreed = node.peer_infos.newest, node.features.agreed
        shown = {} if membership is None else membership.shown
        return {
            "own_index": mesh.own_index,
            "own_clock_offset_s": mesh.own_clock_offset_s,
            "own": _described(node.peer_infos.own),
            "agreed": asdict(agreed) if agreed.slot >= 0 else None,
            "peers": [
                asdict(status)
                | conduct_view(
                    mesh.conduct(status.index), status.points, rfc3339=unix_rfc3339, topics=TOPICS
                )
                | {
                    "score": round(status.score, 2),
                    "info": _described(infos[status.index]) if status.index in infos else None,
                    "enclave": msgspec.structs.asdict(shown[status.index])
                    if status.index in shown
                    else None,
                }
                for status in mesh.status()
            ],
        }

    return view


def _described(info: PeerInfo) -> dict[str, Any]:
    return msgspec.structs.asdict(info) | {"lock_hash": info.lock_hash.hex()}
