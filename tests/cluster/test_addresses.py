"""EIP-55, on the standard's own examples."""

import pytest

from tetrarch.cluster.addresses import address_of_key, address_text, parse_address
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.errors import InputInvalid

EXAMPLES = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0xde709f2102306220921060314715629080e2fb77",
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_the_standard(text):
    address = parse_address(text, field="address")
    assert address_text(address) == text
    assert parse_address(text.lower(), field="address") == address
    assert parse_address("0x" + text[2:].upper(), field="address") == address


@pytest.mark.parametrize(
    "text",
    [EXAMPLES[0].replace("aA", "Aa"), EXAMPLES[0][:-1], EXAMPLES[0] + "00", "5a" * 20, "0x1"],
)
def test_wrong_addresses_are_refused(text):
    with pytest.raises(InputInvalid):
        parse_address(text, field="address")


def test_address_of_a_known_key():
    key = IdentityKey.from_bytes((1).to_bytes(32, "big"))  # published everywhere
    assert address_text(address_of_key(key.public_key())) == (
        "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
    )


def test_no_address_is_no_text():
    assert address_text(b"") == ""
    assert parse_address("", field="address") == b""
