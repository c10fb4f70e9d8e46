"""The file of sealed keys: what is in the clear, what is not, and every way to be wrong."""

import itertools
from pathlib import Path

import msgspec
import pytest
from tests.enclave.ceremony_world import key_file, passphrase_file
from tests.enclave.enclave_world import counting_entropy, secret, validators

from tetrarch.enclave.errors import SealInvalid, SealSecretMissing, SealSecretWrong
from tetrarch.enclave.messages import SealedFile, SecretFile
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_keys import (
    FILE_MAX_BYTES,
    KeptKeys,
    KeptShare,
    Label,
    OwnKeys,
    PublicShare,
    SealedKeys,
    SealedSecrets,
    read_label,
)
from tetrarch.enclave.sealing import Kind
from tetrarch.entropy import system_entropy
from tetrarch.errors import InputInvalid
from tetrarch.storage.errors import FolderNotWritable

VALIDATORS = validators(3)
SHARES = {each.pubkey: KeptShare(each.share.public_key(), each.share) for each in VALIDATORS}
OWN = OwnKeys(b"s" * 32, b"o" * 32)


def opened(path: Path, of: SecretFile) -> SealedKeys:
    return SealedKeys.open(SealedFile(str(path), of), system_entropy)


@pytest.fixture
def key(tmp_path: Path) -> SecretFile:
    return key_file(tmp_path / "key")


@pytest.fixture
def path(tmp_path: Path, key: SecretFile) -> Path:
    """A file with three shares and the enclave's own keys."""
    opened(tmp_path / "keys.sealed", key).change(shares=SHARES, own=OWN)
    return tmp_path / "keys.sealed"


def held(keys: SealedKeys) -> dict[bytes, bytes]:
    return {root: share.secret.to_bytes() for root, share in keys.kept.shares.items()}


def test_opens_with_all_that_was_sealed(path: Path, key: SecretFile) -> None:
    again = opened(path, key)
    assert held(again) == {each.pubkey: each.share.to_bytes() for each in VALIDATORS}
    assert again.kept.own == OWN
    assert again.kept.edition == 1


def test_absent_file_is_edition_0_without_keys(tmp_path: Path, key: SecretFile) -> None:
    kept = opened(tmp_path / "absent", key).kept
    assert (kept.edition, dict(kept.shares), kept.own) == (0, {}, None)
    assert read_label(tmp_path / "absent") is None


def test_each_change_is_one_edition_more(path: Path, key: SecretFile) -> None:
    keys = opened(path, key)
    first, *others = VALIDATORS
    keys.change(without=[first.pubkey])
    keys.change(above=9)
    again = opened(path, key)
    assert again.kept.edition == 10
    assert set(again.kept.shares) == {each.pubkey for each in others}
    assert again.kept.own == OWN
    assert again.kept.is_like(keys.kept)


def test_label_tells_the_public_keys_without_the_secret(path: Path) -> None:
    found = read_label(path)
    assert found is not None
    label, kind = found
    assert label.shares == tuple(
        PublicShare(root, share.public_share) for root, share in sorted(SHARES.items())
    )
    assert label.own == OWN.public
    assert kind is Kind.KEY_FILE


def test_no_secret_stands_in_the_file_or_in_what_is_printed(path: Path, key: SecretFile) -> None:
    content = path.read_bytes()
    kept = opened(path, key).kept
    for value in (*(each.share.to_bytes() for each in VALIDATORS), b"s" * 32, b"o" * 32):
        assert value not in content
        assert value.hex() not in repr(kept)
        assert repr(value) not in repr(kept)
        assert repr(value) not in repr(kept.secrets)
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_changed_byte_is_noticed(path: Path, key: SecretFile) -> None:
    content = path.read_bytes()
    for place, bit in itertools.product(range(0, len(content), 7), (1, 128)):
        damaged = bytearray(content)
        damaged[place] ^= bit
        path.write_bytes(damaged)
        with pytest.raises((SealInvalid, SealSecretWrong), match=r"keys\.sealed"):
            opened(path, key)


