"""A TPM vouches for this machine, boot and program, and for none else."""

from dataclasses import replace

import pytest
from tests.enclave.fake_tpm import FakeTpm

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.verifier import Evidence, verify
from tetrarch.enclave.errors import TpmFailed
from tetrarch.enclave.measurement import SECURITY_VERSION
from tetrarch.enclave.tpm_attesting import TpmAttester
from tetrarch.enclave.tpm_commands import Code, Tpm

SECRET = b"s" * 32
BOUND = b"b" * 64


def attester(fake: FakeTpm, *, secret: bytes = SECRET, program: bytes = b"p" * 32) -> TpmAttester:
    return TpmAttester.open(
        Tpm(fake.exchange), secret, program=program, protections=lambda: ("landlock:7",)
    )


def evidence_of(one: TpmAttester) -> Evidence:
    def never(_: bytes) -> bytes:
        raise AssertionError("the TPM signs")

    return one.evidence(BOUND, never)


def test_evidence_is_what_the_entry_allows() -> None:
    one = attester(FakeTpm())
    claims = verify(evidence_of(one), signing_key=b"", now_s=0.0)
    assert (claims.back_end, claims.bound) == (BackEnd.TPM2, BOUND)
    assert claims.details["protections"] == "landlock:7"
    entry = one.entry()
    assert (entry.back_end, entry.measurement) == (claims.back_end, claims.measurement)
    assert entry.security_version_min == claims.security_version == SECURITY_VERSION


def test_entry_is_the_same_after_a_restart_that_changes_nothing() -> None:
    fake = FakeTpm()
    before = attester(fake).entry()
    fake.restart()
    assert attester(fake).entry() == before


def test_another_machine_boot_program_or_folder_has_another_entry() -> None:
    booted_otherwise, running = FakeTpm(), FakeTpm()
    booted_otherwise.extend(4, b"another boot loader")
    running.extend(10, b"a program that somebody started")
    entries = {
        attester(FakeTpm()).entry(),
        attester(FakeTpm(seed=b"another")).entry(),
        attester(booted_otherwise).entry(),
        attester(FakeTpm(), program=b"q" * 32).entry(),
        attester(FakeTpm(), secret=b"t" * 32).entry(),
    }
    assert len(entries) == 5
    assert attester(running).entry() in entries, "what runs after the boot does not count"


def test_key_is_forgotten_at_the_end() -> None:
    fake = FakeTpm()
    one = attester(fake)
    one.close()
    assert not fake.keys
    with pytest.raises(TpmFailed):
        evidence_of(one)


class Changing:
    """A TPM whose PCRs change before each quote, for so many times."""

    def __init__(self, times: int) -> None:
        self.fake, self.times = FakeTpm(), times

    def exchange(self, command: bytes) -> bytes:
        if int.from_bytes(command[6:10], "big") == Code.QUOTE and self.times:
            self.times -= 1
            self.fake.extend(7, b"more")
        return self.fake.exchange(command)


def test_pcrs_that_change_meanwhile_are_read_again() -> None:
    changing = Changing(0)
    one = replace(attester(changing.fake), _tpm=Tpm(changing.exchange))
    before = one.entry()
    changing.times = 2
    assert one.entry() != before
    changing.times = 1000
    with pytest.raises(TpmFailed, match="change all the time"):
        one.entry()
