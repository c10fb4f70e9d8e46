"""A share that is missing, locked or another node's is refused by name, and nothing is shown."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.enclave.enclave_world import shares, started, validators, write_share

from tetrarch.enclave.errors import PasswordWrong, ShareFileMissing, ShareInvalid, ShareSwapped


def damage_missing_keystore(folder, file):
    Path(file.keystore).unlink()


def damage_missing_password(folder, file):
    Path(file.password).unlink()


def damage_password(folder, file):
    Path(file.password).write_text("guess")


def damage_keystore(folder, file):
    Path(file.keystore).write_text(json.dumps({"version": 4, "crypto": "none"}))


def damage_json(folder, file):
    Path(file.keystore).write_text("{")


def damage_depth(folder, file):
    Path(file.keystore).write_text("[" * 60_000)


def damage_form(folder, file):
    Path(file.keystore).write_text("[]")


def damage_bytes(folder, file):
    Path(file.keystore).write_bytes(b"\xff\xfe")


def damage_nothing_left(folder, file):
    Path(file.keystore).write_bytes(b"")


def damage_size(folder, file):
    Path(file.keystore).write_text(" " * 100_000)


def damage_encoding(folder, file):
    Path(file.password).write_bytes(b"\xff\xfe")


def damage_swapped(folder, file):
    (other,) = validators(3)[2:]
    swapped = write_share(folder, other, name="swapped")
    Path(file.keystore).write_bytes(Path(swapped.keystore).read_bytes())


@pytest.mark.parametrize(
    ("damage", "error", "named"),
    [
        (damage_missing_keystore, ShareFileMissing, "share-1.json"),
        (damage_missing_password, ShareFileMissing, "share-1.txt"),
        (damage_password, PasswordWrong, "share-1.txt"),
        (damage_keystore, ShareInvalid, "share-1.json"),
        (damage_json, ShareInvalid, "share-1.json"),
        (damage_depth, ShareInvalid, "share-1.json"),
        (damage_form, ShareInvalid, "share-1.json"),
        (damage_bytes, ShareInvalid, "share-1.json"),
        (damage_nothing_left, ShareInvalid, "share-1.json"),
        (damage_size, ShareInvalid, "share-1.json"),
        (damage_encoding, ShareInvalid, "share-1.txt"),
        (damage_swapped, ShareSwapped, "share-1.json"),
    ],
)
def test_a_damaged_share_is_named(tmp_path: Path, damage, error, named) -> None:
    _, files = shares(tmp_path, 2)
    damage(tmp_path, files[1])

    async def main() -> None:
        with pytest.raises(error, match=named) as caught:
            await started(tmp_path, files)
        assert caught.value.mend
        assert "guess" not in str(caught.value)

    asyncio.run(main())


def test_a_password_may_end_with_a_line_break(tmp_path: Path) -> None:
    _, files = shares(tmp_path, 1)
    path = Path(files[0].password)
    path.write_bytes(path.read_bytes() + b"\r\n")

    async def main() -> None:
        await (await started(tmp_path, files)).close()

    asyncio.run(main())
