"""A node is the same after a restart, and says what is wrong with its files."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tetrarch.entropy import system_entropy
from tetrarch.errors import OperatorError
from tetrarch.network.overlay.identity import (
    CERTIFICATE_FILE,
    KEY_FILE,
    TLS_KEY_FILE,
    OverlayKeyUnreadable,
    open_identity,
)


def test_it_is_made_once_readable_by_its_owner_alone(tmp_path: Path) -> None:
    first, second = (open_identity(tmp_path, system_entropy) for _ in range(2))
    assert first.node == second.node
    assert first.certificate_hash == second.certificate_hash
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    Ed25519PublicKey.from_public_bytes(first.node).verify(first.sign(b"said"), b"said")


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    identity = open_identity(tmp_path, system_entropy)
    assert (tmp_path / KEY_FILE).read_text().strip() not in repr(identity)
    assert "PRIVATE" not in repr(identity)


def test_a_start_that_was_cut_short_is_repeated(tmp_path: Path) -> None:
    open_identity(tmp_path, system_entropy)
    (tmp_path / KEY_FILE).unlink()  # it is written last
    open_identity(tmp_path, system_entropy)


@pytest.mark.parametrize("name", [KEY_FILE, CERTIFICATE_FILE, TLS_KEY_FILE])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"zz", b"-----BEGIN NONSENSE-----"])
def test_damage_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    open_identity(tmp_path, system_entropy)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OperatorError):
        open_identity(tmp_path, system_entropy)


@pytest.mark.parametrize("name", [CERTIFICATE_FILE, TLS_KEY_FILE])
def test_a_missing_part_is_said(tmp_path: Path, name: str) -> None:
    open_identity(tmp_path, system_entropy)
    (tmp_path / name).unlink()
    with pytest.raises(OverlayKeyUnreadable, match=name):
        open_identity(tmp_path, system_entropy)
