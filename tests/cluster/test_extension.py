"""The extension's JSON, and the documented layout of what its nodes sign."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from tests.cluster.cluster_world import deal, documents

from tetrarch.cluster.extension import (
    check_address,
    extension_document,
    extension_hash,
    parse_extension,
)
from tetrarch.errors import InputInvalid


@pytest.fixture(scope="module")
def extension():
    return deal().extension


def test_json_round_trip(extension):
    assert parse_extension(extension_document(extension)) == extension


def test_layout_is_the_documented_one(extension):
    expected = b"tetrarch cluster extension v1".ljust(32, b"\0")
    expected += extension.lock_hash + b"\x00\x04" + b"\x00\x03"
    expected += extension.cluster_public_key + b"\x00\x04"
    expected += b"".join(extension.cluster_public_shares)
    for node in extension.nodes:
        expected += len(node.certificate_der).to_bytes(2, "big") + node.certificate_der
        expected += len(node.address).to_bytes(2, "big") + node.address.encode()
    assert extension_hash(extension) == sha256(expected).digest()


def test_no_two_extensions_have_one_layout(extension):
    """Moving bytes over a field's border changes the hash."""
    first, *rest = extension.nodes
    moved = replace(first, certificate_der=first.certificate_der[:-1], address="x" + first.address)
    assert extension_hash(replace(extension, nodes=(moved, *rest))) != extension_hash(extension)


@pytest.mark.parametrize("found", [0, 2, "1", None])
def test_other_formats_are_refused(found):
    document = json.loads(documents(deal())[1])
    document["format"] = found
    with pytest.raises(InputInvalid, match="format"):
        parse_extension(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"x":' + b"[" * 60_000])
def test_other_json_is_refused(data):
    with pytest.raises(InputInvalid):
        parse_extension(data)


def test_unknown_field_is_refused_by_name():
    document = json.loads(documents(deal())[1])
    document["nodes"][2]["nickname"] = "x"
    with pytest.raises(InputInvalid, match="nickname"):
        parse_extension(json.dumps(document).encode())


@pytest.mark.parametrize("address", ["", "host:1", "10.0.0.1:65535", "[::1]:9000", "a.b-c.d:80"])
def test_addresses(address):
    check_address(address, field="address")


@pytest.mark.parametrize(
    "address",
    [
        "host",
        "host:",
        ":1",
        "host:0",
        "host:65536",
        "host:080",
        "::1:90",
        "[]:1",
        "a b:1",
        "é:1",
        "http://a:1",
        "a:1\n",
        "user@a:1",
    ],
)
def test_other_addresses_are_refused(address):
    with pytest.raises(InputInvalid):
        check_address(address, field="address")
