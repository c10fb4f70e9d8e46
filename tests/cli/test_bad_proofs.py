"""Proofs and seals that are wrong in one way, as an operator meets them: one line, a code, no traceback."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.election.support import KEYS, configuration, leading, view_of
from tests.ports import free_ports
from tests.vectors_path import vectors
from typer.testing import CliRunner, Result

from tetrarch.attestation.software import Report, signed_bytes, software_document
from tetrarch.cli.main import app
from tetrarch.election.configuration import Configuration
from tetrarch.election.documents import certificate_fields, configuration_document
from tetrarch.election.keys import MemberKeys
from tetrarch.election.quorums import Mode
from tetrarch.election.statements import Leader
from tetrarch.enclave.attesting import SoftwareAttester
from tetrarch.enclave.electing import Electing
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.host import Host
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.enclave.state_key import PLAIN_FILE
from tetrarch.entropy import system_entropy


def tetrarch(*arguments: object) -> Result:
    """In this process: starting one takes longer than what is tried."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


def the_line(ended: Result, code: int, *, on_output: bool = False) -> str:
    """The one line that it told, where it belongs, with this exit code."""
    told, other = ended.stdout, ended.stderr
    if not on_output:
        told, other = other, told
    assert ended.exit_code == code, ended.output
    assert other == ""
    (line,) = told.splitlines()
    return line


# --- tetrarch election verify ------------------------------------------------------------------

C = configuration()
LEADER = Leader(view_of(C), 0)
FIELDS = certificate_fields(leading(LEADER, (0, 1, 2)), C)


def signatures(*signers: int) -> dict[str, Any]:
    return certificate_fields(leading(LEADER, signers), C)["signatures"]  # type: ignore[no-any-return]


