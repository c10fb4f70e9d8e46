"""An output that only the key gives and everybody can check; its bytes are frozen in ``tests/vectors``."""

import json
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto import ristretto_oracle as oracle

from tetrarch.crypto.ristretto import IDENTITY, ORDER
from tetrarch.crypto.vrf import (
    PROOF_SIZE_BYTES,
    VrfKey,
    VrfKeyInvalid,
    verify_vrf,
    vrf_output,
)
from tetrarch.entropy import system_entropy

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/vrf.json").read_text())
KEY = VrfKey.from_bytes((7).to_bytes(32, "little"))


def no_entropy(size_bytes: int) -> bytes:
    return bytes(size_bytes)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["message"][:8] or "empty")
def test_frozen_bytes(vector: dict[str, str]) -> None:
    key = VrfKey.from_bytes(bytes.fromhex(vector["key"]))
    message, proof = bytes.fromhex(vector["message"]), bytes.fromhex(vector["proof"])
    assert key.public_key.hex() == vector["public_key"]
    assert key.prove(message, no_entropy) == proof
    point = verify_vrf(key.public_key, message, proof)
    assert point == key.evaluate(message)
    assert point is not None
    assert vrf_output(message, point, b"TEST").hex() == vector["draw"]


@settings(max_examples=15)
@given(message=st.binary(max_size=80), value=st.integers(min_value=1, max_value=ORDER - 1))
def test_a_proof_holds_by_plain_integers_too(message: bytes, value: int) -> None:
    """The dossier's equations, over the oracle's group."""
    key = VrfKey.from_bytes(value.to_bytes(32, "little"))
    proof = key.prove(message, system_entropy)
    base = oracle.map_to_point(blake2b(message, digest_size=64).digest())
    b = oracle.BASE
    public, output = oracle.multiply(value, b), oracle.multiply(value, base)
    c, r = (int.from_bytes(proof[start : start + 32], "little") for start in (32, 64))
    minus_c = ORDER - c
    a1 = oracle.add(oracle.multiply(r, b), oracle.multiply(minus_c, public))
    a2 = oracle.add(oracle.multiply(r, base), oracle.multiply(minus_c, output))
    together = b"".join(map(oracle.encode, (b, base, public, output, a1, a2)))
    hashed = int.from_bytes(blake2b(together, digest_size=64).digest(), "little")
    assert proof[:32] == oracle.encode(output)
    assert hashed % ORDER == c


@pytest.mark.parametrize("place", range(PROOF_SIZE_BYTES))
def test_no_changed_byte_is_taken(place: int) -> None:
    proof = bytearray(KEY.prove(b"message", system_entropy))
    proof[place] ^= 1
    assert verify_vrf(KEY.public_key, b"message", bytes(proof)) is None


def test_nothing_else_is_taken() -> None:
    proof = KEY.prove(b"message", system_entropy)
    other = VrfKey.generate(system_entropy)
    assert verify_vrf(KEY.public_key, b"other", proof) is None
    assert verify_vrf(other.public_key, b"message", proof) is None
    for broken in (b"", proof[:-1], proof + b"\0", IDENTITY + proof[32:]):
        assert verify_vrf(KEY.public_key, b"message", broken) is None
    assert verify_vrf(IDENTITY, b"message", IDENTITY + proof[32:]) is None, "a key that is none"
    assert verify_vrf(b"\xff" * 32, b"message", proof) is None


def test_a_number_has_one_form() -> None:
    """Else a proof could be changed into another one that holds as well."""
    proof = KEY.prove(b"message", system_entropy)
    for start in (32, 64):
        value = int.from_bytes(proof[start : start + 32], "little") + ORDER
        again = proof[:start] + value.to_bytes(32, "little") + proof[start + 32 :]
        assert verify_vrf(KEY.public_key, b"message", again) is None


def test_entropy_that_repeats_itself_gives_nothing_away() -> None:
    """Two proofs with one ``w`` and other challenges would give the key."""
    first, second = (KEY.prove(message, no_entropy) for message in (b"one", b"two"))
    c1, r1, c2, r2 = (
        int.from_bytes(proof[start : start + 32], "little")
        for proof in (first, second)
        for start in (32, 64)
    )
    assert (r1 - r2) * pow(c1 - c2, -1, ORDER) % ORDER != 7
    assert KEY.prove(b"one", system_entropy) != first, "and entropy is used if there is any"


@pytest.mark.parametrize("data", [bytes(32), ORDER.to_bytes(32, "little"), b"", bytes(31)])
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(VrfKeyInvalid):
        VrfKey.from_bytes(data)


def test_a_key_is_not_shown() -> None:
    key = VrfKey.from_bytes((31_415_926_535).to_bytes(32, "little"))
    assert key.to_bytes() == (31_415_926_535).to_bytes(32, "little")
    for shown in (key.to_bytes().hex(), "31415926535", repr(key.to_bytes())):
        assert shown not in repr(key)


def test_each_label_has_an_output_of_its_own() -> None:
    point = KEY.evaluate(b"message")
    outputs = {vrf_output(b"message", point, label) for label in (b"TEST", b"NONCE", b"")}
    assert len(outputs) == 3
