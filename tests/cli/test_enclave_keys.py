"""`tetrarch enclave seal|keygen|attest` as an operator types them."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from tests.cli.enclave_commands import content, refused, run, told
from tests.cluster.cluster_world import create, open_node
from tests.duties.duty_world import RecordingLog
from tests.enclave.ceremony_world import key_file, passphrase_file
from tests.enclave.enclave_world import OLD_CHAIN, vote
from tests.enclave.fake_tpm import FakeTpm
from tests.integration.processes import run_tetrarch
from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.cluster.load import load_cluster
from tetrarch.config import load_config
from tetrarch.duties.types import PubKey
from tetrarch.enclave.ports import Approved
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealed_keys import SealedKeys
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.enclave.state_key import FILE, PLAIN_FILE, state_secret
from tetrarch.entropy import system_entropy
from tetrarch.launch import ELECTION_FOLDER
from tetrarch.observability.logs import Log, SilentLog
from tetrarch.share_files import seal_secret, sealed_file
from tetrarch.signing_source import ENCLAVE_DATABASE_FILE, enclave_of
from tetrarch.storage.lock import OwnerLock

NONCE = "11" * 32


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "cluster"
    create(folder)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original / "node0", tmp_path / "node0")
    return tmp_path / "node0"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return Path(key_file(tmp_path / "key").path)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    return Path(passphrase_file(tmp_path / "words").path)


def signed_by(folder: Path, log: Log | None = None) -> int:
    """How many validators the folder's enclave signs for, opened as a node opens it."""
    cluster, log = load_cluster(folder), log or SilentLog()

    async def main() -> int:
        enclave = enclave_of(folder, load_config(folder), cluster=cluster, chain=OLD_CHAIN, log=log)
        async with enclave as client:
            requests = tuple(vote(v.pubkey, 3, 4) for v in cluster.validators)
            return sum(isinstance(each, Approved) for each in await client.sign(requests))

    return asyncio.run(main())


def test_a_node_signs_with_sealed_shares_once_their_secret_is_configured(
    folder: Path, words: Path
) -> None:
    ended = run("seal", folder, "--passphrase-file", words)
    assert ended.returncode == 0, ended.stderr
    assert "sealed 3 shares in" in ended.stdout
    assert "3 keystores still lie beside it" in ended.stderr
    assert "[enclave] passphrase_file in" in ended.stderr
    (folder / "tetrarch.toml").write_text(f'[enclave]\npassphrase_file = "{words}"\n')
    log = RecordingLog()
    assert signed_by(folder, log) == 2
    assert [fields["count"] for fields in log.find("keystores_beside_seal")] == [2]
    answer = told("seal", folder, "--remove-keystores")
    assert answer == {
        "ok": True,
        "file": str(folder / "enclave/keys.sealed"),
        "edition": 1,
        "sealed": 3,  # the cluster's own key, too
        "newly_sealed": 0,
        "absent": 0,
        "sealed_anew": False,
        "keystores_left": 0,
        "files_removed": 6,
    }
    assert list((folder / "validator_keys").iterdir()) == []
    assert list((folder / "cluster_key").iterdir()) == []
    log = RecordingLog()
    assert signed_by(folder, log) == 2
    assert log.find("keystores_beside_seal") == []


def test_sealed_anew_the_other_kind_opens_it_and_the_note_says_what_to_configure(
    folder: Path, words: Path, key: Path
) -> None:
    told("seal", folder, "--passphrase-file", words, "--remove-keystores")
    ended = run("seal", folder, "--passphrase-file", words, "--new-key-file", key)
    assert ended.returncode == 0, ended.stderr
    assert "edition 2" in ended.stdout
    assert "[enclave] key_file in" in ended.stderr
    assert refused("seal", folder, "--passphrase-file", words)[0] == 65
    again = told("seal", folder, "--passphrase-file", words, "--new-key-file", key)
    assert again["edition"] == 2, "once more changes nothing: the first may have been broken off"
    (folder / "tetrarch.toml").write_text(f'[enclave]\nkey_file = "{key}"\n')
    assert signed_by(folder) == 2


