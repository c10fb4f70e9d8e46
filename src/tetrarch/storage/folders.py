"""Folders of a node, for its user alone."""

from pathlib import Path

from tetrarch.storage.errors import cannot_create

MODE = 0o700


def make_folder(path: Path, *, parents: bool = False) -> Path:
    """``path``, which is there afterwards. ``parents``: those that are not there are made, too.

    Raises:
        FolderNotWritable, StorageFullAtStart: it cannot be made.
    """
    try:
        path.mkdir(mode=MODE, parents=parents, exist_ok=True)
    except OSError as error:
        raise cannot_create("make folder", path, error) from None
    return path
