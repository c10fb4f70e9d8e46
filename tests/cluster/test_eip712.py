"""Typed digests against a general encoder of EIP-712, itself held to the standard's example."""

from typing import Any, TypeAlias

import pytest

from tetrarch.cluster import eip712
from tetrarch.cluster.addresses import address_of_key
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.crypto.keccak import keccak256

Types: TypeAlias = dict[str, list[tuple[str, str]]]
Struct: TypeAlias = dict[str, Any]


def general_digest(types: Types, primary: str, domain: Struct, message: Struct) -> bytes:
    """encodeData of the standard for structs of strings, addresses, numbers and structs."""

    def described(name: str) -> str:
        fields = ",".join(f"{kind} {field}" for kind, field in types[name])
        return f"{name}({fields})"

    def type_text(name: str) -> str:
        others = sorted({kind for kind, _ in types[name] if kind in types})
        return described(name) + "".join(map(described, others))

    def hashed(name: str, value: Struct) -> bytes:
        data = keccak256(type_text(name).encode())
        for kind, field in types[name]:
            item = value[field]
            if kind in types:
                data += hashed(kind, item)
            elif kind == "string":
                data += keccak256(item.encode())
            else:
                data += int(item).to_bytes(32, "big")
        return keccak256(data)

    return keccak256(b"\x19\x01" + hashed("EIP712Domain", domain) + hashed(primary, message))


def test_general_encoder_gives_the_standards_example():
    types = {
        "EIP712Domain": [
            ("string", "name"),
            ("string", "version"),
            ("uint256", "chainId"),
            ("address", "verifyingContract"),
        ],
        "Person": [("string", "name"), ("address", "wallet")],
        "Mail": [("Person", "from"), ("Person", "to"), ("string", "contents")],
    }
    domain = {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": 0xCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC,
    }
    message = {
        "from": {"name": "Cow", "wallet": 0xCD2A3D9F938E13CD947EC05ABC7FE734DF8DD826},
        "to": {"name": "Bob", "wallet": 0xBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB},
        "contents": "Hello, Bob!",
    }
    digest = general_digest(types, "Mail", domain, message)
    assert digest.hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"


@pytest.mark.parametrize(
    "kind", [eip712.OPERATOR_CONFIG_HASH, eip712.CREATOR_CONFIG_HASH, eip712.ENR]
)
def test_digests_equal_the_general_encoders(kind):
    types = {
        "EIP712Domain": [("string", "name"), ("string", "version"), ("uint256", "chainId")],
        kind[0]: [("string", kind[1])],
    }
    domain = {"name": "Obol", "version": "1", "chainId": 560048}
    expected = general_digest(types, kind[0], domain, {kind[1]: "0xabcdef"})
    assert eip712.typed_digest(kind, "0xabcdef", chain_id=560048) == expected


def test_signer_is_recovered():
    key, digest = IdentityKey.from_bytes(b"\x01" * 32), b"\x02" * 32
    address = address_of_key(key.public_key())
    assert eip712.signed_by(address, digest, key.sign(digest))
    assert not eip712.signed_by(address, b"\x03" * 32, key.sign(digest))
    assert not eip712.signed_by(address, digest, bytes(65))