def flipped(text: str, bit: int) -> str:
    changed = bytearray.fromhex(text)
    changed[bit // 8] ^= 1 << bit % 8
    return changed.hex()


def one_bit() -> dict[str, Any]:
    name, text = next(iter(FIELDS["signatures"].items()))
    return {**FIELDS, "signatures": {**FIELDS["signatures"], name: flipped(text, 123)}}


def twice() -> dict[str, Any]:
    """A third name, with the signature of the first."""
    two = signatures(0, 1)
    return {**FIELDS, "signatures": {**two, "node2": two["node0"]}}


CERTIFICATES: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "q - 1 signers": (lambda: json.dumps({**FIELDS, "signatures": signatures(0, 1)}), "quorum"),
    "a signer twice": (lambda: json.dumps(twice()), "false signature"),
    "a foreign signer": (
        lambda: json.dumps({**FIELDS, "signatures": {**signatures(0, 1), "node9": "00" * 64}}),
        "names no member",
    ),
    "one flipped bit": (lambda: json.dumps(one_bit()), "false signature"),
    "another term": (lambda: json.dumps({**FIELDS, "term": 2}), "false signature"),
    "another leader": (lambda: json.dumps({**FIELDS, "leader": "node1"}), "false signature"),
    "of another configuration": (
        lambda: json.dumps({**FIELDS, "configuration_hash": "00" * 32}),
        "another configuration",
    ),
    "cut short": (lambda: json.dumps(FIELDS)[:-40], "truncated"),
    "garbage": (lambda: b"\xff\x00garbage", "malformed"),
    "nothing": (lambda: b"", "truncated"),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificate_that_proves_nothing(tmp_path: Path, name: str) -> None:
    make, reason = CERTIFICATES[name]
    text = make()
    keys = MemberKeys(tuple(key.public_key().public_bytes_raw() for key in KEYS[:4]))
    (tmp_path / "election.json").write_bytes(configuration_document(C, keys))
    path = tmp_path / "leader.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    arguments = ("election", "verify", path, "-c", tmp_path / "election.json")
    line = the_line(tetrarch(*arguments), 1, on_output=True)
    assert line.startswith(f"not proven: {path}: ")
    assert reason in line
    assert "get the line again" in line
    if name == "one flipped bit":
        path.write_text(json.dumps(FIELDS))
        assert tetrarch(*arguments).exit_code == 0, "unchanged it is proven"


# --- tetrarch election node --------------------------------------------------------------------


def sealed_state(folder: Path, c: Configuration, source: int, secret: SealSecret) -> Path:
    """The state of a member that ran before."""
    host = Host(
        attester=SoftwareAttester(b"m" * 32, tuple),
        entropy=system_entropy,
        read=SecretReader(system_entropy),
        now_ms=lambda: 0,
        wall_s=lambda: 0.0,
    )
    with closing(
        Electing.open(
            files=ElectionFiles(folder, secret), configuration=c, source=source, host=host
        )
    ):
        pass
    (path,) = folder.glob("election-*.sealed")
    return path


def node(
    folder: Path, kind: Kind, damage: Callable[[Path, Path], None]
) -> subprocess.CompletedProcess[str]:
    """Start a member over a state that was sealed by ``kind`` and damaged then."""
    own, other = free_ports(2)
    names = tuple(sorted(f"127.0.0.1:{port}" for port in (own, other)))
    c = Configuration(members=names, mode=Mode.BFT)
    secret = folder / ("passphrase" if kind is Kind.PASSPHRASE else PLAIN_FILE)
    secret.write_bytes(b"k" * 32)
    secret.chmod(0o600)
    source = names.index(f"127.0.0.1:{own}")
    damage(sealed_state(folder, c, source, SealSecret(kind, secret)), secret)
    options = ("--passphrase-file", secret) if kind is Kind.PASSPHRASE else ()
    words = ("election", "node", "-p", own, "-n", other, "--folder", folder, *options)
    return subprocess.run(
        (sys.executable, "-m", "tetrarch", *map(str, words)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def other_secret(_state: Path, secret: Path) -> None:
    secret.write_bytes(b"j" * 32)


def changed(state: Path, _secret: Path) -> None:
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)


def cut(state: Path, _secret: Path) -> None:
    state.write_bytes(state.read_bytes()[:50])


def noise(state: Path, _secret: Path) -> None:
    state.write_bytes(b"garbage" * 100)


@pytest.mark.parametrize(
    ("kind", "damage", "words"),
    [
        (Kind.PASSPHRASE, other_secret, ("seal_secret_wrong", "passphrase", "give the")),
        (Kind.KEY_FILE, other_secret, ("seal_secret_wrong", "key_file", "give the")),
        (Kind.PASSPHRASE, changed, ("seal_invalid", "changed", "restore the file")),
        (Kind.KEY_FILE, cut, ("seal_invalid", "too short", "restore the file")),
        (Kind.KEY_FILE, noise, ("seal_invalid", "no seal", "restore the file")),
    ],
)
def test_state_that_does_not_open(
    tmp_path: Path, kind: Kind, damage: Callable[[Path, Path], None], words: tuple[str, ...]
) -> None:
    ended = node(tmp_path, kind, damage)
    assert ended.returncode == 65, ended.stderr
    (line,) = (each for each in ended.stderr.splitlines() if each.startswith("error: "))
    assert all(word in line for word in words), line
    assert "Traceback" not in ended.stderr
    assert "k" * 32 not in ended.stderr


# --- tetrarch enclave verify -------------------------------------------------------------------

KEY = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
PUBLIC = KEY.public_key().public_bytes_raw().hex()
REPORT = Report(b"\1" * 32, 3, b"\2" * 64, ())
LISTED = f"software:{REPORT.measurement.hex()}:3"
THEN = "2025-06-25T00:00Z"


def software(folder: Path, *options: object, document: bytes = b"") -> Result:
    path = folder / "evidence"
    path.write_bytes(document or software_document(REPORT, KEY.sign(signed_bytes(REPORT))))
    return tetrarch("enclave", "verify", "software", path, "--signing-key", PUBLIC, *options)


def test_listed_evidence_is_allowed(tmp_path: Path) -> None:
    ended = software(tmp_path, "--allow", LISTED, "--bound", "02" * 64)
    assert ended.exit_code == 0, ended.output


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--allow", "software:" + "09" * 32), 77, ("not a listed measurement", "01" * 32)),
        (("--allow", f"software:{'01' * 32}:4"), 77, ("an older security version",)),
        (("--allow", "nitro:" + "01" * 48), 77, ("not a listed measurement",)),
        (("--allow", LISTED, "--bound", "03" * 64), 65, ("evidence_foreign", "nonce of your own")),
        (("--bound", "03" * 64), 65, ("about something else",)),
        (("--signing-key", "00" * 32), 65, ("its signature", "get the evidence again")),
    ],
)
def test_genuine_evidence_of_something_else(
    tmp_path: Path, options: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    """Another measurement, an older version, and evidence that was made for another question."""
    line = the_line(software(tmp_path, *options), code)
    assert line.startswith("error: ")
    assert all(word in line for word in words), line


@pytest.mark.parametrize("back_end", ["software", "nitro", "sev-snp", "sgx", "tdx"])
@pytest.mark.parametrize("document", [b"\xff" * 700, b"x"], ids=["garbage", "cut short"])
def test_documents_that_are_none(tmp_path: Path, back_end: str, document: bytes) -> None:
    (tmp_path / "evidence").write_bytes(document)
    endorsements = {"sev-snp": 3, "sgx": 1, "tdx": 1}.get(back_end, 0)
    options = ("--endorsement", tmp_path / "evidence") * endorsements
    line = the_line(tetrarch("enclave", "verify", back_end, tmp_path / "evidence", *options), 65)
    assert line.startswith("error: verify evidence: evidence_invalid (")
    assert "do not trust it" in line


def test_evidence_and_collateral_of_the_past(tmp_path: Path) -> None:
    files = vectors("attestation")
    nitro = files / "nitro-2022-debug.cose"
    entry = "nitro:" + "00" * 48
    line = the_line(tetrarch("enclave", "verify", "nitro", nitro, "--allow", entry), 65)
    assert "evidence_stale" in line
    assert "age_s=" in line
    assert "get new evidence" in line

    quote, collateral = files / "sgx-v3.quote", files / "sgx-v3.collateral.json"
    options = (quote, "--endorsement", collateral)
    line = the_line(tetrarch("enclave", "verify", "sgx", *options, "--at", "2027-01-01"), 65)
    assert "evidence_stale" in line
    assert "xpired" in line
    assert "current collateral" in line
    line = the_line(tetrarch("enclave", "verify", "sgx", *options, "--at", "2001-01-01"), 65)
    assert "evidence_stale" in line

    (tmp_path / "cut").write_bytes(quote.read_bytes()[:-2000])
    options = (tmp_path / "cut", "--endorsement", collateral)
    line = the_line(tetrarch("enclave", "verify", "sgx", *options, "--at", THEN), 65)
    assert "evidence_invalid" in line
