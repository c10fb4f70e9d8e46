"""Where a call comes from: the connection's other end, or whom our own proxy names."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeAlias

import grpc.aio

from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import Address, IpAddress, read_address, to_ip

IpNetwork: TypeAlias = IPv4Network | IPv6Network
FORWARDED = "x-forwarded-for"


@dataclass(frozen=True, slots=True)
class Origin:
    """``connection`` tells one connection from another, ``peer`` is its other end, ``address`` who calls by it.

    Neither is there where it is no IP address, as on a Unix socket.
    """

    connection: str
    peer: Address | None
    address: Address | None


def origin_of(context: grpc.aio.ServicerContext, proxies: Sequence[IpNetwork]) -> Origin:
    """Who calls. Of ``X-Forwarded-For`` the last entry that none of ``proxies`` made of itself counts, and
    only along a connection of one of them: anybody can write the others.
    """
    connection = str(context.peer())
    address = _read_peer(connection)
    if address is None or not is_proxy(address.ip, proxies):
        return Origin(connection, address, address)
    named = [str(value) for key, value in context.invocation_metadata() or () if key == FORWARDED]
    for text in reversed(",".join(named).split(",")):
        ip = _read_ip(text.strip())
        if ip is None:
            break
        if not is_proxy(ip, proxies):
            return Origin(connection, address, Address(ip, address.port))
    return Origin(connection, address, address)


def is_proxy(ip: IpAddress, proxies: Sequence[IpNetwork]) -> bool:
    """Whether a proxy of ours is there."""
    return any(ip.version == network.version and ip in network for network in proxies)


def _read_peer(text: str) -> Address | None:
    """GRPC says ``ipv4:1.2.3.4:5`` or ``ipv6:%5B::1%5D:5``."""
    _, _, rest = text.partition(":")
    try:
        address = read_address(rest.replace("%5B", "[").replace("%5D", "]"))
    except ConfigInvalid:  # a unix socket, a name: it is no address
        return None
    return Address(to_ip(address.ip.packed), address.port)


def _read_ip(text: str) -> IpAddress | None:
    try:
        return to_ip(ip_address(text).packed)
    except ValueError:
        return None
