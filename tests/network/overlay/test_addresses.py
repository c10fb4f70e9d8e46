"""Which addresses a profile may have, and who shares a network."""

import pytest
from tests.network.overlay.support import address

from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import may_be_told, read_address, to_ip


@pytest.mark.parametrize(
    ("ip", "group"),
    [
        ("8.8.8.8", "8.8.8.0/24"),
        ("8.8.8.255", "8.8.8.0/24"),
        ("8.8.9.8", "8.8.9.0/24"),
        ("2a00:1450:4001:81b::200e", "2a00:1450:4001::/48"),
        ("2a00:1450:4001:ffff::1", "2a00:1450:4001::/48"),
        ("192.168.1.7", "192.168.1.7:3000"),
        ("127.0.0.1", "127.0.0.1:3000"),
        ("::1", "[::1]:3000"),
    ],
)
def test_group_is_the_network_that_one_customer_has(ip: str, group: str) -> None:
    assert address(ip).group == group


def test_an_ipv4_address_in_ipv6_is_ipv4() -> None:
    assert str(to_ip(bytes(10) + b"\xff\xff" + bytes([8, 8, 4, 4]))) == "8.8.4.4"


@pytest.mark.parametrize(
    ("ip", "public", "private"),
    [
        ("8.8.8.8", True, True),
        ("2a00:1450:4001:81b::200e", True, True),
        ("127.0.0.1", False, True),
        ("10.1.2.3", False, True),
        ("172.31.0.1", False, True),
        ("192.168.0.1", False, True),
        ("100.64.0.1", False, True),
        ("169.254.1.1", False, True),
        ("::1", False, True),
        ("fe80::1", False, True),
        ("fd00::1", False, True),
        ("0.0.0.0", False, False),
        ("255.255.255.255", False, False),
        ("224.0.0.1", False, False),
        ("192.0.2.1", False, False),  # for documents
        ("2001:db8::1", False, False),
        ("ff02::1", False, False),
        ("::", False, False),
    ],
)
def test_only_an_address_that_somebody_can_reach_is_told(
    ip: str, public: bool, private: bool
) -> None:
    assert may_be_told(address(ip), private_allowed=False) is public
    assert may_be_told(address(ip), private_allowed=True) is private
    assert not may_be_told(address(ip, port=0), private_allowed=True)


@pytest.mark.parametrize("text", ["8.8.8.8:3000", "[2a00::1]:65535"])
def test_address_is_read_as_it_is_written(text: str) -> None:
    assert str(read_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "8.8.8.8", "8.8.8.8:", "8.8.8.8:0", "8.8.8.8:65536", "8.8.8.8:-1", "8.8.8.8:٣"),
        *("2a00::1:3000", "[8.8.8.8]:3000", "example.org:3000", "[2a00::1]", ":3000", "8.8.8:3000"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        read_address(text)
