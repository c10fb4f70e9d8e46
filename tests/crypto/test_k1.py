"""Identity signatures: known answers, round trips, one form only, named refusals."""

import pickle
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tetrarch.crypto import k1
from tetrarch.crypto.keccak import keccak256
from tetrarch.errors import InputInvalid

KEY = k1.IdentityKey.from_bytes(sha256(b"identity").digest())
DIGEST = sha256(b"message").digest()


def test_eip778_example_record() -> None:
    # The record of EIP-778: its key, its node id, and the signature over its content.
    secret = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291"
    key = k1.IdentityKey.from_bytes(bytes.fromhex(secret))
    assert key.public_key().hex() == (
        "03ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd3138"
    )
    assert keccak256(k1.uncompressed(key.public_key())).hex() == (
        "a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7"
    )
    signature = bytes.fromhex(
        "7098ad865b00a582051940cb9cf36836572411a47278783077011599ed5cd16b"
        "76f2635f4e234738f30813a89eb9137e3e3df5266e3a1f11df72ecf1145ccb9c"
    )
    content = bytes.fromhex(
        "f84201826964827634826970847f00000189736563703235366b31a1"
        "03ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd3138"
        "8375647082765f"
    )
    assert k1.verify_plain(key.public_key(), keccak256(content), signature)
    assert key.sign_plain(keccak256(content)) == signature


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=48, max_size=48), st.binary(min_size=32, max_size=32))
def test_signature_recovers_to_its_key_and_no_other(seed: bytes, digest: bytes) -> None:
    key = k1.IdentityKey.generate(lambda _size: seed)
    signature = key.sign(digest)
    assert len(signature) == 65
    assert signature[64] in {0, 1}
    assert signature == key.sign(digest)
    assert k1.recover(digest, signature) == key.public_key()
    assert k1.recover(digest, signature[:64] + bytes((signature[64] + 27,))) == key.public_key()
    assert k1.verify(key.public_key(), digest, signature)
    assert k1.verify_plain(key.public_key(), digest, key.sign_plain(digest))
    assert not k1.verify(KEY.public_key(), digest, signature)
    assert not k1.verify_plain(KEY.public_key(), digest, signature[:64])
    assert k1.IdentityKey.from_bytes(key.to_bytes()).public_key() == key.public_key()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 64), st.integers(1, 255))
def test_changed_signature_does_not_verify(position: int, change: int) -> None:
    changed = bytearray(KEY.sign(DIGEST))
    if position == 64 and (changed[64] ^ change) - 27 == changed[64]:
        return  # V of 27 or 28 says the same
    changed[position] ^= change
    assert not k1.verify(KEY.public_key(), DIGEST, bytes(changed))
    assert not k1.verify_plain(KEY.public_key(), DIGEST, bytes(changed))


def test_the_other_form_of_a_signature_is_refused() -> None:
    signature = KEY.sign(DIGEST)
    high = (k1.CURVE_ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    other = signature[:32] + high + bytes((signature[64] ^ 1,))
    with pytest.raises(k1.IdentitySignatureInvalid):
        k1.recover(DIGEST, other)
    assert not k1.verify(KEY.public_key(), DIGEST, other)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(65),
        b"\xff" * 65,
        KEY.sign(DIGEST)[:64],
        KEY.sign(DIGEST)[:64] + b"\x02",
        KEY.sign(DIGEST)[:64] + b"\x1d",
        bytes(31) + b"\x05" + bytes(31) + b"\x01" + b"\x00",  # no point has x = 5
    ],
)
def test_malformed_signature_is_refused_by_name(signature: bytes) -> None:
    with pytest.raises(k1.IdentitySignatureInvalid):
        k1.recover(DIGEST, signature)
    assert not k1.verify(KEY.public_key(), DIGEST, signature)


def test_digest_of_another_length_is_refused() -> None:
    for digest in (b"", bytes(31), bytes(64)):
        with pytest.raises(InputInvalid):
            KEY.sign(digest)
        with pytest.raises(InputInvalid):
            k1.recover(digest, KEY.sign(DIGEST))


@pytest.mark.parametrize(
    "data", [b"", bytes(32), b"\xff" * 32, bytes(33), k1.CURVE_ORDER.to_bytes(32, "big")]
)
def test_bad_secret_is_refused(data: bytes) -> None:
    with pytest.raises(k1.IdentityKeyInvalid):
        k1.IdentityKey.from_bytes(data)


@pytest.mark.parametrize("data", [b"", bytes(33), b"\x02" + b"\xff" * 32, b"\x04" + bytes(64)])
def test_bad_public_key_is_refused(data: bytes) -> None:
    with pytest.raises(k1.IdentityKeyInvalid):
        k1.validate_public_key(data)
    assert not k1.verify(data, DIGEST, KEY.sign(DIGEST))


def test_key_shows_nothing_and_is_not_pickled() -> None:
    assert KEY.to_bytes().hex() not in f"{KEY!r}{KEY}"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    k1.validate_public_key(KEY.public_key())


def test_generated_keys_differ() -> None:
    rng = Random(1)
    keys = {k1.IdentityKey.generate(rng.randbytes).to_bytes() for _ in range(50)}
    assert len(keys) == 50