def test_no_secret_is_told_or_stands_in_any_file(folder: Path, words: Path) -> None:
    shares = {share.to_bytes() for share in open_node(folder).values()}
    passwords = {path.read_bytes() for path in folder.glob("validator_keys/*.txt")}
    ended = run("seal", folder, "--passphrase-file", words, "--remove-keystores")
    spoken = (ended.stdout + ended.stderr).encode() + b"".join(content(folder).values())
    for secret in (*shares, *(share.hex().encode() for share in shares), *passwords):
        assert secret not in spoken
    assert b"correct horse" not in spoken


def test_every_fault_is_one_line_with_its_code_and_removes_nothing(
    folder: Path, words: Path, key: Path, tmp_path: Path
) -> None:
    wrong = Path(key_file(tmp_path / "wrong", b"w" * 32).path)
    short = Path(key_file(tmp_path / "short", b"s" * 31).path)
    shared = Path(key_file(tmp_path / "shared").path)
    shared.chmod(0o644)
    told("seal", folder, "--key-file", key)
    before = content(folder)
    remove = "--remove-keystores"
    for arguments, code, named in (
        ((remove,), 78, "seal_secret_unnamed"),
        (("--key-file", key, "--passphrase-file", words), 78, "only one may be given"),
        (
            ("--key-file", key, "--new-key-file", key, "--new-passphrase-file", words),
            78,
            "only one",
        ),
        (("--key-file", wrong, remove), 65, "seal_secret_wrong"),
        (("--passphrase-file", words, remove), 65, "seal_invalid"),
        (("--key-file", tmp_path / "absent", remove), 66, "seal_secret_missing"),
        (("--key-file", short, remove), 66, "seal_secret_missing"),
        (("--key-file", shared, remove), 66, "mode 0644"),
        (("--key-file", key, "--new-key-file", tmp_path / "absent"), 66, "seal_secret_missing"),
    ):
        got = refused("seal", folder, *arguments)
        assert (got[0], named in got[1]) == (code, True), got
    assert refused("seal", tmp_path / "nowhere", "--key-file", key)[0] == 66
    assert content(folder) == before
    sealed = folder / "enclave/keys.sealed"
    sealed.write_bytes(sealed.read_bytes()[:-1])
    code, line = refused("seal", folder, "--key-file", key, remove)
    assert (code, "seal_invalid" in line) == (65, True)
    assert len(list((folder / "validator_keys").iterdir())) == 4


def test_seal_of_another_node_is_named_by_its_holder(
    original: Path, folder: Path, key: Path
) -> None:
    shutil.copytree(original / "node2", folder.parent / "node2")
    told("seal", folder.parent / "node2", "--key-file", key)
    shutil.copytree(folder.parent / "node2/enclave", folder / "enclave")
    code, line = refused("seal", folder, "--key-file", key, "--remove-keystores")
    assert code == 65
    assert "holds=share of node 2 for validator 0" in line


def test_a_running_nodes_keys_are_left_alone(folder: Path, key: Path) -> None:
    (folder / "database").mkdir()
    lock = OwnerLock.acquire(folder / (ENCLAVE_DATABASE_FILE + ".lock"))
    try:
        for command in ("seal", "keygen"):
            code, line = refused(command, folder, "--key-file", key)
            assert (code, "storage_in_use" in line) == (73, True)
    finally:
        lock.release()


def test_a_node_says_at_once_that_nothing_opens_its_seal(
    folder: Path, key: Path, tmp_path: Path
) -> None:
    """Not only after it has waited for its beacon node, which is away here."""
    told("seal", folder, "--key-file", key, "--remove-keystores")
    for options, code, named in (
        ((), 78, "seal_secret_unnamed"),
        (("--passphrase-file", tmp_path / "absent"), 66, "seal_secret_missing"),
    ):
        ended = run_tetrarch("run", folder, *options)
        assert ended.exit_code == code
        (line,) = ended.error_lines
        assert named in line
        assert "beacon_node_away" not in ended.stderr


def test_an_older_seal_is_taken_only_by_name(folder: Path, key: Path) -> None:
    told("seal", folder, "--key-file", key, "--remove-keystores")
    sealed = folder / "enclave/keys.sealed"
    older = sealed.read_bytes()
    told("seal", folder, "--key-file", key, "--new-key-file", key)
    sealed.write_bytes(older)
    code, line = refused("seal", folder, "--key-file", key)
    assert (code, "--accept-older-keys" in line) == (65, True)
    assert told("seal", folder, "--key-file", key, "--accept-older-keys")["edition"] == 3


