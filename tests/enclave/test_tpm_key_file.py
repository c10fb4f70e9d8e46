"""A TPM key file opens on one machine, as it was booted, and is no secret."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.enclave.fake_tpm import FakeTpm

from tetrarch.enclave.errors import BootChanged, SealInvalid, TpmFailed
from tetrarch.enclave.tpm_commands import Tpm
from tetrarch.enclave.tpm_key_file import SIZE_BYTES, TpmKeyFile
from tetrarch.entropy import system_entropy


def made(fake: FakeTpm, *registers: int) -> TpmKeyFile:
    return TpmKeyFile.make(Tpm(fake.exchange), registers, system_entropy)


def secret(fake: FakeTpm, file: TpmKeyFile) -> bytes:
    return file.secret(Tpm(fake.exchange))


@pytest.mark.parametrize("registers", [(), (7,), (11, 0, 23)])
def test_secret_comes_back_after_a_restart_and_nothing_stays_in_the_tpm(
    registers: tuple[int, ...],
) -> None:
    fake = FakeTpm()
    file = made(fake, *registers)
    first = secret(fake, file)
    fake.restart()
    again = TpmKeyFile.read(file.content)
    assert (again, again.registers) == (file, tuple(sorted(registers)))
    assert secret(fake, again) == first
    assert first not in file.content
    assert (fake.deriving, fake.sessions) == ({}, {})


def test_each_file_and_each_tpm_has_another_secret() -> None:
    fake, other = FakeTpm(), FakeTpm(seed=b"other")
    file = made(fake)
    assert len({secret(fake, file), secret(fake, made(fake)), secret(other, file)}) == 3


def test_machine_that_was_booted_otherwise_gets_nothing() -> None:
    fake = FakeTpm()
    free, bound = made(fake), made(fake, 7, 11)
    before = secret(fake, free)
    fake.extend(4, b"a boot loader that no policy names")
    assert secret(fake, bound)
    fake.extend(11, b"another kernel")
    assert secret(fake, free) == before
    with pytest.raises(BootChanged, match="restore a backup") as caught:
        secret(fake, bound)
    assert caught.value.fields["registers"] == (7, 11)
    assert (fake.deriving, fake.sessions) == ({}, {})


def test_policy_that_was_cut_out_of_the_file_opens_nothing() -> None:
    fake = FakeTpm()
    bound = made(fake, 7)
    free = TpmKeyFile(bound.salt, b"", ())
    assert secret(fake, free) != secret(fake, bound)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: b"x" + raw[1:],
        lambda raw: raw[:8] + b"\2" + raw[9:],
        lambda raw: raw[:-3] + bytes(3),  # a policy of no PCR
        lambda raw: raw[:41] + bytes(32) + raw[73:],  # PCRs, and no policy
    ],
)
def test_other_files_are_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SealInvalid, match="read TPM key file"):
        TpmKeyFile.read(spoil(made(FakeTpm(), 7).content))


@given(st.binary(min_size=SIZE_BYTES, max_size=SIZE_BYTES))
def test_any_bytes_are_a_file_or_an_error(noise: bytes) -> None:
    raw = b"tetrtpmk\x01" + noise[9:]
    try:
        file = TpmKeyFile.read(raw)
    except SealInvalid:
        return
    assert file.content == raw


def test_tpm_that_is_full_says_so() -> None:
    fake = FakeTpm()
    file = made(fake)
    for salt in range(3):
        Tpm(fake.exchange).make_deriving_key(bytes([salt]) * 32, b"")
    with pytest.raises(TpmFailed, match="0x902"):
        secret(fake, file)