def test_every_shortened_file_is_refused(path: Path, key: SecretFile) -> None:
    content = path.read_bytes()
    for size in (*range(0, len(content), 11), len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(SealInvalid, match=r"keys\.sealed"):
            opened(path, key)
    path.write_bytes(content + b"x")
    with pytest.raises(SealInvalid):
        opened(path, key)
    path.write_bytes(bytes(FILE_MAX_BYTES + 1))
    with pytest.raises(SealInvalid, match="too large"):
        opened(path, key)


def test_seal_of_one_file_does_not_fit_the_label_of_another(
    path: Path, tmp_path: Path, key: SecretFile
) -> None:
    """The seal is bound to what stands in the clear: an edition cannot be made up."""
    older = path.read_bytes()
    opened(path, key).change()
    newer = path.read_bytes()
    cut = [raw.index(b"tetrseal") for raw in (older, newer)]
    path.write_bytes(newer[: cut[1]] + older[cut[0] :])
    with pytest.raises(SealInvalid, match="changed"):
        opened(path, key)


def test_another_secret_and_another_kind_are_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(SealSecretWrong, match="key_file"):
        opened(path, key_file(tmp_path / "other", b"j" * 32))
    with pytest.raises(SealInvalid, match="sealed_by=key_file"):
        opened(path, passphrase_file(tmp_path / "words"))
    with pytest.raises(SealSecretMissing):
        opened(path, SecretFile(str(tmp_path / "none"), Kind.KEY_FILE))


def test_sealed_anew_only_the_new_secret_opens(path: Path, tmp_path: Path, key: SecretFile) -> None:
    words = passphrase_file(tmp_path / "words")
    keys = opened(path, key)
    keys.change(secret=SealSecret.of(words))
    assert held(opened(path, words)) == held(keys)
    with pytest.raises(SealInvalid, match="sealed_by=passphrase"):
        opened(path, key)
    keys.change(without=list(SHARES))  # goes on under the new one
    assert held(opened(path, words)) == {}


def test_a_disk_that_refuses_leaves_file_and_keys_as_they_were(
    path: Path, key: SecretFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, before = opened(path, key), path.read_bytes()

    def refuse(_path: Path, _content: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tetrarch.enclave.sealed_keys.write_durably", refuse)
    with pytest.raises(FolderNotWritable, match=r"keys\.sealed"):
        keys.change(without=list(SHARES))
    assert path.read_bytes() == before
    assert len(keys.kept.shares) == 3


def test_label_and_secrets_must_fit_together() -> None:
    kept = KeptKeys(1, SHARES, OWN)
    fewer = SealedSecrets(kept.secrets.shares[1:], kept.secrets.own)
    without_own = SealedSecrets(kept.secrets.shares, None)
    for secrets in (fewer, without_own):
        with pytest.raises(InputInvalid):
            KeptKeys.of(kept.label, secrets)
    assert not kept.is_like(KeptKeys(1, {**SHARES, VALIDATORS[0].pubkey: other_share()}, OWN))


def other_share() -> KeptShare:
    return KeptShare(VALIDATORS[0].share.public_key(), secret("another"))


def test_label_of_another_form_is_refused(path: Path, key: SecretFile) -> None:
    label = msgspec.msgpack.encode((0, (), None))  # editions begin at 1
    path.write_bytes(b"tetrkeys\x01" + len(label).to_bytes(4, "big") + label)
    with pytest.raises(SealInvalid, match="no label"):
        read_label(path)
    with pytest.raises(SealInvalid, match="no label"):
        opened(path, key)
    assert Label(1, ()).own is None


def test_entropy_of_the_seal_is_drawn_anew_for_each_edition(
    tmp_path: Path, key: SecretFile
) -> None:
    keys = SealedKeys.open(SealedFile(str(tmp_path / "k"), key), counting_entropy("seal"))
    keys.change(shares=SHARES)
    first = (tmp_path / "k").read_bytes()
    keys.change()
    second = (tmp_path / "k").read_bytes()
    tails = {raw[raw.index(b"tetrseal") :][-200:] for raw in (first, second)}
    assert len(tails) == 2
