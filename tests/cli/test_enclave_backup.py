"""`tetrarch enclave backup|restore` as an operator types them."""

import asyncio
import itertools
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.cli.enclave_commands import content, refused, run, told
from tests.cluster.cluster_world import create
from tests.enclave.ceremony_world import dying, key_file, passphrase_file
from tests.enclave.enclave_world import OLD_CHAIN, vote
from tests.integration.small_disk import fill, small_disk

from tetrarch.cluster.load import load_cluster
from tetrarch.config import load_config
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.ports import Approved, Denied, Failed
from tetrarch.enclave.rules import Reason
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.enclave.state_key import PLAIN_FILE, state_secret
from tetrarch.entropy import system_entropy
from tetrarch.launch import DATABASE_FILE, ELECTION_FOLDER
from tetrarch.observability.logs import SilentLog
from tetrarch.signing_source import ENCLAVE_DATABASE_FILE, enclave_of
from tetrarch.storage.lock import OwnerLock

CONFIGURATION = '[log]\nlevel = "debug"\n'
READ = SecretReader(system_entropy)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "cluster"
    create(folder)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original / "node0", tmp_path / "node0")
    (tmp_path / "node0" / "tetrarch.toml").write_text(CONFIGURATION)
    (tmp_path / "node0" / "database").mkdir()
    return tmp_path / "node0"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    return Path(passphrase_file(tmp_path / "words").path)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return Path(key_file(tmp_path / "key").path)


def ask(folder: Path, *requests, recovers: bool = False, words: Path | None = None):
    """An enclave that is opened as a node opens it."""
    flags = {"enclave.passphrase_file": words and str(words)}
    config, cluster = load_config(folder, flags=flags, environment={}), load_cluster(folder)

    async def main():
        opened = enclave_of(folder, config, cluster=cluster, chain=OLD_CHAIN, log=SilentLog())
        async with opened as client:
            if recovers:
                await client.recover()
            return await client.sign(requests)

    return asyncio.run(main())


def test_what_a_node_needs_comes_back_and_it_is_held_until_it_recovered(
    folder: Path, words: Path, key: Path, tmp_path: Path
) -> None:
    root = load_cluster(folder).validators[0].pubkey
    (first,) = ask(folder, vote(root, 3, 4))
    (folder / ELECTION_FOLDER).mkdir()
    for name in ("election-0123.sealed", "tpm-secret.sealed"):
        (folder / ELECTION_FOLDER / name).write_bytes(b"an election's")
    state = state_secret(folder / ELECTION_FOLDER, SealSecret(Kind.KEY_FILE, key))
    state_key = READ(state)
    own = told("keygen", folder, "--key-file", key)
    options = ("--passphrase-file", words)
    done = told("backup", folder, tmp_path / "backup", *options, "--seal-key-file", key)
    assert (done["shares"], done["absent"], done["own_keys"], done["history_keys"]) == (
        3,
        0,
        True,
        1,
    )
    assert done["bytes"] == (tmp_path / "backup").stat().st_size
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600

    again = tmp_path / "again"
    made = told("restore", tmp_path / "backup", again, *options)
    assert (made["shares"], made["own_keys"], made["sealed_by"]) == (3, True, "passphrase")
    before, after = content(folder), content(again)
    for name in (
        "cluster-lock.json",
        "cluster-extension.json",
        "identity-key",
        "tls-key.pem",
        "tls-certificate.pem",
        "tetrarch.toml",
        f"{ELECTION_FOLDER}/election-0123.sealed",
        f"{ELECTION_FOLDER}/tpm-secret.sealed",
    ):
        assert name in made["files"]
        assert after[name] == before[name]
    assert not [name for name in after if name.startswith(("validator_keys", "cluster_key"))]
    assert f"{ELECTION_FOLDER}/{PLAIN_FILE}" in made["files"]
    assert f"{ELECTION_FOLDER}/{PLAIN_FILE}" not in after
    sealed_by = SealSecret(Kind.PASSPHRASE, words)
    assert READ(state_secret(again / ELECTION_FOLDER, sealed_by)) == state_key
    assert told("keygen", again, *options)["signing_key"] == own["signing_key"]
    status = told("status", again)
    assert status["restored"] is True
    assert "not recovered yet" in run("status", again).stdout

    (held,) = ask(again, vote(root, 4, 5), words=words)
    assert held == Failed("not_recovered")
    rival = vote(root, 3, 4, head=b"x" * 32)
    answers = ask(again, vote(root, 3, 4), rival, vote(root, 4, 5), recovers=True, words=words)
    assert answers[:2] == (first, Denied(Reason.DOUBLE_VOTE))
    assert isinstance(answers[2], Approved)


