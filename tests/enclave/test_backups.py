"""A backup holds all, opens for its own secret only, and what it makes signs nothing at first."""

import asyncio
import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.enclave.ceremony_world import (
    Folder,
    ceremony,
    dying,
    folder,
    key_file,
    passphrase_file,
)
from tests.enclave.enclave_world import OLD_CHAIN, secret, vote

from tetrarch.enclave import backups
from tetrarch.enclave.backups import Backup, CopiedFile, restore_backup
from tetrarch.enclave.ceremony_messages import (
    BackupRestored,
    BackupWritten,
    MakeOwnKeys,
    OwnKeysMade,
    RestoreBackup,
    WriteBackup,
)
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.errors import (
    BackupExists,
    BackupInvalid,
    BackupTooLarge,
    EnclaveGone,
    SealOld,
    SealSecretWrong,
    ShareSwapped,
    WrongChain,
)
from tetrarch.enclave.messages import SealedFile, SecretFile
from tetrarch.enclave.ports import Approved, Denied, Failed, SignRandao
from tetrarch.enclave.rules import Reason
from tetrarch.enclave.sealed_keys import KeptKeys, KeptShare, SealedKeys
from tetrarch.enclave.sealing import Kind, new_key
from tetrarch.entropy import system_entropy
from tetrarch.storage.errors import StorageInUse
from tetrarch.storage.lock import OwnerLock


@pytest.fixture
def world(tmp_path: Path) -> Folder:
    return folder(tmp_path / "node0")


@pytest.fixture
def words(tmp_path: Path) -> SecretFile:
    return key_file(tmp_path / "backup-key", b"b" * 32)


def write(world: Folder, words: SecretFile, output: Path, **options) -> BackupWritten:
    key = options.pop("key", None)
    names = options.pop("names", ())
    call = WriteBackup(
        folder=str(world.path),
        names=names,
        databases=(str(world.database), str(world.database.with_name("node.sqlite"))),
        sealed=None if key is None else world.sealed(key),
        shares=world.files,
        output=str(output),
        secret=words,
    )
    return ceremony(call, BackupWritten, world, also=output.parent, **options)


def restoring(backup: Path, words: SecretFile, to: Path, key: SecretFile) -> RestoreBackup:
    databases = (str(to / "database/enclave.sqlite"), str(to / "database/node.sqlite"))
    sealed = SealedFile(str(to / "enclave/keys.sealed"), key)
    return RestoreBackup(str(backup), words, str(to), sealed, databases)


def restore(backup: Path, words: SecretFile, to: Path, key: SecretFile) -> Folder:
    to.mkdir()
    empty = Folder(to, (), ())
    ceremony(restoring(backup, words, to, key), BackupRestored, empty, also=backup.parent)
    return empty


async def started(world: Folder, key: SecretFile | None, files=None) -> EnclaveClient:
    client = await EnclaveClient.start(
        database=world.database,
        shares=world.files if files is None else files,
        sealed=None if key is None else world.sealed(key),
        answer_timeout_s=60,
    )
    await client.configure(OLD_CHAIN)
    return client


def sign(world: Folder, key: SecretFile | None, *requests, files=None, recovers: bool = False):
    async def main():
        client = await started(world, key, files)
        try:
            if recovers:
                await client.recover()
            return await client.sign(requests), await client.status()
        finally:
            await client.close()

    return asyncio.run(main())