def test_shares_that_are_not_there_are_counted(folder: Path, key: Path) -> None:
    for path in (folder / "validator_keys").glob("keystore-1.*"):
        path.unlink()
    ended = run("seal", folder, "--key-file", key)
    assert ended.returncode == 0
    assert "1 of 2 shares are neither sealed nor in keystores" in ended.stderr


def test_sealed_shares_are_not_uploaded(folder: Path, key: Path, tmp_path: Path) -> None:
    told("seal", folder, "--key-file", key)
    token = tmp_path / "token"
    token.write_text("a-token-that-is-long-enough")
    options = ["--keymanager-url", "http://127.0.0.1:9", "--keymanager-token-file", str(token)]
    result = CliRunner().invoke(app, ["cluster", "upload-shares", str(folder), *options])
    assert result.exit_code == 78
    assert "shares_sealed" in result.stderr


@pytest.mark.parametrize("pcrs", [(), (7, 11)])
def test_seal_that_a_tpm_opens(folder: Path, words: Path, tmp_path: Path, pcrs: list[int]) -> None:
    fake, file = FakeTpm(), folder / "seal.tpm"
    with fake.serve(tmp_path / "tpm") as tpm:
        bound = [str(each) for pcr in pcrs for each in ("--pcr", pcr)]
        made = told("tpm-key", file, "--tpm", tpm, *bound)
        assert made == {"ok": True, "file": str(file), "pcrs": list(pcrs)}
        code, line = refused("tpm-key", file, "--tpm", tpm)
        assert (code, "tpm_key_exists" in line) == (73, True)
        options = ("--tpm-key-file", file, "--tpm", tpm)
        told("seal", folder, *options, "--remove-keystores")
        (folder / "tetrarch.toml").write_text(
            f'[enclave]\ntpm_key_file = "seal.tpm"\ntpm = "{tpm}"\n'
        )
        assert signed_by(folder) == 2
        assert told("status", folder)["sealed_by"] == "tpm"
        fake.restart()
        assert told("keygen", folder)["new"] is True
        assert told("seal", folder, "--new-passphrase-file", words)["edition"] == 3
        told("seal", folder, "--passphrase-file", words, "--new-tpm-key-file", file)
        fake.extend(7, b"another key of the firmware")
        if pcrs:
            code, line = refused("seal", folder)
            assert (code, "tpm_boot_changed" in line) == (69, True)
        else:
            assert signed_by(folder) == 2
    other = FakeTpm(seed=b"other")
    with other.serve(tmp_path / "another") as tpm:
        code, line = refused("seal", folder, "--tpm", tpm)
        assert (code, "seal_secret_wrong" in line) == (65, True), line
    code, line = refused("seal", folder, "--tpm", tmp_path / "none")
    assert (code, "tpm_missing" in line) == (69, True)


def test_tpm_vouches_for_the_evidence(folder: Path, key: Path, tmp_path: Path) -> None:
    with FakeTpm().serve(tmp_path / "tpm") as tpm:
        options = ("--key-file", key, "--tpm", tpm)
        told("keygen", folder, *options)
        evidence = ("--nonce", NONCE, "--out", tmp_path / "evidence")
        shown = told("attest", folder, *evidence, *options)
        (folder / "tetrarch.toml").write_text(f'[enclave]\nkey_file = "{key}"\n')
        entry = told("measure", "--folder", folder, "--tpm", tpm)["entry"]
    assert shown["back_end"] == "tpm2"
    (tmp_path / "subject").write_text(json.dumps(shown))
    by_subject = ("--subject", tmp_path / "subject", "--nonce", NONCE)
    verified = told("verify", "tpm2", tmp_path / "evidence", *by_subject, "--allow", entry)
    assert verified["allowed"] is True


def test_key_of_other_state_is_sealed_with_the_shares(folder: Path, words: Path, key: Path) -> None:
    state = folder / ELECTION_FOLDER
    state.mkdir(parents=True)
    make_key_file(state / PLAIN_FILE, system_entropy)
    plain = (state / PLAIN_FILE).read_bytes()
    told("seal", folder, "--passphrase-file", words)
    assert [path.name for path in state.iterdir()] == [FILE]
    for options in (
        ("--passphrase-file", words, "--new-key-file", key),
        ("--key-file", key, "--new-passphrase-file", words),
    ):
        told("seal", folder, *options)
    by = SealSecret(Kind.PASSPHRASE, words)
    assert SecretReader(system_entropy)(state_secret(state, by)) == plain