def test_restored_keys_may_be_sealed_by_another_secret(
    folder: Path, words: Path, key: Path, tmp_path: Path
) -> None:
    told("backup", folder, tmp_path / "backup", "--passphrase-file", words)
    ended = run(
        "restore",
        tmp_path / "backup",
        tmp_path / "again",
        "--passphrase-file",
        words,
        "--seal-key-file",
        key,
    )
    assert ended.returncode == 0, ended.stderr
    assert "[enclave] key_file" in ended.stdout
    assert "signs nothing slashable before" in ended.stdout
    assert told("status", tmp_path / "again")["sealed_by"] == "key_file"
    assert refused("seal", tmp_path / "again", "--passphrase-file", words)[0] == 65
    assert told("seal", tmp_path / "again", "--key-file", key)["sealed"] == 3


def test_no_secret_is_told_or_can_be_read_in_the_backup(
    folder: Path, words: Path, tmp_path: Path
) -> None:
    ended = run("backup", folder, tmp_path / "backup", "--passphrase-file", words)
    spoken = (ended.stdout + ended.stderr).encode() + (tmp_path / "backup").read_bytes()
    secrets = [folder / "identity-key", folder / "tls-key.pem"]
    secrets += [*folder.glob("validator_keys/*.txt"), *folder.glob("cluster_key/*.txt"), words]
    for path in secrets:
        assert path.read_bytes().strip() not in spoken


def test_a_folder_that_is_in_use_is_not_touched(folder: Path, words: Path, tmp_path: Path) -> None:
    options = ("--passphrase-file", words)
    told("backup", folder, tmp_path / "backup", *options)
    before = content(folder)
    code, line = refused("restore", tmp_path / "backup", folder, *options)
    assert (code, "it has signed" in line) == (73, True)
    assert content(folder) == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("mine")
    code, line = refused("restore", tmp_path / "backup", other, *options)
    assert (code, "it is not empty" in line) == (73, True)
    assert content(other) == {"precious": b"mine"}
    empty = tmp_path / "empty"
    empty.mkdir()
    leftover = tmp_path / "empty.restoring"  # of a restore that was killed
    leftover.mkdir()
    (leftover / "half").write_text("x")
    told("restore", tmp_path / "backup", empty, *options)
    assert not leftover.exists()
    assert "half" not in content(empty)


