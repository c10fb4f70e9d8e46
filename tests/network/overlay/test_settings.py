"""Whom an operator names, as he writes it."""

import pytest

from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.settings import read_trusted

HASH = "ab" * 32


def test_a_trusted_peer_is_an_address_and_what_is_known_of_it() -> None:
    peer = read_trusted("8.8.8.8:3000")
    assert (peer.node, peer.certificate) == (None, None)
    peer = read_trusted(f"8.8.8.8:3000,{HASH}")
    assert (peer.node, peer.certificate) == (bytes.fromhex(HASH), None)
    peer = read_trusted(f"[2a00::1]:3000,{HASH},{'cd' * 32}")
    assert peer.certificate == bytes.fromhex("cd" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8.8.8.8",
        "8.8.8.8:1,",
        "8.8.8.8:1,zz",
        f"8.8.8.8:1,{HASH},12",
        f"8.8.8.8:1,{HASH},{HASH},x",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        read_trusted(text)