def test_own_keys_are_made_once(folder: Path, key: Path) -> None:
    first = told("keygen", folder, "--key-file", key)
    assert first["new"] is True
    ended = run("keygen", folder, "--key-file", key)
    assert first["signing_key"] in ended.stdout
    assert first["sealing_key"] in ended.stdout
    assert "made before" in ended.stderr
    told("seal", folder, "--key-file", key, "--remove-keystores")
    assert told("keygen", folder, "--key-file", key) == {**first, "new": False}
    config = load_config(folder, flags={"enclave.key_file": str(key)}, environment={})
    file = sealed_file(folder, seal_secret(folder, config.enclave))
    assert file is not None
    kept = SealedKeys.open(file, system_entropy).kept
    cluster = load_cluster(folder)
    roots = {*cluster.by_pubkey, PubKey(cluster.cluster_key.public_key)}
    assert {PubKey(root) for root in kept.shares} == roots


def test_evidence_verifies_for_its_nonce_and_by_what_was_printed(
    folder: Path, key: Path, tmp_path: Path
) -> None:
    code, line = refused(
        "attest", folder, "--nonce", NONCE, "--out", tmp_path / "e", "--key-file", key
    )
    assert (code, "own_keys_absent" in line) == (66, True)
    keys = told("keygen", folder, "--key-file", key)
    options = ("--nonce", NONCE, "--out", tmp_path / "evidence", "--key-file", key)
    shown = told("attest", folder, *options)
    assert shown["signing_key"] == keys["signing_key"]
    assert shown["node"] == "node0"
    assert shown["configuration_hash"] == load_cluster(folder).lock_hash.hex()
    plain = run("attest", folder, *options)
    assert shown["signing_key"] in plain.stdout
    shown = told("attest", folder, *options)
    subject = tmp_path / "subject.json"
    subject.write_text(json.dumps(shown))
    verify = ("verify", "software", tmp_path / "evidence")
    entry = told("measure")["entry"]
    by_bytes = ("--signing-key", shown["signing_key"], "--bound", shown["bound"])
    assert told(*verify, *by_bytes, "--allow", entry)["allowed"] is True
    assert (
        told(*verify, "--subject", subject, "--nonce", NONCE, "--allow", entry)["allowed"] is True
    )
    assert told(
        *verify, "--subject", subject, "--nonce", NONCE, "--signing-key", keys["signing_key"]
    )
    for arguments, code, words in (
        (("--subject", subject, "--nonce", "22" * 32), 65, "about something else"),
        (("--subject", subject, "--nonce", "22" * 32, "--allow", entry), 65, "evidence_foreign"),
        (("--subject", subject), 78, "--nonce"),
        (("--nonce", NONCE), 78, "--subject"),
        (("--subject", key, "--nonce", NONCE), 78, "not what `attest` prints"),
        (("--subject", subject, "--nonce", NONCE, "--signing-key", "33" * 32), 65, "another"),
        (("--signing-key", "33" * 32), 65, "signature"),
    ):
        got = refused(*verify, *arguments)
        assert (got[0], words in got[1]) == (code, True), got
    subject.write_text(json.dumps({**shown, "node": "node1"}))
    assert refused(*verify, "--subject", subject, "--nonce", NONCE)[0] == 65


def test_attest_refuses_what_is_no_nonce_and_where_it_cannot_write(
    folder: Path, key: Path, tmp_path: Path
) -> None:
    told("keygen", folder, "--key-file", key)
    out = tmp_path / "evidence"
    for nonce in ("", "xyz", "11" * 31):
        code, line = refused("attest", folder, "--nonce", nonce, "--out", out, "--key-file", key)
        assert (code, "32 bytes" in line) == (78, True)
    nowhere = tmp_path / "absent/evidence"
    code, line = refused("attest", folder, "--nonce", NONCE, "--out", nowhere, "--key-file", key)
    assert (code, "absent" in line) == (73, True)