def test_killed_while_it_restores_there_is_no_folder_and_the_next_restore_makes_it(
    folder: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The enclave kills itself at its n-th step on the disk, for some n until it ends."""
    options = ("--key-file", key)
    told("backup", folder, tmp_path / "backup", *options)
    launch, to = EnclaveClient.launch, tmp_path
    for step in itertools.count(step=6):
        to = tmp_path / f"to-{step}"
        with monkeypatch.context() as patch:
            patch.setattr(EnclaveClient, "launch", partial(launch, command=dying(step)))
            ended = run("restore", tmp_path / "backup", to, *options)
        if ended.returncode == 0:
            break
        assert "enclave_gone" in ended.stderr
        assert [path.name for path in tmp_path.glob("to-*")] == []
        told("restore", tmp_path / "backup", to, *options)
        shutil.rmtree(to)
    assert step >= 24
    assert told("status", to)["restored"] is True


def test_every_fault_is_one_line_with_its_code_and_makes_nothing(
    folder: Path, words: Path, key: Path, tmp_path: Path
) -> None:
    backup, options = tmp_path / "backup", ("--passphrase-file", words)
    wrong = passphrase_file(tmp_path / "wrong", "battery staple").path
    told("backup", folder, backup, *options)
    whole = backup.read_bytes()
    (tmp_path / "short").write_bytes(whole[:-100])
    (tmp_path / "flipped").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (tmp_path / "other").write_bytes(b"{}")
    to = tmp_path / "to"
    for arguments, code, named in (
        ((backup, to), 78, "one of them seals the backup"),
        ((backup, to, *options, "--key-file", key), 78, "only one may be given"),
        ((backup, to, "--passphrase-file", wrong), 65, "seal_secret_wrong"),
        ((backup, to, "--key-file", key), 65, "backup_invalid"),
        ((tmp_path / "short", to, *options), 65, "backup_invalid"),
        ((tmp_path / "flipped", to, *options), 65, "backup_invalid"),
        ((tmp_path / "other", to, *options), 65, "no backup of a known version"),
        ((tmp_path / "absent", to, *options), 66, "file_unreadable"),
        ((backup, to, *options, "--seal-key-file", tmp_path / "absent"), 66, "secret_missing"),
        ((backup, tmp_path / "absent/deeper/to", *options), 0, ""),
    ):
        if not code:
            told("restore", *arguments)
            continue
        got = refused("restore", *arguments)
        assert (got[0], named in got[1]) == (code, True), got
        assert "battery" not in got[1]
        assert not to.exists()
        assert not to.with_name("to.restoring").exists()
    for arguments, code, named in (
        ((folder, backup, *options), 73, "backup_exists"),
        ((folder, tmp_path / "b", "--passphrase-file", tmp_path / "absent"), 66, "secret_missing"),
        ((folder, tmp_path / "absent-folder/b", *options), 73, "absent-folder"),
        ((tmp_path / "nowhere", tmp_path / "b", *options), 66, "cluster_file_missing"),
    ):
        got = refused("backup", *arguments)
        assert (got[0], named in got[1]) == (code, True), got
    assert backup.read_bytes() == whole


def test_a_running_node_is_not_copied(folder: Path, words: Path, tmp_path: Path) -> None:
    for name in (ENCLAVE_DATABASE_FILE, DATABASE_FILE):
        lock = OwnerLock.acquire(folder / f"{name}.lock")
        try:
            got = refused("backup", folder, tmp_path / "backup", "--passphrase-file", words)
        finally:
            lock.release()
        assert (got[0], "storage_in_use" in got[1]) == (73, True)
    assert not (tmp_path / "backup").exists()


def test_sealed_shares_need_the_secret_of_the_folder_too(
    folder: Path, words: Path, key: Path, tmp_path: Path
) -> None:
    told("seal", folder, "--key-file", key, "--remove-keystores")
    code, line = refused("backup", folder, tmp_path / "b", "--passphrase-file", words)
    assert (code, "seal_secret_unnamed" in line) == (78, True)
    (folder / "tetrarch.toml").write_text(f'[enclave]\nkey_file = "{key}"\n')
    assert told("backup", folder, tmp_path / "b", "--passphrase-file", words)["shares"] == 3


def test_both_databases_are_marked(folder: Path, words: Path, tmp_path: Path) -> None:
    told("backup", folder, tmp_path / "b", "--passphrase-file", words)
    told("restore", tmp_path / "b", tmp_path / "again", "--passphrase-file", words)
    for name in (ENCLAVE_DATABASE_FILE, DATABASE_FILE):
        with closing(sqlite3.connect(tmp_path / "again" / name)) as connection:
            assert connection.execute("SELECT count(*) FROM restored").fetchone() == (1,)


@pytest.mark.integration
def test_on_a_full_disk_each_ceremony_is_one_line_and_can_be_repeated(
    folder: Path, key: Path, tmp_path: Path
) -> None:
    options = ("--key-file", key)
    told("backup", folder, tmp_path / "backup", *options)
    with small_disk(folder, 4):
        ballast = fill(folder)
        for arguments in (
            ("seal", folder, *options, "--remove-keystores"),
            ("keygen", folder, *options),
            ("backup", folder, folder / "b", *options),
            ("restore", tmp_path / "backup", folder / "again", *options),
        ):
            code, line = refused(*arguments)
            assert (code, "full" in line) == (74, True), line
        assert not list(folder.rglob("*.tmp"))
        assert not list(folder.glob("again*"))
        assert not list(folder.glob("enclave/keys.sealed"))
        assert len(list(folder.glob("validator_keys/*"))) == 4
        ballast.unlink()
        told("seal", folder, *options, "--remove-keystores")
        assert told("restore", tmp_path / "backup", folder / "again", *options)["shares"] == 3


@pytest.mark.parametrize(
    "command",
    ["seal", "keygen", "attest", "tpm-key", "backup", "restore", "status", "measure", "verify"],
)
def test_help_has_an_example_and_the_exit_codes(command: str) -> None:
    shown = run(command, "--help").stdout
    assert f"Example: tetrarch enclave {command}" in shown
    assert "Exit codes: 0" in shown
