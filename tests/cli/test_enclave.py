"""``tetrarch enclave`` as an operator types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from omne_attest import vectors as amd
from tests.enclave.fake_tpm import FakeTpm
from tests.vectors_path import vectors

TETRARCH = (sys.executable, "-m", "tetrarch", "enclave")
LATE_2026 = "2026-11-01T00:00Z"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*TETRARCH, *map(str, arguments)), capture_output=True, text=True, timeout=60, check=False
    )


def snp(folder: Path, *options: object, report: bytes = b"") -> subprocess.CompletedProcess[str]:
    (folder / "report").write_bytes(report or amd.attestation())
    arguments: list[object] = ["verify", "sev-snp", folder / "report", "--at", LATE_2026]
    for name in ("kds_vcek.der", "milan_ask.der", "milan_ark.der"):
        arguments += ["--endorsement", amd.path(name)]
    return command(*arguments, *options)


def test_measurement_is_printed_as_an_entry_of_a_policy() -> None:
    plain, told = command("measure"), json.loads(command("measure", "--json").stdout)
    assert plain.stdout.strip() == told["entry"]
    assert told["entry"] == f"software:{told['measurement']}:{told['security_version']}"
    assert "no_core" in told["protections"]


def test_measurement_by_a_tpm_is_of_this_machine_and_folder(tmp_path: Path) -> None:
    fake = FakeTpm()
    with fake.serve(tmp_path / "s") as tpm:
        first, again, other = (
            command("measure", "--tpm", tpm, "--folder", tmp_path / name, "--json")
            for name in ("one", "one", "two")
        )
        fake.extend(4, b"another boot loader")
        changed = command("measure", "--tpm", tpm, "--folder", tmp_path / "one")
    told = json.loads(first.stdout)
    assert told["entry"] == f"tpm2:{told['measurement']}:{told['security_version']}"
    assert json.loads(again.stdout) == told
    assert json.loads(other.stdout)["entry"] != told["entry"]
    assert changed.stdout.startswith("tpm2:")
    assert changed.stdout.strip() != told["entry"]
    assert not fake.keys, "the TPM is left as it was"
    absent = command("measure", "--tpm", tmp_path / "absent", "--folder", tmp_path / "one")
    assert (absent.returncode, "tpm_missing" in absent.stderr) == (69, True)
    assert command("measure", "--tpm", tmp_path / "absent").returncode == 78


def test_genuine_report_is_told(tmp_path: Path) -> None:
    ended = snp(tmp_path, "--json")
    told = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert told["measurement"] == amd.attestation()[0x90:0xC0].hex()
    assert told["debug"] is True
    assert told["allowed"] is False
    assert "measurement" in snp(tmp_path).stdout


def test_debug_mode_is_allowed_by_no_entry(tmp_path: Path) -> None:
    ended = snp(tmp_path, "--allow", f"sev-snp:{amd.attestation()[0x90:0xC0].hex()}")
    assert ended.returncode == 77
    assert "debug mode" in ended.stderr


def test_every_fault_is_one_line_with_its_code(tmp_path: Path) -> None:
    damaged = bytearray(amd.attestation())
    damaged[100] ^= 1
    missing = command("verify", "nitro", tmp_path / "absent")
    for ended, code, words in (
        (snp(tmp_path, report=bytes(damaged)), 65, "its signature"),
        (snp(tmp_path, "--bound", "00" * 64), 65, "something else"),
        (snp(tmp_path, "--bound", "xyz"), 78, "no hex"),
        (snp(tmp_path, "--at", "tomorrow"), 78, "ISO 8601"),
        (snp(tmp_path, "--at", "2001-01-01"), 65, "not valid now"),
        (snp(tmp_path, "--allow", "sev-snp:00"), 78, "32 or 48 bytes"),
        (missing, 66, "file_unreadable"),
    ):
        assert ended.returncode == code, ended.stderr
        assert ended.stderr.startswith("error: ")
        assert len(ended.stderr.splitlines()) == 1
        assert words in ended.stderr
        assert ended.stdout == ""


@pytest.mark.parametrize(("back_end", "at"), [("nitro", ""), ("sgx", "2025-06-25T00:00Z")])
def test_genuine_documents_of_others_are_told(back_end: str, at: str) -> None:
    files = vectors("attestation")
    document = files / ("nitro-2022-debug.cose" if back_end == "nitro" else "sgx-v3.quote")
    options: list[object] = ["--at", at, "--endorsement", files / "sgx-v3.collateral.json"]
    ended = command("verify", back_end, document, "--json", *(options if at else ()))
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["back_end"] == back_end
    assert len(told["measurement"]) == (96 if back_end == "nitro" else 64)
