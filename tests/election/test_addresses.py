"""Members named by host and port."""

import pytest

from tetrarch.election.addresses import name_of, read_address
from tetrarch.errors import ConfigInvalid


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("5000", ("127.0.0.1", 5000), "127.0.0.1:5000"),
        ("node.example:1", ("node.example", 1), "node.example:1"),
        ("[::1]:65535", ("::1", 65535), "[::1]:65535"),
    ],
)
def test_forms(text: str, address: tuple[str, int], name: str) -> None:
    assert read_address(text) == address
    assert name_of(address) == name
    assert read_address(name) == address


@pytest.mark.parametrize(
    "text", ["", ":", "0", "65536", "-1", "a:", ":1", "::1:5000", "a b:1", "a:1x", "٣", "9" * 5000]
)
def test_others_are_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        read_address(text)
