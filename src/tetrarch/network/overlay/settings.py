"""What an operator sets of the overlay."""

from dataclasses import dataclass, field

from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import Address, read_address
from tetrarch.network.overlay.doors import DoorLimits
from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.machine import OverlayRules
from tetrarch.network.overlay.observed import ObservedRules
from tetrarch.network.overlay.origins import IpNetwork
from tetrarch.network.overlay.profile import NodeId

HASH_SIZE_BYTES = 32
_SCHEMES = ("tls", "plain", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedPeer:
    """Whom to ask first. ``node`` and ``certificate`` (SHA-256), if the operator knows them.

    ``is_extended``: it is a node of this program, not of the reference, which has no TLS.
    """

    address: Address
    node: NodeId | None = None
    certificate: bytes | None = None
    is_extended: bool = True
    secured: bool = True

    @property
    def name(self) -> Name:
        """As a layer names it."""
        return Name(node=self.node, address=self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySettings:
    """``public`` is told to others; None: nobody is told of this node, and it talks all the same.

    ``discovers``: others say where this node is, with the port that it listens on or ``discovered_port``; it is
    told once they have reached it there.

    ``secured``: our listener has TLS. Behind a proxy it may have none, and the proxy's certificate is among
    ``proxy_certificates`` (SHA-256; the first is told to others), its address in ``proxies``.
    Without ``is_extended`` this node talks as the reference does, and nothing else, with all.
    Nodes without TLS, such as all those of the reference, are talked with if the policy's ``plain_nodes``.
    """

    rules: OverlayRules
    listen: tuple[Address, ...]
    public: Address | None
    discovers: bool = False
    discovered_port: int | None = None
    trusted: tuple[TrustedPeer, ...] = ()
    privileged: tuple[Name, ...] = ()
    secured: bool = True
    is_extended: bool = True
    proxy_certificates: tuple[bytes, ...] = ()
    proxies: tuple[IpNetwork, ...] = ()
    doors: DoorLimits = field(default_factory=DoorLimits)
    round_s: float = 10.0
    dialled_max: int = 192
    program: str = "tetrarch"

    @property
    def is_plain(self) -> bool:
        """Nobody gives this node TLS: so are its peers, unless something else is said of one."""
        return not self.secured and not self.proxy_certificates

    @property
    def observed_rules(self) -> ObservedRules | None:
        """By which our address is found out, if it is to be."""
        if not self.discovers:
            return None
        return ObservedRules(
            port=self.discovered_port or self.listen[0].port,
            private_addresses=self.rules.policy.private_addresses,
        )


def read_trusted(text: str, *, plain: bool = False) -> TrustedPeer:
    """``IP:PORT``, then perhaps a node id and a certificate's SHA-256, parted by commas.

    ``tls:``, ``plain:`` or ``reference:`` before it says how it talks; else ``plain`` does.

    Raises:
        ConfigInvalid: a part is not what it should be.
    """
    scheme, has_scheme, rest = text.partition(":")
    if not has_scheme or scheme not in _SCHEMES:
        scheme, rest = ("plain" if plain else "tls"), text
    address, *parts = rest.split(",")
    if len(parts) > 2:
        raise ConfigInvalid("read trusted peer", got=text[:200], expected="at most three parts")
    node, certificate = (*map(read_hash, parts), None, None)[:2]
    return TrustedPeer(
        address=read_address(address),
        node=None if node is None else NodeId(node),
        certificate=certificate,
        is_extended=scheme != "reference",
        secured=scheme == "tls",
    )


def read_hash(text: str) -> bytes:
    """64 hexadecimal digits.

    Raises:
        ConfigInvalid: it is something else.
    """
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != HASH_SIZE_BYTES:
        raise ConfigInvalid("read hash", got=text[:100], expected="64 hexadecimal digits")
    return value
