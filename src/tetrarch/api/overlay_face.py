"""All that the monitoring listener serves of the overlay: its views, its page, and its controls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tetrarch.api.overlay_controls import overlay_controls
from tetrarch.api.overlay_graph import overlay_graph
from tetrarch.api.overlay_page import overlay_pages
from tetrarch.api.overlay_views import overlay_views
from tetrarch.network.overlay.overlay import Overlay
from tetrarch.observability.controls import Controls
from tetrarch.observability.logs import Log
from tetrarch.observability.monitoring import View
from tetrarch.observability.pages import Page


@dataclass(frozen=True, slots=True)
class OverlayFace:
    """As ``Monitoring`` takes them."""

    views: Mapping[str, View]
    pages: Mapping[str, Page]
    controls: Controls


def overlay_reasons(overlay: Overlay) -> tuple[str, ...]:
    """Why the node's part in the overlay is not as it should be."""
    reasons = []
    if not len(overlay.links):
        reasons.append("no_links: nobody is linked")
    verdict = overlay.trusted_tips.verdict
    if verdict is not None:
        said = f"{verdict.nodes} of {verdict.asked} trusted nodes"
        reasons.append(f"chain_left_alone: {said} are on another chain, or far ahead")
    return tuple(reasons)


def overlay_face(overlay: Overlay, *, token: str, log: Log) -> OverlayFace:
    """Of one node. ``token`` is asked of whoever changes something."""

    def tip(_query: Mapping[str, str]) -> dict[str, Any]:
        end, verdict = overlay.tip(), overlay.trusted_tips.verdict
        told: dict[str, Any] = {"block": end.block.hex(), "height": end.height, "left_alone": None}
        if verdict is not None:
            told["left_alone"] = {
                "standing": verdict.standing.value,
                "nodes": verdict.nodes,
                "asked": verdict.asked,
            }
        return told

    views = overlay_views(overlay) | {
        "overlay/graph": lambda _: overlay_graph(overlay),
        "overlay/tip": tip,
    }
    return OverlayFace(
        views, overlay_pages(), Controls(overlay_controls(overlay), token=token, log=log)
    )
