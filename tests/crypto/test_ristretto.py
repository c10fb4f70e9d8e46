"""libsodium's ristretto255 behind our names: RFC 9496's figures, an oracle in integers, and what it refuses."""

from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto import ristretto_oracle as oracle

from tetrarch.crypto.ristretto import (
    BASE,
    IDENTITY,
    ORDER,
    Point,
    PointInvalid,
    Scalar,
    ScalarInvalid,
    add,
    add_scalars,
    decode_point,
    decode_scalar,
    map_to_point,
    multiply,
    multiply_base,
    multiply_scalars,
    reduce_scalar,
    subtract,
)

# RFC 9496, A.1: small multiples of the base point.
MULTIPLES = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
)
# RFC 9496, A.2: what is no point, and why.
INVALID = (
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",  # not below p
    "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",  # negative
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",  # no square
    "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",  # negative xy
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # y = 0
)

scalars = st.integers(min_value=0, max_value=ORDER - 1)


def scalar(value: int) -> Scalar:
    return Scalar((value % ORDER).to_bytes(32, "little"))


@pytest.mark.parametrize("times", range(len(MULTIPLES)))
def test_multiples_of_the_base_point(times: int) -> None:
    expected = bytes.fromhex(MULTIPLES[times])
    assert multiply_base(scalar(times)) == expected
    assert multiply(scalar(times), BASE) == expected
    assert oracle.encode(oracle.multiply(times, oracle.BASE)) == expected


@pytest.mark.parametrize("text", INVALID)
def test_what_is_no_point_is_refused(text: str) -> None:
    with pytest.raises(PointInvalid):
        decode_point(bytes.fromhex(text))
    assert oracle.decode(bytes.fromhex(text)) is None


@pytest.mark.parametrize("data", [IDENTITY, b"", BASE[:31], BASE + b"\0"])
def test_the_identity_and_other_lengths_are_refused(data: bytes) -> None:
    with pytest.raises(PointInvalid):
        decode_point(data)


def test_scalars_have_one_form() -> None:
    assert decode_scalar((ORDER - 1).to_bytes(32, "little")) == scalar(-1)
    for data in (ORDER.to_bytes(32, "little"), b"\xff" * 32, b"", bytes(31), bytes(33)):
        with pytest.raises(ScalarInvalid):
            decode_scalar(data)


def test_the_reference_maps_a_byte_to_this_point() -> None:
    wide = blake2b(b"\x01", digest_size=64).digest()
    expected = "203c1d0461b82aec4f5c9a71cd5c07047a11a65f7f972ee1ca532a3a32a30152"
    assert map_to_point(wide).hex() == expected


@settings(max_examples=25)
@given(wide=st.binary(min_size=64, max_size=64), a=scalars, b=scalars)
def test_the_group_is_that_of_the_rfc(wide: bytes, a: int, b: int) -> None:
    point = map_to_point(wide)
    slow = oracle.map_to_point(wide)
    assert point == oracle.encode(slow)
    product = multiply(scalar(a), point)
    assert product == oracle.encode(oracle.multiply(a, slow))
    other = multiply_base(scalar(b))
    both = oracle.add(oracle.multiply(a, slow), oracle.multiply(b, oracle.BASE))
    assert add(product, other) == oracle.encode(both)
    assert subtract(add(product, other), other) == product


@given(wide=st.binary(min_size=64, max_size=64), a=scalars, b=scalars)
def test_scalars_are_numbers_modulo_the_order(wide: bytes, a: int, b: int) -> None:
    assert reduce_scalar(wide) == scalar(int.from_bytes(wide, "little"))
    assert add_scalars(scalar(a), scalar(b)) == scalar(a + b)
    assert multiply_scalars(scalar(a), scalar(b)) == scalar(a * b)


def test_a_point_less_itself_is_the_identity() -> None:
    assert subtract(BASE, BASE) == IDENTITY
    assert add(BASE, Point(IDENTITY)) == BASE
