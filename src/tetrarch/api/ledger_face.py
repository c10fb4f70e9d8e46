"""All that the monitoring listener serves of a ledger: views, streams, pages and controls, and the document about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tetrarch.api.ledger_controls import ledger_controls
from tetrarch.api.ledger_drawing import LedgerDrawing
from tetrarch.api.ledger_events import LedgerEvents
from tetrarch.api.ledger_openapi import PATH, ledger_openapi
from tetrarch.api.ledger_reference import PeerCounts, ReferenceApi
from tetrarch.api.ledger_views import LedgerView
from tetrarch.leadership.ports import Keys
from tetrarch.network.overlay.overlay import Overlay
from tetrarch.observability.controls import Control
from tetrarch.observability.monitoring import Stream, View
from tetrarch.observability.pages import Page


@dataclass(frozen=True, slots=True)
class LedgerFace:
    """As ``Monitoring`` takes them; controls are to be put behind the token."""

    views: Mapping[str, View]
    streams: Mapping[str, Stream]
    pages: Mapping[str, Page]
    controls: dict[str, Control[Any]]

    @classmethod
    def of(
        cls,
        view: LedgerView,
        overlay: Overlay,
        keys: Keys,
        events: LedgerEvents,
        *,
        stop: Callable[[], None],
    ) -> Self:
        """Of one running node; ``stop`` ends it."""

        def peers() -> PeerCounts:
            nodes = overlay.machine.nodes
            return PeerCounts(
                available=len(nodes.known.profiles),
                connected=len(overlay.links),
                quarantined=len(nodes.quarantined),
            )

        reference = ReferenceApi(view, overlay, peers=peers, stop=stop)
        drawing = LedgerDrawing(view)
        views = {**view.views(), **reference.views(), **drawing.views()}
        streams = events.streams()
        controls = ledger_controls(view, overlay, keys) | reference.controls()
        told = ledger_openapi((*views, PATH), streams, controls)
        return cls({**views, PATH: lambda _: told}, streams, drawing.pages(), controls)
