"""What an operator writes of the overlay, in a file or as options, becomes settings. Pure."""

from ipaddress import ip_network

from tetrarch.config import OverlayConfig
from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import Address, read_address
from tetrarch.network.overlay.known import KnownLimits
from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.machine import LAYERS, OverlayRules
from tetrarch.network.overlay.origins import IpNetwork
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, Interest, NodeId, Topic
from tetrarch.network.overlay.settings import OverlaySettings, read_hash, read_trusted
from tetrarch.network.overlay.tuning import tuned

_NO_ADDRESS, _DISCOVERED = "none", "auto"
_NO_INTEREST = "none"


def read_settings(texts: OverlayConfig) -> OverlaySettings:
    """What the node is told.

    Raises:
        ConfigInvalid: a text is no address, id, hash, layer, interest or rule.
    """
    if not texts.listen:
        raise ConfigInvalid("read overlay", setting="listen", reason="names no address")
    listen = tuple(map(read_address, texts.listen))
    # Whoever has no TLS is with others that have none, unless a proxy gives it one.
    plain_nodes = texts.plain_nodes or (texts.plain and not texts.proxy_certificates)
    discovers, port = _discovery(texts.public)
    return OverlaySettings(
        rules=OverlayRules(
            interests=_interests(texts),
            layers=_layers(texts.layers),
            limits=KnownLimits(
                nodes_max=texts.nodes_max,
                of_group_max=texts.nodes_of_network_max,
                of_introducer_max=texts.nodes_of_introducer_max,
            ),
            policy=tuned(
                PolicyRules(
                    quarantine_s=texts.quarantine_ms / 1000,
                    quarantine_max_s=texts.quarantine_ms_max / 1000,
                    private_addresses=texts.private_addresses,
                    plain_nodes=plain_nodes,
                ),
                texts.policy,
            ),
        ),
        listen=listen,
        public=_public(texts.public, listen[0]),
        discovers=discovers,
        discovered_port=port,
        trusted=tuple(read_trusted(text, plain=plain_nodes) for text in texts.trusted),
        privileged=tuple(map(_name, texts.privileged)),
        secured=not texts.plain,
        proxies=tuple(map(_network, texts.proxies)),
        proxy_certificates=tuple(map(read_hash, texts.proxy_certificates)),
        round_s=texts.round_ms / 1000,
    )


def _public(text: str, first: Address) -> Address | None:
    if text == _NO_ADDRESS or _discovery(text)[0]:
        return None
    return read_address(text) if text else first


def _discovery(text: str) -> tuple[bool, int | None]:
    word, _, port = text.partition(":")
    if word != _DISCOVERED:
        return False, None
    return True, read_address(f"0.0.0.0:{port}").port if port else None


def _interests(texts: OverlayConfig) -> tuple[tuple[Topic, int], ...]:
    read = []
    for topic, text in (
        (FRAGMENTS, texts.fragments_interest),
        (BLOCKS, texts.blocks_interest),
    ):
        if text == _NO_INTEREST:
            continue
        try:
            read.append((topic, int(Interest[text.upper()])))
        except KeyError:
            expected = "none, low, normal or high"
            raise ConfigInvalid("read interest", got=text[:100], expected=expected) from None
    return tuple(read)


def _layers(layers: tuple[str, ...]) -> tuple[str, ...]:
    for layer in layers:
        if layer not in LAYERS:
            expected = ", ".join(LAYERS)
            raise ConfigInvalid("read layers", got=layer[:100], expected=expected)
    return tuple(dict.fromkeys(layers))


def _name(text: str) -> Name:
    if ":" in text:
        return Name(address=read_address(text))
    return Name(node=NodeId(read_hash(text)))


def _network(text: str) -> IpNetwork:
    try:
        return ip_network(text)
    except ValueError:
        expected = "IP or IP/BITS"
        raise ConfigInvalid("read proxy", got=text[:100], expected=expected) from None
