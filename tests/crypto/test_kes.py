"""Keys that evolve: each period signs for itself, nothing of the past is left, and all periods are one key."""

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.crypto.kes import (
    DEPTH,
    PERIODS,
    SECRET_KEY_SIZE_BYTES,
    SEED_SIZE_BYTES,
    SIGNATURE_SIZE_BYTES,
    KesKey,
    KesKeyInvalid,
    KesKeySpent,
    kes_period,
    verify_kes,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/kes.json").read_text())
ZERO_ROOT = "d40d5a4ca50d8887509ec3e41b2153a2a3455ca06d44cee84a249cf6f4d9e06a"  # the dossier's
AT_POWERS = sorted({0, 1, 2, 3, 1023, 1024, 2046, 2047, 2048, 3000, PERIODS - 2, PERIODS - 1})


@pytest.fixture(scope="module")
def key_data() -> bytes:
    return KesKey.generate(bytes(SEED_SIZE_BYTES)).to_bytes()


def seed_of(period: int) -> bytes:
    """Of one period, straight from the root."""
    seed = bytes(SEED_SIZE_BYTES)
    for level in reversed(range(DEPTH)):
        seed = hashlib.sha256(bytes([1 + (period >> level & 1)]) + seed).digest()
    return seed


def test_the_root_is_that_of_the_reference(key_data: bytes) -> None:
    assert KesKey(bytearray(key_data)).public_key.hex() == ZERO_ROOT


def test_frozen_bytes() -> None:
    key = KesKey.generate(bytes.fromhex(VECTORS["seed"]))
    assert key.public_key.hex() == VECTORS["public_key"]
    digests = {}
    for period in range(max(map(int, VECTORS["signatures"])) + 1):
        if str(period) in VECTORS["signatures"]:
            signature = key.sign(bytes.fromhex(VECTORS["message"]))
            assert signature.hex() == VECTORS["signatures"][str(period)]
            digests[str(period)] = hashlib.sha256(key.to_bytes()).hexdigest()
        key.evolve()
    assert digests == VECTORS["secret_key_sha256"]


def test_every_period_signs_with_its_own_seed_and_no_earlier_one_is_left(key_data: bytes) -> None:
    """Once through all 4,096 of them."""
    key = KesKey(bytearray(key_data))
    root, past = key.public_key, set[bytes]()
    for period in range(PERIODS):
        assert key.period == period
        data = key.to_bytes()
        leaf = Ed25519PrivateKey.from_private_bytes(seed_of(period)).public_key()
        if period in AT_POWERS or period % 257 == 0:
            signature = key.sign(b"message")
            assert len(signature) == SIGNATURE_SIZE_BYTES
            assert kes_period(signature) == period
            assert signature[68:100] == leaf.public_bytes_raw()
            assert verify_kes(root, b"message", signature)
            assert not verify_kes(root, b"other", signature)
            assert not any(seed in data for seed in past)
            assert KesKey(bytearray(data)).public_key == root
        past.add(seed_of(period))
        if period + 1 < PERIODS:
            key.evolve()
    with pytest.raises(KesKeySpent):
        key.evolve()
    assert verify_kes(root, b"message", key.sign(b"message"))


def test_seeds_of_the_past_are_nowhere_up_the_tree_either(key_data: bytes) -> None:
    """Whoever has the seed of a part of the tree has all periods below it."""
    key = KesKey(bytearray(key_data))
    for _ in range(5):
        key.evolve()
    ancestors, seed = [], bytes(SEED_SIZE_BYTES)
    for _ in range(DEPTH):
        ancestors.append(seed)
        seed = hashlib.sha256(b"\x01" + seed).digest()  # the way to period 0
    assert not any(each in key.to_bytes() for each in (*ancestors[1:], seed))


@pytest.mark.parametrize("place", [0, 3, 4, 67, 68, 99, 100, 131, 450, SIGNATURE_SIZE_BYTES - 1])
def test_no_changed_byte_is_taken(key_data: bytes, place: int) -> None:
    key = KesKey(bytearray(key_data))
    signature = bytearray(key.sign(b"message"))
    signature[place] ^= 1
    assert not verify_kes(key.public_key, b"message", bytes(signature))


def test_no_other_length_is_taken(key_data: bytes) -> None:
    key = KesKey(bytearray(key_data))
    signature = key.sign(b"message")
    for broken in (b"", signature[:-1], signature + b"\0"):
        assert not verify_kes(key.public_key, b"message", broken)


@pytest.mark.parametrize("place", [0, 1, 4, 40, 68, 68 + 64 * DEPTH - 1])
def test_a_damaged_key_is_refused(key_data: bytes, place: int) -> None:
    data = bytearray(key_data)
    data[place] ^= 1
    with pytest.raises(KesKeyInvalid):
        KesKey(data)


def test_a_key_that_kept_a_seed_too_many_is_refused(key_data: bytes) -> None:
    key = KesKey(bytearray(key_data))
    for _ in range(3):
        key.evolve()
    data = bytearray(key.to_bytes())
    data[-1] = 1
    with pytest.raises(KesKeyInvalid, match="over"):
        KesKey(data)


@pytest.mark.parametrize("size_bytes", [0, 31, 33])
def test_a_seed_has_one_length(size_bytes: int) -> None:
    with pytest.raises(KesKeyInvalid):
        KesKey.generate(bytes(size_bytes))


@pytest.mark.parametrize("size_bytes", [0, SECRET_KEY_SIZE_BYTES - 1, SECRET_KEY_SIZE_BYTES + 1])
def test_a_key_has_one_length(size_bytes: int) -> None:
    with pytest.raises(KesKeyInvalid):
        KesKey(bytearray(size_bytes))


def test_an_erased_key_is_zeros(key_data: bytes) -> None:
    data = bytearray(key_data)
    key = KesKey(data)
    assert "KesKey" in repr(key)
    key.erase()
    assert not any(data)
