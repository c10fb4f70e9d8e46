"""The token's file: made once, for one user, and never quoted."""

from pathlib import Path

import pytest

from tetrarch.api.control_token import (
    TOKEN_FILE,
    ControlTokenUnusable,
    open_control_token,
    read_control_token,
)
from tetrarch.entropy import system_entropy
from tetrarch.errors import OperatorError


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    token = open_control_token(tmp_path, lambda size_bytes: b"\xab" * size_bytes)
    assert token == "ab" * 32
    path = tmp_path / TOKEN_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_control_token(tmp_path, system_entropy) == token
    assert read_control_token(path) == token


@pytest.mark.parametrize(
    "content", [b"", b"ab" * 31, b"ab" * 33, b"AB" * 32, b"\xff" * 64, b"zz" * 32]
)
def test_a_damaged_one_is_named_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / TOKEN_FILE
    path.write_bytes(content)
    with pytest.raises(ControlTokenUnusable) as caught:
        open_control_token(tmp_path, system_entropy)
    assert str(path) in str(caught.value)
    assert not content or content.decode(errors="replace") not in str(caught.value)
    assert path.read_bytes() == content


def test_a_folder_without_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ControlTokenUnusable, match="No such file"):
        read_control_token(tmp_path / TOKEN_FILE)


def test_where_none_can_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="write control token"):
        open_control_token(tmp_path / "missing", system_entropy)