def test_restored_keys_sign_nothing_slashable_before_they_recovered_and_never_what_was_signed(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    key = key_file(tmp_path / "key")
    root = world.validators[0].pubkey
    world.seal(key, removes_files=True)
    own = ceremony(MakeOwnKeys(str(world.database), world.sealed(key)), OwnKeysMade, world)
    (first,), _ = sign(world, key, vote(root, 3, 4))
    (world.path / "identity-key").write_text("who")
    (world.path / "cluster_key").mkdir()
    (world.path / "cluster_key" / "keystore-0.json").write_text("{}")
    names = ("identity-key", "cluster_key/keystore-0.json")
    done = write(world, words, tmp_path / "backup", key=key, names=names)
    assert (done.shares, done.has_own_keys, done.history_keys, done.files) == (2, True, 1, names)

    new_key_file = passphrase_file(tmp_path / "words")
    made = restore(tmp_path / "backup", words, tmp_path / "again", new_key_file)
    for name in names:
        assert (made.path / name).read_bytes() == (world.path / name).read_bytes()
        assert (made.path / name).stat().st_mode & 0o777 == 0o600
    kept = SealedKeys.open(made.sealed(new_key_file), system_entropy).kept
    assert {k: s.secret.to_bytes() for k, s in kept.shares.items()} == world.expected
    assert kept.own is not None
    assert kept.own.public.signing_key == own.signing_key

    conflict, later = vote(root, 3, 4, head=b"x" * 32), vote(root, 4, 5)
    randao = SignRandao(root, 3)
    answers, status = sign(made, new_key_file, conflict, later, randao, files=world.files)
    assert answers[:2] == (Failed("not_recovered"), Failed("not_recovered"))
    assert isinstance(answers[2], Approved), "nobody is slashed for it"
    assert status.is_restored
    answers, status = sign(
        made, new_key_file, conflict, later, vote(root, 3, 4), files=world.files, recovers=True
    )
    assert answers[0] == Denied(Reason.DOUBLE_VOTE)
    assert isinstance(answers[1], Approved)
    assert answers[2] == first
    assert not status.is_restored
    (answer,), status = sign(made, new_key_file, vote(root, 5, 6), files=world.files)
    assert isinstance(answer, Approved), "and it stays so"


def test_the_nodes_own_history_is_restored_and_marked_too(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    root = world.validators[0].pubkey
    sign(world, None, vote(root, 3, 4))
    node = world.database.with_name("node.sqlite")
    with closing(sqlite3.connect(world.database)) as source, closing(sqlite3.connect(node)) as to:
        source.backup(to)
        to.execute("UPDATE slashing_vote SET target = 9")
        to.execute("UPDATE slashing_key SET max_target = 9")
        to.commit()
    assert write(world, words, tmp_path / "backup").history_keys == 1
    made = restore(tmp_path / "backup", words, tmp_path / "again", words)
    for path in (made.database, made.database.with_name("node.sqlite")):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM restored").fetchone() == (1,)
            targets = connection.execute("SELECT max(target) FROM slashing_vote").fetchone()
            assert targets == (9,), "what any of the two denied"


def test_two_histories_of_different_chains_are_not_mixed(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    sign(world, None, vote(world.validators[0].pubkey, 3, 4))
    node = world.database.with_name("node.sqlite")
    with closing(sqlite3.connect(world.database)) as source, closing(sqlite3.connect(node)) as to:
        source.backup(to)
        to.execute("UPDATE slashing_chain SET genesis_validators_root = ?", (b"o" * 32,))
        to.commit()
    with pytest.raises(WrongChain):
        write(world, words, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_keystores_and_seal_are_backed_up_alike(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    assert write(world, words, tmp_path / "plain").shares == 2
    key = key_file(tmp_path / "key")
    world.seal(key, removes_files=True)
    assert write(world, words, tmp_path / "sealed", key=key).shares == 2
    for name in ("plain", "sealed"):
        made = restore(tmp_path / name, words, tmp_path / f"from-{name}", words)
        assert made.opened(words) == world.expected
        for each in world.validators:
            assert each.share.to_bytes() not in (tmp_path / name).read_bytes()


def test_keys_that_were_removed_do_not_come_back_by_a_backup(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    key = key_file(tmp_path / "key")
    world.seal(key, removes_files=True)
    older = world.sealed_path.read_bytes()
    world.seal(key, new_secret=key)
    world.sealed_path.write_bytes(older)
    with pytest.raises(SealOld, match="edition=1 newest=2"):
        write(world, words, tmp_path / "backup", key=key)
    assert not (tmp_path / "backup").exists()


def test_a_backup_that_was_changed_cut_short_or_is_another_file_makes_nothing(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    write(world, words, tmp_path / "backup")
    whole = (tmp_path / "backup").read_bytes()
    damaged = tmp_path / "damaged"

    def attempt(number: int) -> None:
        to = tmp_path / f"to-{number}"
        to.mkdir()
        restore_backup(restoring(damaged, words, to, words), system_entropy)

    numbers = itertools.count()
    for size in (0, 5, 9, 60, 120, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:size])
        with pytest.raises(BackupInvalid, match="damaged"):
            attempt(next(numbers))
    for place in (0, 8, 12, 100, 130, len(whole) - 1):
        content = bytearray(whole)
        content[place] ^= 1
        damaged.write_bytes(content)
        with pytest.raises((BackupInvalid, SealSecretWrong), match="damaged"):
            attempt(next(numbers))
    damaged.unlink()
    with pytest.raises(BackupInvalid, match="No such file"):
        attempt(next(numbers))
    for number in range(next(numbers)):
        assert list((tmp_path / f"to-{number}").iterdir()) == []


def test_another_secret_is_named(world: Folder, tmp_path: Path, words: SecretFile) -> None:
    write(world, words, tmp_path / "backup")
    with pytest.raises(SealSecretWrong, match=r"backup.*key_file"):
        restore(tmp_path / "backup", key_file(tmp_path / "x", b"x" * 32), tmp_path / "to", words)
    assert list((tmp_path / "to").iterdir()) == []


def crafted(path: Path, words: SecretFile, **changes: object) -> None:
    """A backup as no honest program writes one, under the right secret."""
    kept = KeptKeys(1)
    parts = [kept.label, kept.secrets, b"", ()]
    for place, name in enumerate(("label", "secrets", "history", "files")):
        parts[place] = changes.get(name, parts[place])
    key = new_key(Kind.KEY_FILE, Path(words.path).read_bytes(), system_entropy)
    text = msgspec.msgpack.encode(parts)
    path.write_bytes(b"tetrback\x01" + key.seal(text, bound_to=b"tetrarch/backup/1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"files": (("../escaped", b""),)},
        {"files": (("/etc/escaped", b""),)},
        {"files": (("a/../../escaped", b""),)},
        {"files": ((".hidden", b""),)},
        {"files": (("a\nb", b""),)},
        {"files": (("a" * 300, b""),)},
        {"history": b"{"},
        {"secrets": ((b"s" * 32,), None)},
        {"label": (0, (), None)},
        {"files": 7},
    ],
    ids=str,
)
def test_what_no_honest_backup_holds_is_refused(
    tmp_path: Path, words: SecretFile, changes: dict[str, object]
) -> None:
    crafted(tmp_path / "crafted", words, **changes)
    (tmp_path / "to").mkdir()
    with pytest.raises(BackupInvalid, match="crafted"):
        restore_backup(
            restoring(tmp_path / "crafted", words, tmp_path / "to", words), system_entropy
        )
    assert list((tmp_path / "to").iterdir()) == []
    assert not (tmp_path / "escaped").exists()


def test_nothing_is_overwritten_and_nothing_is_read_beside_a_running_node(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    output = tmp_path / "backup"
    lock = OwnerLock.acquire(world.database.with_name("node.sqlite.lock"))
    try:
        with pytest.raises(StorageInUse, match="node"):
            write(world, words, output)
    finally:
        lock.release()
    output.write_text("precious")
    with pytest.raises(BackupExists, match="backup"):
        write(world, words, output)
    assert output.read_text() == "precious"


def test_a_share_of_another_node_is_not_backed_up_as_ones_own(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    world.files = tuple(
        type(file)(file.pubkey, world.files[1 - n].public_share, file.keystore, file.password)
        for n, file in enumerate(world.files)
    )
    with pytest.raises(ShareSwapped, match="share-0"):
        write(world, words, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_killed_at_any_step_there_is_a_whole_backup_or_none(
    world: Folder, tmp_path: Path, words: SecretFile
) -> None:
    """An older file of the same name is never half overwritten: it is not overwritten at all."""
    for step in itertools.count():
        output = tmp_path / f"backup-{step}"
        try:
            write(world, words, output, command=dying(step))
        except EnclaveGone:
            if output.exists():
                to = tmp_path / f"to-{step}"
                to.mkdir()
                restore_backup(restoring(output, words, to, words), system_entropy)
        else:
            break
    assert step >= 3


def test_a_backup_that_the_disk_did_not_keep_is_not_left_behind(
    world: Folder, tmp_path: Path, words: SecretFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    crafted(tmp_path / "another", words)

    def lies(path: Path, _content: bytes) -> None:
        path.write_bytes((tmp_path / "another").read_bytes())

    monkeypatch.setattr(backups, "replace_file", lies)
    call = WriteBackup(
        folder=str(world.path),
        names=(),
        databases=(),
        sealed=None,
        shares=world.files,
        output=str(tmp_path / "backup"),
        secret=words,
    )
    with pytest.raises(BackupInvalid, match="not what was written"):
        backups.write_backup(call, system_entropy)
    assert not (tmp_path / "backup").exists()


def test_a_file_that_grew_too_large_is_named(
    world: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "FILE_MAX_BYTES", 10)
    (world.path / "tetrarch.toml").write_text("x" * 11)
    with pytest.raises(BackupTooLarge, match=r"tetrarch\.toml"):
        backups._copied(world.path / "tetrarch.toml")


def test_contents_are_not_printed() -> None:
    kept = KeptKeys(1, {b"r" * 48: share()})
    backup = Backup(
        kept.label, kept.secrets, b"", (CopiedFile("identity-key", b"content of a key"),)
    )
    assert "content of a key" not in repr(backup)
    assert "hidden" in repr(backup)


def share() -> KeptShare:
    key = secret("one")
    return KeptShare(key.public_key(), key)
