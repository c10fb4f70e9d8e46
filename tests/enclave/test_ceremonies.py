"""Sealing shares with real enclaves: again, anew, killed at every step, on a full disk."""

import asyncio
import itertools
import shutil
import sys
from pathlib import Path

import pytest
from tests.enclave.ceremony_world import (
    FULL,
    Folder,
    ceremony,
    dying,
    folder,
    key_file,
    passphrase_file,
)
from tests.enclave.enclave_world import OLD_CHAIN, vote, write_share

from tetrarch.attestation.binding import Subject
from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.errors import EvidenceForeign
from tetrarch.attestation.policy import Allowed, Policy
from tetrarch.attestation.verifier import attest, decode_evidence
from tetrarch.enclave.ceremonies import seal_shares
from tetrarch.enclave.ceremony_messages import AskEvidence, EvidenceMade, MakeOwnKeys, OwnKeysMade
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.errors import (
    EnclaveGone,
    EnclaveRefused,
    OwnKeysAbsent,
    PasswordWrong,
    SealAbsent,
    SealInvalid,
    SealOld,
    SealSecretWrong,
    ShareFileMissing,
    ShareSwapped,
)
from tetrarch.enclave.messages import SecretFile
from tetrarch.enclave.opening import open_keys
from tetrarch.enclave.ports import Approved
from tetrarch.enclave.protections import Confinement
from tetrarch.enclave.sealed_keys import SealedKeys, read_label
from tetrarch.entropy import system_entropy
from tetrarch.storage.errors import StorageFullAtStart, StorageInUse


@pytest.fixture
def world(tmp_path: Path) -> Folder:
    return folder(tmp_path / "node0")


@pytest.fixture
def key(tmp_path: Path) -> SecretFile:
    return key_file(tmp_path / "key")


def signs(world: Folder, key: SecretFile | None) -> bool:
    """Whether an enclave that is started on the folder signs with all its shares."""

    async def main() -> bool:
        client = await EnclaveClient.start(
            database=world.database,
            shares=world.files,
            sealed=None if key is None else world.sealed(key),
            answer_timeout_s=60,
        )
        try:
            await client.configure(OLD_CHAIN)
            answers = await client.sign(tuple(vote(v.pubkey, 3, 4) for v in world.validators))
            return all(isinstance(answer, Approved) for answer in answers)
        finally:
            await client.close()

    return asyncio.run(main())


def test_sealed_shares_sign_without_any_keystore(world: Folder, key: SecretFile) -> None:
    done = world.seal(key)
    assert (done.edition, done.newly_sealed, done.sealed) == (1, 2, 2)
    assert (done.files_left, done.files_removed) == (2, 0)
    assert len(world.lying()) == 4, "nothing is removed unasked"
    done = world.seal(key, removes_files=True)
    assert (done.edition, done.newly_sealed, done.files_left, done.files_removed) == (1, 0, 0, 4)
    assert world.lying() == []
    assert world.opened(key) == world.expected
    assert signs(world, key)


def test_a_keystore_that_comes_later_is_sealed_by_the_next_call(
    world: Folder, key: SecretFile
) -> None:
    later = Path(world.files[1].keystore)
    later.rename(later.with_name("later"))
    assert world.seal(key).sealed == 1
    with pytest.raises(ShareFileMissing, match="share-1"):
        signs(world, key)
    later.with_name("later").rename(later)
    assert signs(world, key), "one is sealed, the other in its keystore"
    done = world.seal(key, removes_files=True)
    assert (done.edition, done.newly_sealed, done.sealed) == (2, 1, 2)
    assert world.opened(key) == world.expected


def test_killed_at_any_step_nothing_is_lost_and_the_next_call_finishes(
    tmp_path: Path, key: SecretFile
) -> None:
    """Goal: at each moment all shares can be opened, and the same call ends the same way.

    Method: the enclave kills itself instead of its n-th step on the disk, for each n until it ends.
    """
    original = folder(tmp_path / "original")
    for step in itertools.count():
        shutil.copytree(original.path, tmp_path / str(step))
        world = moved(original, tmp_path / str(step))
        try:
            world.seal(key, removes_files=True, command=dying(step))
        except EnclaveGone:
            kept = open_keys(world.files, SealedKeys.open(world.sealed(key), system_entropy))
            assert {root: share.to_bytes() for root, share in kept.items()} == world.expected
            seal_shares(world.call(key, removes_files=True), system_entropy)
            assert world.lying() == []
            assert world.opened(key) == world.expected
        else:
            break
    assert step >= 8, "the seal is written, and two shares' files go"


