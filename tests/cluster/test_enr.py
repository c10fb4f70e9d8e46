"""Node records, on the standard's example, and against mutation."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.cluster.enr import decode_enr, encode_enr
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.errors import InputInvalid

# EIP-778, "Test Vectors".
EXAMPLE = (
    "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wB"
    "gmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8"
)
EXAMPLE_KEY = IdentityKey.from_bytes(
    bytes.fromhex("b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291")
)


def test_example_of_the_standard():
    record = decode_enr(EXAMPLE)
    assert record.public_key == EXAMPLE_KEY.public_key()
    assert record.public_key.hex() == (
        "03ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd3138"
    )
    assert record.sequence == 1
    assert dict(record.pairs)[b"ip"] == bytes([127, 0, 0, 1])
    assert dict(record.pairs)[b"udp"] == (30303).to_bytes(2, "big")


def test_old_padded_text_is_understood():
    assert decode_enr(EXAMPLE + "=") == decode_enr(EXAMPLE)


@given(st.integers(1, 2**255).map(lambda value: IdentityKey.from_bytes(value.to_bytes(32, "big"))))
def test_round_trip(key):
    record = decode_enr(encode_enr(key))
    assert (record.public_key, record.sequence) == (key.public_key(), 0)


@given(st.data())
def test_any_changed_byte_is_refused(data):
    record = bytearray(base64.urlsafe_b64decode(encode_enr(EXAMPLE_KEY)[4:] + "=="))
    position = data.draw(st.integers(0, len(record) - 1))
    record[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InputInvalid):
        decode_enr("enr:" + base64.urlsafe_b64encode(record).decode().rstrip("="))


@given(st.binary(max_size=320))
def test_garbage_is_refused_and_nothing_else(garbage):
    with pytest.raises(InputInvalid):
        decode_enr("enr:" + base64.urlsafe_b64encode(garbage).decode().rstrip("="))


@pytest.mark.parametrize(
    "text", ["", "enr:", "enr:!!!!", EXAMPLE[4:], EXAMPLE + "A" * 1024, "enr:é"]
)
def test_other_text_is_refused(text):
    with pytest.raises(InputInvalid):
        decode_enr(text)
