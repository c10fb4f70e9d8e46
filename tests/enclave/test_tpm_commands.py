"""Commands are those of the specification, and a TPM that answers nonsense is one that failed."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.enclave.fake_tpm import KEYS_MAX, FakeTpm
from tests.enclave.tpm_contract import CHECKS, made

from tetrarch.enclave.errors import TpmFailed
from tetrarch.enclave.tpm_commands import Code, Tpm, command


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_fake_keeps_the_contract(check: Callable[[Tpm], None]) -> None:
    check(Tpm(FakeTpm().exchange))


def test_bytes_are_those_of_the_specification() -> None:
    """Part 3, "Command/Response structure": tag, size, code, handles, sessions, parameters."""
    plain = command(Code.FLUSH_CONTEXT, (), (), b"\x80\0\0\0")
    assert plain.hex() == "80010000000e0000016580000000"
    signed = command(Code.QUOTE, (0x80000001,), (b"pw",), b"rest")
    assert signed.hex() == (
        "8002" "00000021" "00000158" "80000001" "0000000b" "40000009" "0000" "01" "00027077" "72657374"
    )  # fmt: skip


def test_another_tpm_makes_another_key() -> None:
    one, other = (made(Tpm(FakeTpm(seed=seed).exchange)) for seed in (b"1", b"2"))
    assert one.public.name != other.public.name


def test_a_full_tpm_says_so() -> None:
    tpm = Tpm(FakeTpm().exchange)
    for _ in range(KEYS_MAX):
        made(tpm)
    with pytest.raises(TpmFailed, match="0x902"):
        made(tpm)


def all_commands(tpm: Tpm) -> list[Callable[[], object]]:
    key = made(Tpm(FakeTpm().exchange))
    return [
        lambda: made(tpm),
        lambda: tpm.quote(key, bytes(32), (0,)),
        lambda: tpm.read_registers((0, 1)),
        tpm.loaded,
    ]


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3), st.booleans())
def test_noise_is_a_failure_and_no_more(noise: bytes, which: int, framed: bool) -> None:
    response = noise
    if framed:
        tag = b"\x80\x02" if which < 2 else b"\x80\x01"
        response = tag + (10 + len(noise)).to_bytes(4, "big") + bytes(4) + noise
    with pytest.raises(TpmFailed):
        all_commands(Tpm(lambda _: response))[which]()


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 3), st.data())
def test_any_other_bit_of_a_response_is_no_crash(which: int, data: st.DataObject) -> None:
    def exchange(sent: bytes) -> bytes:
        response = bytearray(FakeTpm(keys=dict(fake.keys)).exchange(sent))
        place = data.draw(st.integers(0, len(response) * 8 - 1))
        response[place // 8] ^= 1 << place % 8
        return bytes(response)

    fake = FakeTpm()
    made(Tpm(fake.exchange))
    try:
        all_commands(Tpm(exchange))[which]()
    except TpmFailed:
        return  # what is not noticed here does not verify as evidence
