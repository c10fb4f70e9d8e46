"""Bytes that come along with coins, whichever way."""

from hashlib import sha256

import pytest

from tetrarch.custody.chains.bitcoin.blocks import Found, Spend
from tetrarch.custody.chains.bitcoin.carried import carried
from tetrarch.custody.outputs import OutputId

DATA = b"d" * 33
LOCK = b"\xa8\x20" + sha256(DATA).digest() + b"\x88"


def found(*scripts: bytes, witness: tuple[bytes, ...] = ()) -> Found:
    outputs = tuple((1, script) for script in scripts)
    return Found(b"t" * 32, (Spend(OutputId(b"o" * 36), witness),), outputs, is_first=False)


@pytest.mark.parametrize(
    ("script", "data"),
    [
        (b"\x6a\x21" + DATA, DATA),
        (b"\x6a\x4c\x21" + DATA, DATA),
        (b"\x6a\x4d\x21\x00" + DATA, DATA),
        (b"\x6a\x02ab\x21" + DATA, DATA),  # the last push
        (b"\x6a", b""),
        (b"\x6a\x22" + DATA, b""),  # cut
        (b"\x6a\x4c", b""),
        (b"\x6a\x4d\xff", b""),
        (b"\x6a\x51", b""),  # no push of bytes
        (b"\x6a\x4e\x21\x00\x00\x00" + DATA, b""),
        (b"\x6a\x4d\x01\x02" + b"x" * 513, b""),  # more than any instruction has
        (b"\x21" + DATA, b""),
    ],
)
def test_outputs_that_nobody_can_spend(script: bytes, data: bytes) -> None:
    assert carried(found(b"\x51", script)) == data


def test_the_first_of_them_counts() -> None:
    assert carried(found(b"\x6a\x01a", b"\x6a\x01b")) == b"a"


def test_bytes_that_an_input_reveals() -> None:
    assert carried(found(b"\x51", witness=(b"sig", DATA, LOCK + b"\x51"))) == DATA
    assert carried(found(b"\x51", witness=(DATA, LOCK))) == DATA
    for other in (
        (DATA,),
        (),
        (LOCK,),
        (DATA, b"\xa8\x20" + b"h" * 32 + b"\x87"),
        (DATA, b"\xa9" + LOCK[1:]),
    ):
        assert carried(found(b"\x51", witness=other)) == b""
    assert carried(found(b"\x6a\x01a", witness=(DATA, LOCK))) == b"a", "the output goes first"
    assert carried(found(b"\x51", witness=(b"x" * 513, LOCK))) == b""
