"""What a link is made of, whoever dials: one value, for the dialling and the accepting side."""

from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.network.link import LinkMeters
from tetrarch.network.overlay.chain import ChainPort
from tetrarch.network.overlay.links import Links
from tetrarch.network.overlay.meeting import Introduction
from tetrarch.network.overlay.profile import NodeId
from tetrarch.network.overlay.reference.carrier import ReferenceCarrier


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """``deliver`` takes each message that a node sends."""

    introduction: Introduction
    chain: ChainPort
    links: Links
    deliver: Callable[[NodeId, int, bytes], None]
    meters: LinkMeters

    def reference_carrier(
        self, node: NodeId, *, latency_s: float | None = None
    ) -> ReferenceCarrier:
        """For a link with a node of the reference."""
        return ReferenceCarrier(
            node,
            self.chain,
            deliver=lambda kind, payload: self.deliver(node, kind, payload),
            meters=self.meters,
            latency_s=latency_s,
        )
