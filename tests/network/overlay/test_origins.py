"""Who calls is the connection's other end, unless that is our own proxy."""

from ipaddress import ip_network
from typing import Any

import pytest

from tetrarch.network.overlay.origins import Origin, origin_of

PROXIES = (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"), ip_network("::1/128"))


class Context:
    def __init__(self, peer: str, *forwarded: str) -> None:
        self._peer = peer
        self._metadata = tuple(("x-forwarded-for", each) for each in forwarded)

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> Any:
        return self._metadata


def host_of(origin: Origin) -> str:
    return "unknown" if origin.address is None else str(origin.address.ip)


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:8.8.8.8:4000", "8.8.8.8"),
        ("ipv6:%5B2a00::1%5D:4000", "2a00::1"),
        ("ipv6:[::ffff:8.8.8.8]:4000", "8.8.8.8"),
        ("unix:", "unknown"),
        ("unix:/run/socket", "unknown"),
    ],
)
def test_the_other_end(peer: str, host: str) -> None:
    origin = origin_of(Context(peer), ())
    assert host_of(origin) == host
    assert origin.connection == peer
    assert origin.peer == origin.address


@pytest.mark.parametrize(
    ("forwarded", "host"),
    [
        (("8.8.8.8",), "8.8.8.8"),
        (("1.1.1.1, 8.8.8.8",), "8.8.8.8"),  # the first was written by whoever calls
        (("1.1.1.1", "8.8.8.8"), "8.8.8.8"),
        (("8.8.8.8, 10.1.2.3",), "8.8.8.8"),  # two proxies of ours, one behind the other
        (("2a00::1",), "2a00::1"),
        (("8.8.8.8, nonsense",), "127.0.0.1"),
        (("",), "127.0.0.1"),
        ((), "127.0.0.1"),
    ],
)
def test_whom_our_proxy_names(forwarded: tuple[str, ...], host: str) -> None:
    origin = origin_of(Context("ipv4:127.0.0.1:4000", *forwarded), PROXIES)
    assert host_of(origin) == host
    assert str(origin.peer) == "127.0.0.1:4000"


def test_nobody_else_is_believed() -> None:
    assert host_of(origin_of(Context("ipv4:9.9.9.9:1", "8.8.8.8"), PROXIES)) == "9.9.9.9"
    assert host_of(origin_of(Context("ipv4:127.0.0.1:1", "8.8.8.8"), ())) == "127.0.0.1"
