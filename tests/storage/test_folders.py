"""A folder is there, and for its user alone; where it cannot be, one error says why."""

from pathlib import Path

import pytest

from tetrarch.storage.errors import FolderNotWritable
from tetrarch.storage.folders import make_folder


def test_folder_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "one")
    assert path.stat().st_mode & 0o777 == 0o700
    assert make_folder(path) == path


def test_parents_are_made_only_if_asked_for(tmp_path: Path) -> None:
    deep = tmp_path / "one" / "two"
    with pytest.raises(FolderNotWritable, match="one/two"):
        make_folder(deep)
    assert make_folder(deep, parents=True).is_dir()


def test_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderNotWritable, match="file"):
        make_folder(tmp_path / "file")
