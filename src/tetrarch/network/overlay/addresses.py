"""Where a node can be reached, which addresses may be told to others, and who shares a network. Pure."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

from tetrarch.errors import ConfigInvalid

IpAddress: TypeAlias = IPv4Address | IPv6Address
PORT_MAX = 65_535
IPV4_SIZE_BYTES, IPV6_SIZE_BYTES = 4, 16
# What one customer of a provider has at least: a cheaper crowd comes from one of these.
IPV6_GROUP_BITS = 48
# Of this machine, of a link, RFC 1918, RFC 6598, RFC 4193. ``is_private`` also holds what no node
# ever has, such as the examples of documents.
_PRIVATE = tuple(
    ip_network(text)
    for text in (
        *("127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        *("100.64.0.0/10", "::1/128", "fe80::/10", "fc00::/7"),
    )
)


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address and a port, as a profile says it. Never an IPv4 address in IPv6's clothes."""

    ip: IpAddress
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"

    @property
    def group(self) -> str:
        """The network that it is in (/24, /48): the unit of limits against crowds of nodes.

        Inside one machine or one private network such limits mean nothing: there each address
        with its port is its own group.
        """
        if not is_public(self.ip):
            return str(self)
        if isinstance(self.ip, IPv4Address):
            return ".".join(map(str, self.ip.packed[:3])) + ".0/24"  # as below, ten times faster
        return str(ip_network((self.ip, IPV6_GROUP_BITS), strict=False))


# What a record says that has no address to tell; the reference's says so, too.
NOWHERE = Address(IPv4Address("127.0.0.1"), 0)


def to_ip(packed: bytes) -> IpAddress:
    """4 or 16 bytes as an address; an IPv4 address mapped into IPv6 is IPv4.

    Raises:
        ValueError: another length.
    """
    ip = ip_address(packed)
    return getattr(ip, "ipv4_mapped", None) or ip


def read_address(text: str) -> Address:
    """``1.2.3.4:3000`` or ``[2001:db8::1]:3000``, as a person writes it.

    Raises:
        ConfigInvalid: it is neither.
    """
    host, colon, port = text.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")
    expected = "IPV4:PORT or [IPV6]:PORT"
    try:
        ip = to_ip(ip_address(host[1:-1] if in_brackets else host).packed)
    except ValueError:
        raise ConfigInvalid("read address", got=text, expected=expected) from None
    if not colon or (":" in host) is not in_brackets:
        raise ConfigInvalid("read address", got=text, expected=expected)
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) <= PORT_MAX:
        raise ConfigInvalid("read address", got=text, expected=f"a port of 1 to {PORT_MAX}")
    return Address(ip, int(port))


def is_public(ip: IpAddress) -> bool:
    """Whether anybody in the Internet could reach it."""
    return ip.is_global and not ip.is_multicast


def may_be_told(address: Address, *, private_allowed: bool) -> bool:
    """Whether a profile with this address is of use to anybody.

    With ``private_allowed`` also those of a private network or of this machine, but none that
    names nobody (unspecified, multicast, broadcast, examples in documents).
    """
    if address.port == 0:
        return False
    if is_public(address.ip):
        return True
    return private_allowed and any(address.ip in network for network in _PRIVATE)
