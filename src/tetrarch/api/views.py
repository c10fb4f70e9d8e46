"""JSON views of a running node: its duties, its peers. They change nothing and hold no secret."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tetrarch.network.mesh import Mesh
from tetrarch.node import Node
from tetrarch.observability.monitoring import View

REPORTS_MAX = 512


def duties_view(node: Node) -> View:
    """``/duties?since_slot=N``: the tracker's reports, by slot and type."""

    def view(query: Mapping[str, str]) -> dict[str, Any]:
        since = query.get("since_slot", "0")
        since_slot = int(since) if since.isascii() and since.isdigit() and len(since) < 20 else 0
        reports = node.tracker.reports(since_slot=since_slot)[-REPORTS_MAX:]
        return {"duties": reports}

    return view


def peers_view(mesh: Mesh) -> View:
    """``/peers``: who is connected, how far away, and whose settings differ."""

    def view(_query: Mapping[str, str]) -> dict[str, Any]:
        return {
            "own_index": mesh.own_index,
            "own_clock_offset_s": mesh.own_clock_offset_s,
            "peers": [asdict(status) for status in mesh.status()],
        }

    return view