def moved(original: Folder, path: Path) -> Folder:
    """The same folder, copied to ``path``."""
    files = tuple(
        type(file)(
            file.pubkey,
            file.public_share,
            file.keystore.replace(str(original.path), str(path)),
            file.password.replace(str(original.path), str(path)),
        )
        for file in original.files
    )
    return Folder(path, original.validators, files)


def test_killed_while_sealing_anew_one_of_the_two_secrets_opens_it(
    tmp_path: Path, key: SecretFile
) -> None:
    words, other = passphrase_file(tmp_path / "words"), key_file(tmp_path / "other", b"o" * 32)
    original = folder(tmp_path / "original")
    original.seal(key, removes_files=True)
    world = original
    for step in itertools.count():
        shutil.copytree(original.path, tmp_path / str(step))
        world = moved(original, tmp_path / str(step))
        try:
            world.seal(key, new_secret=other, command=dying(step))
        except EnclaveGone:
            opening = []
            for each in (key, other):
                try:
                    opening.append(world.opened(each) == world.expected)
                except SealSecretWrong:
                    continue
            assert opening == [True]
            call = world.call(key, new_secret=other)
            assert seal_shares(call, system_entropy).is_sealed_anew
            assert world.opened(other) == world.expected
        else:
            break
    assert step >= 3
    assert world.seal(other, new_secret=words).edition == 3, "kinds may change, too"
    assert world.opened(words) == world.expected
    with pytest.raises(SealInvalid, match="sealed_by=passphrase"):
        world.seal(other, new_secret=key)


def test_only_what_is_sealed_can_be_sealed_anew(world: Folder, key: SecretFile) -> None:
    with pytest.raises(SealAbsent, match=r"keys\.sealed"):
        world.seal(key, new_secret=key)
    assert not world.sealed_path.exists()


def test_a_full_disk_leaves_all_as_it_was(world: Folder, key: SecretFile) -> None:
    with pytest.raises(StorageFullAtStart, match=r"keys\.sealed"):
        world.seal(key, removes_files=True, command=(sys.executable, "-c", FULL))
    assert not world.sealed_path.exists()
    assert len(world.lying()) == 4
    assert world.seal(key, removes_files=True).sealed == 2


