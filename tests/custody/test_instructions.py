"""One form, and nothing else."""

import pytest

from tetrarch.custody.instructions import Deposit, decode_deposit, encode_deposit

ACCOUNT = b"a" * 32


@pytest.mark.parametrize("back_to", [b"", b"x", b"bc1qaddress", b"y" * 128])
def test_what_is_written_is_read(back_to: bytes) -> None:
    deposit = Deposit(ACCOUNT, back_to)
    data = encode_deposit(deposit)
    assert decode_deposit(data) == deposit
    assert len(data) <= 162
    if len(back_to) <= 45:
        assert len(data) <= 80, "as much as nodes relay"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01" + ACCOUNT[:-1],
        b"\x02" + ACCOUNT,
        b"\x00" + ACCOUNT,
        b"\x01" + ACCOUNT + b"\x00",
        b"\x01" + ACCOUNT + b"\x02a",
        b"\x01" + ACCOUNT + b"\x01ab",
        b"\x01" + ACCOUNT + b"\x81" + b"y" * 129,
    ],
)
def test_anything_else_is_none(data: bytes) -> None:
    assert decode_deposit(data) is None
