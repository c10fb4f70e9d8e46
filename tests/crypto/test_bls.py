"""Signatures over bytes: official vectors, two independent libraries, and named refusals."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import py_arkworks_bls12381 as arkworks
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc.bls.ciphersuites import G2ProofOfPossession
from tests.crypto.keys import key

from tetrarch.crypto import bls
from tetrarch.crypto.blst import CURVE_ORDER, DOMAIN
from tetrarch.crypto.points import hash_to_g2

INFINITY_G1 = b"\xc0" + bytes(47)
INFINITY_G2 = b"\xc0" + bytes(95)
ROOT = b"\x11" * 32


def test_secret_key_shows_nothing_and_is_not_pickled() -> None:
    secret = key(1)
    for text in (repr(secret), str(secret), f"{[secret]}"):
        assert secret.to_bytes().hex() not in text
        assert str(int.from_bytes(secret.to_bytes(), "big")) not in text
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            leak(secret)


def test_secret_key_round_trips_and_compares_by_value() -> None:
    again = bls.SecretKey.from_bytes(key(1).to_bytes())
    assert again == key(1)
    assert hash(again) == hash(key(1))
    assert again != key(2)
    assert again != key(1).to_bytes()


def test_generated_key_is_a_function_of_the_entropy() -> None:
    asked: list[int] = []

    def entropy(size_bytes: int, /) -> bytes:
        asked.append(size_bytes)
        return b"\x07" * size_bytes

    assert bls.SecretKey.generate(entropy) == bls.SecretKey.generate(entropy)
    assert asked == [32, 32]
    assert bls.SecretKey.generate(entropy).to_bytes() == (
        G2ProofOfPossession.KeyGen(b"\x07" * 32).to_bytes(32, "big")
    )


@pytest.mark.parametrize("value", [0, CURVE_ORDER, CURVE_ORDER + 1, 2**256 - 1])
def test_scalar_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(bls.ScalarOutOfRange):
        bls.SecretKey.from_bytes(value.to_bytes(32, "big"))


def test_largest_and_smallest_secret_are_accepted() -> None:
    for value in (1, CURVE_ORDER - 1):
        secret = bls.SecretKey.from_bytes(value.to_bytes(32, "big"))
        assert bls.verify(secret.public_key(), ROOT, secret.sign(ROOT))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_secret_of_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(bls.WrongLength):
        bls.SecretKey.from_bytes(bytes(size))


def test_neutral_key_verifies_nothing() -> None:
    neutral = bls.PublicKeyPoint.parse(INFINITY_G1, allow_infinity=True)
    signature = bls.SignaturePoint.parse(INFINITY_G2, allow_infinity=True)
    assert neutral.is_infinity()
    assert signature.is_infinity()
    assert not bls.verify_points(neutral, ROOT, signature)
    assert not bls.verify(INFINITY_G1, ROOT, INFINITY_G2)


def test_aggregate_of_nothing_is_refused() -> None:
    for function in (bls.aggregate, bls.aggregate_public_keys):
        with pytest.raises(bls.NothingToAggregate):
            function([])
    assert not bls.aggregate_verify([], [], INFINITY_G2)
    assert not bls.fast_aggregate_verify([], ROOT, INFINITY_G2)


def test_aggregates_verify_and_equal_keys_may_cancel() -> None:
    keys = [key(i) for i in range(5)]
    public_keys = [secret.public_key() for secret in keys]
    signature = bls.aggregate([secret.sign(ROOT) for secret in keys])
    assert bls.fast_aggregate_verify(public_keys, ROOT, signature)
    assert bls.verify(bls.aggregate_public_keys(public_keys), ROOT, signature)
    assert not bls.fast_aggregate_verify(public_keys[1:], ROOT, signature)
    messages = [b"%032d" % i for i in range(5)]
    distinct = bls.aggregate([s.sign(m) for s, m in zip(keys, messages, strict=True)])
    assert bls.aggregate_verify(public_keys, messages, distinct)
    assert not bls.aggregate_verify(public_keys, messages[::-1], distinct)
    assert not bls.aggregate_verify(public_keys, messages[1:], distinct)
    assert not bls.aggregate_verify(public_keys, messages, distinct[:-1])
    negated = (CURVE_ORDER - int.from_bytes(key(0).to_bytes(), "big")).to_bytes(32, "big")
    opposite = bls.SecretKey.from_bytes(negated)
    assert bls.aggregate_public_keys([public_keys[0], opposite.public_key()]) == INFINITY_G1
    assert bls.aggregate([keys[0].sign(ROOT), opposite.sign(ROOT)]) == INFINITY_G2
    assert bls.aggregate([keys[0].sign(ROOT)] * 2) != INFINITY_G2


@pytest.mark.parametrize("seed", range(2))
def test_random_values_agree_with_py_ecc(seed: int) -> None:
    rng = Random(seed)
    scheme: Any = G2ProofOfPossession  # its own types are NewTypes of bytes
    secret = rng.randrange(1, CURVE_ORDER)
    message = rng.randbytes(32)
    ours = bls.SecretKey.from_bytes(secret.to_bytes(32, "big"))
    assert ours.public_key() == scheme.SkToPk(secret)
    assert ours.sign(message) == scheme.Sign(secret, message)
    assert scheme.Verify(ours.public_key(), message, ours.sign(message))
    assert bls.aggregate([ours.sign(message)] * 2) == scheme.Aggregate([ours.sign(message)] * 2)


@pytest.mark.parametrize("seed", range(25))
def test_random_values_agree_with_arkworks(seed: int) -> None:
    rng = Random(seed)
    secret, message = rng.randrange(1, CURVE_ORDER), rng.randbytes(rng.randrange(100))
    ours = bls.SecretKey.from_bytes(secret.to_bytes(32, "big"))
    scalar = arkworks.Scalar.from_le_bytes(secret.to_bytes(32, "little"))
    hashed = arkworks.G2Point.hash_to_curve(message, DOMAIN)
    public_key, signature = arkworks.G1Point() * scalar, hashed * scalar
    assert bytes(public_key.to_compressed_bytes()) == ours.public_key()
    assert bytes(signature.to_compressed_bytes()) == ours.sign(message)
    assert arkworks.GT.pairing(public_key, hashed) == arkworks.GT.pairing(
        arkworks.G1Point(), arkworks.G2Point.from_compressed_bytes(ours.sign(message))
    )
    assert hash_to_g2(message) is not None


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 95), st.integers(1, 255))
def test_changed_signature_never_verifies(message: bytes, position: int, change: int) -> None:
    signature = bytearray(key(3).sign(message))
    assert bls.verify(key(3).public_key(), message, bytes(signature))
    signature[position] ^= change
    assert not bls.verify(key(3).public_key(), message, bytes(signature))


def test_neutral_signatures_add_nothing() -> None:
    signatures = [key(n).sign(ROOT) for n in range(3)]
    expected = bls.aggregate(signatures)
    for position in range(4):
        mixed = [*signatures[:position], INFINITY_G2, *signatures[position:], INFINITY_G2]
        assert bls.aggregate(mixed) == expected
    assert bls.aggregate([INFINITY_G2] * 3) == INFINITY_G2


def test_sum_of_many_keys_equals_one_by_one() -> None:
    keys = [key(n).public_key() for n in range(70)]
    parsed = [bls.PublicKeyPoint.parse(data) for data in keys]
    total = bls.sum_public_keys(parsed[:1])
    for point in parsed[1:]:
        total = bls.sum_public_keys([total, point])
    assert bls.sum_public_keys(parsed) == total
    assert bls.aggregate_public_keys(keys) == total.to_bytes()


def test_threads_share_points_and_agree() -> None:
    point = bls.PublicKeyPoint.parse(key(1).public_key())
    signature = bls.SignaturePoint.parse(key(1).sign(ROOT), check_subgroup=False)
    with ThreadPoolExecutor(4) as pool:
        verdicts = pool.map(
            lambda n: bls.verify_points(point, ROOT if n % 2 else b"other", signature), range(40)
        )
    assert list(verdicts) == [False, True] * 20
