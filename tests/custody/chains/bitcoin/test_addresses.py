"""Who can be paid on which network, and who cannot."""

import json

import pytest
from embit import base58, bech32
from tests.vectors_path import vectors

from tetrarch.custody.chains.bitcoin.addresses import (
    LITECOIN_REGTEST,
    MAINNET,
    NETWORKS,
    REGTEST,
    TESTNET,
    AddressInvalid,
    Network,
    address_of,
    script_of,
    taproot_address,
    taproot_script,
)

DIGEST = bytes(range(20))
KEY = bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


def kinds(network: Network) -> list[tuple[bytes, bytes]]:
    """An address of each kind, and its script."""
    prefix = network.segwit_prefix
    return [
        (
            base58.encode_check(bytes((network.key_hash_prefix,)) + DIGEST).encode(),
            b"\x76\xa9\x14" + DIGEST + b"\x88\xac",
        ),
        *(
            (base58.encode_check(bytes((each,)) + DIGEST).encode(), b"\xa9\x14" + DIGEST + b"\x87")
            for each in network.script_hash_prefixes
        ),
        (bech32.encode(prefix, 0, DIGEST).encode(), b"\x00\x14" + DIGEST),
        (bech32.encode(prefix, 0, KEY).encode(), b"\x00\x20" + KEY),
        (bech32.encode(prefix, 1, KEY).encode(), b"\x51\x20" + KEY),
    ]


def test_taproot_addresses_are_those_of_bip_341() -> None:
    wallet = json.loads((vectors("bip") / "bip-0341-wallet.json").read_text())
    for row in wallet["scriptPubKey"]:
        address = row["expected"]["bip350Address"].encode()
        script = bytes.fromhex(row["expected"]["scriptPubKey"])
        output_key = bytes.fromhex(row["intermediary"]["tweakedPubkey"])
        assert script_of(MAINNET, address) == script == taproot_script(output_key)
        assert address_of(MAINNET, script) == address == taproot_address(MAINNET, output_key)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_each_kind_comes_back(network: Network) -> None:
    for address, script in kinds(network):
        assert script_of(network, address) == script
        written = address_of(network, script)
        assert written is not None
        assert script_of(network, written) == script
        if address.startswith(network.segwit_prefix.encode()):
            assert script_of(network, address.upper()) == script


@pytest.mark.parametrize(
    ("network", "other"),
    [
        (MAINNET, TESTNET),
        (REGTEST, TESTNET),
        (LITECOIN_REGTEST, REGTEST),
        (MAINNET, LITECOIN_REGTEST),
    ],
)
def test_another_network_s_segwit_addresses_are_refused(network: Network, other: Network) -> None:
    for address, _ in kinds(other)[-3:]:
        with pytest.raises(AddressInvalid, match=f"network={network.name}"):
            script_of(network, address)


def test_another_network_s_older_addresses_are_refused() -> None:
    """Test networks share theirs."""
    for address, _ in kinds(TESTNET)[:2]:
        with pytest.raises(AddressInvalid, match="network=bitcoin"):
            script_of(MAINNET, address)
    for address, _ in kinds(MAINNET)[:2]:
        with pytest.raises(AddressInvalid, match="network=regtest"):
            script_of(REGTEST, address)


def test_what_is_no_address_is_refused() -> None:
    good = bech32.encode("bc", 1, KEY)
    older = base58.encode_check(b"\x00" + DIGEST)
    bad = [
        "",
        "1",
        "bc1",
        "bc1p",
        "hello",
        good[:-1],
        good[:-1] + ("q" if good[-1] != "q" else "p"),
        good.replace("bc1p", "bc1P"),
        older[:-1],
        older + "1",
        bech32.encode("bc", 2, KEY),  # a version that nobody can spend yet
        bech32.encode("bc", 1, DIGEST),
        bech32.encode("bc", 16, b"\x75\x1e"),
        base58.encode_check(b"\x00" + DIGEST[:-1]),
        base58.encode_check(b"\x00" + DIGEST + b"\x01"),
        "x" * 91,
        "ü",
        "0x" + "ab" * 20,
    ]
    for text in bad:
        with pytest.raises(AddressInvalid):
            script_of(MAINNET, (text or "").encode())
    wrong_checksum = bech32.bech32_encode(1, "bc", [1, *bech32.convertbits(KEY, 8, 5)])
    with pytest.raises(AddressInvalid):  # version 1 wants bech32m
        script_of(MAINNET, wrong_checksum.encode())


def test_scripts_without_an_address_have_none() -> None:
    for script in (
        b"",
        b"\x6a\x01a",
        b"\x51\x20" + KEY[:-1],
        b"\x52\x20" + KEY,
        b"\x00\x15" + KEY[:21],
    ):
        assert address_of(MAINNET, script) is None
