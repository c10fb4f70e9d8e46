"""What an operator sets of the overlay."""

from dataclasses import dataclass, field

from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.doors import DoorLimits
from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.machine import OverlayRules
from tetrarch.network.overlay.profile import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedPeer:
    """Whom to ask first. ``node`` and ``certificate`` (SHA-256), if the operator knows them."""

    address: Address
    node: NodeId | None = None
    certificate: bytes | None = None

    @property
    def name(self) -> Name:
        """As a layer names it."""
        return Name(node=self.node, address=self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySettings:
    """``public`` is told to others; None: nobody is told of this node, and it talks all the same."""

    rules: OverlayRules
    listen: tuple[Address, ...]
    public: Address | None
    trusted: tuple[TrustedPeer, ...] = ()
    privileged: tuple[Name, ...] = ()
    secured: bool = True
    proxy_certificates: tuple[bytes, ...] = ()  # SHA-256, of proxies that stand before us
    doors: DoorLimits = field(default_factory=DoorLimits)
    round_s: float = 10.0
    dialled_max: int = 192
    program: str = "tetrarch"