def test_nothing_is_removed_when_the_disk_holds_something_else_than_was_written(
    world: Folder, key: SecretFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damages(path: Path, content: bytes) -> None:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    monkeypatch.setattr("tetrarch.enclave.sealed_keys.write_durably", damages)
    with pytest.raises(SealInvalid, match="changed"):
        seal_shares(world.call(key, removes_files=True), system_entropy)
    assert len(world.lying()) == 4


def test_nothing_is_removed_when_the_disk_still_holds_what_was_there_before(
    world: Folder, key: SecretFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.seal(key)
    monkeypatch.setattr("tetrarch.enclave.sealed_keys.write_durably", lambda _path, _content: None)
    with pytest.raises(SealInvalid, match="not what was written"):
        seal_shares(world.call(key, new_secret=key, removes_files=True), system_entropy)
    assert len(world.lying()) == 4


def test_wrong_passwords_secrets_and_seals_are_named_and_remove_nothing(
    world: Folder, tmp_path: Path, key: SecretFile
) -> None:
    password = Path(world.files[0].password)
    right = password.read_text()
    password.write_text("guess")
    with pytest.raises(PasswordWrong, match="share-0") as caught:
        world.seal(key, removes_files=True)
    assert "guess" not in str(caught.value)
    password.write_text(right)
    world.seal(key)
    with pytest.raises(SealSecretWrong, match=r"keys\.sealed"):
        world.seal(key_file(tmp_path / "wrong", b"w" * 32), removes_files=True)
    content = bytearray(world.sealed_path.read_bytes())
    content[-1] ^= 1
    world.sealed_path.write_bytes(content)
    with pytest.raises(SealInvalid, match="changed"):
        world.seal(key, removes_files=True)
    assert len(world.lying()) == 4


def test_seal_of_another_node_is_neither_opened_nor_overwritten(
    tmp_path: Path, world: Folder, key: SecretFile
) -> None:
    """The shares of another node have the same root keys."""
    world.seal(key)
    foreign = world.sealed_path.read_bytes()
    other = folder(tmp_path / "node1")
    strangers = [
        write_share(other.path / "validator_keys", type(v)(v.pubkey, w.share), name=f"share-{n}")
        for n, (v, w) in enumerate(zip(other.validators, other.validators[::-1], strict=True))
    ]
    other.files = tuple(strangers)
    other.sealed_path.write_bytes(foreign)
    with pytest.raises(ShareSwapped, match=r"keys\.sealed"):
        other.seal(key, removes_files=True)
    with pytest.raises(ShareSwapped, match=r"keys\.sealed"):
        signs(other, key)
    assert other.sealed_path.read_bytes() == foreign
    assert len(other.lying()) == 4


def test_an_older_seal_is_refused_until_it_is_accepted_by_name(
    world: Folder, tmp_path: Path, key: SecretFile
) -> None:
    world.seal(key, removes_files=True)
    older = world.sealed_path.read_bytes()
    world.seal(key, new_secret=key_file(tmp_path / "new", b"n" * 32))
    world.sealed_path.write_bytes(older)
    for attempt in (lambda: world.seal(key), lambda: signs(world, key)):
        with pytest.raises(SealOld, match="edition=1 newest=2"):
            attempt()
    assert world.seal(key, accepts_older=True).edition == 3
    assert signs(world, key)
    world.sealed_path.unlink()
    with pytest.raises(SealOld, match="edition=0 newest=3"):
        signs(world, key)


def test_a_node_that_runs_keeps_its_keys_as_they_are(world: Folder, key: SecretFile) -> None:
    async def main() -> None:
        client = await EnclaveClient.start(database=world.database, shares=world.files)
        try:
            with pytest.raises(StorageInUse, match=str(client.process_id)):
                await asyncio.to_thread(world.seal, key)
        finally:
            await client.close()

    asyncio.run(main())
    assert not world.sealed_path.exists()


def test_a_ceremony_needs_an_enclave_of_its_own(world: Folder, key: SecretFile) -> None:
    async def main() -> None:
        client = await EnclaveClient.start(database=world.database, shares=world.files)
        try:
            with pytest.raises(EnclaveRefused, match="open for a node"):
                await client.hold(MakeOwnKeys("x", world.sealed(key)), OwnKeysMade)
        finally:
            await client.close()

    asyncio.run(main())


def made(world: Folder, key: SecretFile) -> OwnKeysMade:
    return ceremony(MakeOwnKeys(str(world.database), world.sealed(key)), OwnKeysMade, world)


def evidence(world: Folder, key: SecretFile, nonce: bytes) -> EvidenceMade:
    call = AskEvidence(world.sealed(key), "node0", b"c" * 32, nonce)
    return ceremony(call, EvidenceMade, world)


def test_own_keys_are_made_once_and_stay_beside_the_shares(world: Folder, key: SecretFile) -> None:
    first = made(world, key)
    assert first.is_new
    again = made(world, key)
    assert not again.is_new
    assert (again.signing_key, again.sealing_key) == (first.signing_key, first.sealing_key)
    world.seal(key)
    label = read_label(world.sealed_path)
    assert label is not None
    assert label[0].own is not None
    assert label[0].own.signing_key == first.signing_key
    assert world.opened(key) == world.expected


def test_evidence_is_about_these_keys_and_this_nonce(world: Folder, key: SecretFile) -> None:
    with pytest.raises(OwnKeysAbsent):
        evidence(world, key, b"n" * 32)
    own = made(world, key)
    shown = evidence(world, key, b"n" * 32)
    assert (shown.signing_key, shown.sealing_key) == (own.signing_key, own.sealing_key)
    subject = Subject(
        signing_key=own.signing_key,
        sealing_key=own.sealing_key,
        node="node0",
        configuration_hash=b"c" * 32,
        incarnation=shown.incarnation,
    )
    read = decode_evidence(shown.evidence)
    policy = Policy(allowed=(own_entry(),))
    claims = attest(read, policy, subject=subject, nonce=b"n" * 32, now_s=0)
    assert claims.back_end is BackEnd.SOFTWARE
    assert "no_core" in claims.details["protections"]
    with pytest.raises(EvidenceForeign):
        attest(read, policy, subject=subject, nonce=b"m" * 32, now_s=0)
    assert evidence(world, key, b"n" * 32).incarnation != shown.incarnation


def own_entry() -> Allowed:
    """Of this installation's enclave."""

    async def main() -> Allowed:
        enclave = await EnclaveClient.launch(Confinement())
        try:
            return await enclave.measurement()
        finally:
            await enclave.close()

    return asyncio.run(main())
