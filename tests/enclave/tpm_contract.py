"""What an enclave rests on when it uses a TPM: the same for a real one and for ``FakeTpm``."""

import hashlib
from dataclasses import replace

import pytest

from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.attestation.software import Report, encode_report
from tetrarch.attestation.tpm2 import (
    Document,
    encode_document,
    extra_data,
    is_signed,
    verify_tpm2,
)
from tetrarch.attestation.tpm_structures import (
    ATTESTING,
    COUNTING,
    CounterAttribute,
    CounterValue,
    Quote,
    counter_area,
    name_of,
)
from tetrarch.enclave.errors import TpmFailed
from tetrarch.enclave.tpm_attesting import BOOT_REGISTERS
from tetrarch.enclave.tpm_commands import LoadedKey, Tpm

REPORT = encode_report(Report(b"\1" * 32, 1, b"\2" * 64, ()))


def made(tpm: Tpm, *, x: bytes = b"x" * 32, y: bytes = b"y" * 32) -> LoadedKey:
    return tpm.make_key(x=x, y=y, auth=b"a" * 32)


def check_keys_follow_from_both_secrets(tpm: Tpm) -> None:
    names = []
    for x, y in ((b"x", b"y"), (b"x", b"y"), (b"X", b"y"), (b"x", b"Y")):
        key = made(tpm, x=x * 32, y=y * 32)
        assert key.public.attributes == ATTESTING
        names.append(key.public.name)
        tpm.flush(key.handle)
    assert names[0] == names[1]
    assert len(set(names)) == 3


def check_key_wants_its_auth_value(tpm: Tpm) -> None:
    key = made(tpm)
    for auth in (b"", b"b" * 32):
        with pytest.raises(TpmFailed, match="0x9a2"):
            tpm.quote(replace(key, auth=auth), bytes(32), (0,))
    tpm.quote(key, bytes(32), (0,))
    tpm.flush(key.handle)


def check_what_is_flushed_is_gone(tpm: Tpm) -> None:
    key = made(tpm)
    assert tpm.loaded() == (key.handle,)
    tpm.flush(key.handle)
    assert tpm.loaded() == ()
    with pytest.raises(TpmFailed, match="QUOTE"):
        tpm.quote(key, bytes(32), (0,))
    with pytest.raises(TpmFailed, match="FLUSH"):
        tpm.flush(key.handle)


def check_quotes_are_evidence(tpm: Tpm) -> None:
    key = made(tpm)
    contents = tpm.read_registers(BOOT_REGISTERS)
    assert len(contents) == 32 * len(BOOT_REGISTERS)
    quote, signature = tpm.quote(key, extra_data(REPORT), BOOT_REGISTERS)
    assert Quote.read(quote).digest == hashlib.sha256(contents).digest()
    document = Document(REPORT, key.public.encoded, quote, signature, contents)
    assert verify_tpm2(encode_document(document)).bound == b"\2" * 64
    other, _ = tpm.quote(key, bytes(32), BOOT_REGISTERS)
    document = Document(REPORT, key.public.encoded, other, signature, contents)
    with pytest.raises(EvidenceInvalid, match="its signature"):
        verify_tpm2(encode_document(document))
    tpm.flush(key.handle)


INDEX = 0x01812345
AUTH = b"c" * 32


def value_of(tpm: Tpm, key: LoadedKey, *, index: int = INDEX, auth: bytes = AUTH) -> int:
    statement, signature = tpm.certify_counter(key, index, auth, b"n" * 32)
    assert is_signed(key.public, statement, signature)
    read = CounterValue.read(statement)
    assert read.extra_data == b"n" * 32
    assert read.name == name_of(counter_area(index, COUNTING | CounterAttribute.WRITTEN))
    return read.value


def check_counters_only_grow(tpm: Tpm) -> None:
    key = made(tpm)
    with pytest.raises(TpmFailed):
        tpm.advance_counter(INDEX, AUTH)
    tpm.define_counter(INDEX, AUTH)
    with pytest.raises(TpmFailed, match="0x14c"):
        tpm.define_counter(INDEX, b"d" * 32)
    with pytest.raises(TpmFailed, match="0x14a"):
        value_of(tpm, key)
    tpm.advance_counter(INDEX, AUTH)
    first = value_of(tpm, key)
    assert first > 0
    tpm.advance_counter(INDEX, AUTH)
    assert value_of(tpm, key) == first + 1 == value_of(tpm, key)
    with pytest.raises(TpmFailed, match="0x9a2"):
        tpm.advance_counter(INDEX, b"d" * 32)
    with pytest.raises(TpmFailed, match="0xaa2"):
        value_of(tpm, key, auth=b"d" * 32)
    tpm.define_counter(INDEX + 1, AUTH)
    tpm.advance_counter(INDEX + 1, AUTH)
    assert value_of(tpm, key, index=INDEX + 1) > 0
    assert value_of(tpm, key) == first + 1, "each has its own value"
    tpm.flush(key.handle)


def check_secrets_follow_from_the_salt(tpm: Tpm) -> None:
    secrets = []
    for salt in (b"s", b"s", b"S"):
        key = tpm.make_deriving_key(salt * 32, b"")
        secrets += [tpm.hmac(key, b"text"), tpm.hmac(key, b"other text")]
        tpm.flush(key)
    assert secrets[:2] == secrets[2:4]
    assert len(set(secrets)) == 4
    assert {len(each) for each in secrets} == {32}


def check_policy_wants_what_the_registers_held(tpm: Tpm) -> None:
    policy = tpm.policy_of((3, 7))
    assert tpm.policy_of((3, 7)) == policy
    assert policy not in (tpm.policy_of((7,)), tpm.policy_of((3, 8)))
    key = tpm.make_deriving_key(b"s" * 32, policy)
    secret = tpm.hmac(key, b"text", registers=(3, 7))
    assert tpm.hmac(key, b"text", registers=(3, 7)) == secret
    with pytest.raises(TpmFailed, match="HMAC"):
        tpm.hmac(key, b"text")
    for _ in range(4):  # more than a TPM holds sessions: none is left behind
        with pytest.raises(TpmFailed, match="HMAC"):
            tpm.hmac(key, b"text", registers=(7,))
    tpm.flush(key)
    assert tpm.loaded() == ()


CHECKS = (
    check_secrets_follow_from_the_salt,
    check_policy_wants_what_the_registers_held,
    check_counters_only_grow,
    check_keys_follow_from_both_secrets,
    check_key_wants_its_auth_value,
    check_what_is_flushed_is_gone,
    check_quotes_are_evidence,
)
