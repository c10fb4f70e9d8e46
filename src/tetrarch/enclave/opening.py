"""Reads shares, sealed or in keystores, and holds each against the public share it must have.

``store_share`` and ``delete_share`` are what the keymanager changes: a keystore and its password
appear whole or not at all, the keystore last, for it is what a start looks for.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.keystore import KeystoreInvalid, KeystorePasswordWrong, decrypt_keystore
from tetrarch.enclave.errors import PasswordWrong, ShareFileMissing, ShareInvalid, ShareSwapped
from tetrarch.enclave.key_messages import KEYSTORE_MAX_BYTES, PASSWORD_MAX_BYTES
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.sealed_keys import SealedKeys
from tetrarch.storage.durable_file import replace_file, sync_folder
from tetrarch.storage.errors import cannot_create


def open_keys(
    files: Sequence[ShareFile], sealed: SealedKeys | None, *, threads: int = 2
) -> dict[bytes, SecretKey]:
    """Every share of ``files``, from ``sealed`` if it is there, else from its keystore.

    Raises:
        ShareSwapped: a sealed share is not the one that it must be.
        ShareFileMissing, ShareInvalid, PasswordWrong: as ``open_shares``.
    """
    opened = {} if sealed is None else sealed_shares(files, sealed)
    others = [file for file in files if file.pubkey not in opened]
    return opened | open_shares(others, threads=threads)


def sealed_shares(files: Sequence[ShareFile], sealed: SealedKeys) -> dict[bytes, SecretKey]:
    """Those of ``files`` that are sealed.

    Raises:
        ShareSwapped: one is not the share that it must be.
    """
    found = {}
    for file in files:
        share = sealed.kept.shares.get(file.pubkey)
        if share is None:
            continue
        if share.public_share != file.public_share:
            raise _swapped(file, share.public_share, sealed=sealed.path)
        found[file.pubkey] = share.secret
    return found


def open_shares(files: Sequence[ShareFile], *, threads: int = 2) -> dict[bytes, SecretKey]:
    """Decrypt every share; root key -> share.

    Raises:
        ShareFileMissing, ShareInvalid, PasswordWrong, ShareSwapped: names the file.

    Cost: what each keystore asks for, usually 0.1 to 1 s, on ``threads`` cores.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="open") as pool:
        return dict(zip((file.pubkey for file in files), pool.map(open_share, files), strict=True))


def open_share(file: ShareFile) -> SecretKey:
    """Decrypt one share; raises as ``open_shares``."""
    content = _read(Path(file.keystore), KEYSTORE_MAX_BYTES)
    # The line end that editors add belongs to no password.
    secret = _read(Path(file.password), PASSWORD_MAX_BYTES).rstrip(b"\r\n")
    return decrypt_share(file, content, secret)


def decrypt_share(file: ShareFile, content: bytes, secret: bytes) -> SecretKey:
    """The share in the keystore ``content`` under the password ``secret``.

    Raises:
        ShareInvalid, PasswordWrong, ShareSwapped: names the file.
    """
    keystore, password = Path(file.keystore), Path(file.password)
    try:
        opened = decrypt_keystore(msgspec.json.decode(content), secret.decode())
    except KeystorePasswordWrong:
        raise PasswordWrong("open share", keystore=keystore, password_file=password) from None
    except KeystoreInvalid as error:
        raise ShareInvalid("open share", keystore=keystore, **error.fields) from None
    except (msgspec.DecodeError, RecursionError):
        raise ShareInvalid("open share", keystore=keystore, reason="not JSON") from None
    except UnicodeDecodeError:
        # Without the cause: its text would show the password's bytes.
        raise ShareInvalid("open share", password_file=password, reason="not UTF-8") from None
    if opened.public_key != file.public_share:
        raise _swapped(file, opened.public_key, keystore=keystore)
    return opened.secret


def _swapped(file: ShareFile, holds: bytes, **where: object) -> ShareSwapped:
    return ShareSwapped(
        "open share",
        **where,
        validator="0x" + file.pubkey.hex(),
        holds="0x" + holds.hex(),
        expected="0x" + file.public_share.hex(),
    )


def _read(path: Path, size_max: int) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(size_max + 1)
    except OSError as error:
        raise ShareFileMissing("open share", path=path, reason=error.strerror) from None
    if len(content) > size_max:
        raise ShareInvalid("open share", path=path, reason="too large", maximum_bytes=size_max)
    return content


def store_share(file: ShareFile, content: bytes, secret: bytes) -> None:
    """Write keystore and password where ``file`` says, durable on return.

    Raises:
        OperatorError: the folder cannot be written; nothing new will be opened at a start.
    """
    keystore = Path(file.keystore)
    try:
        keystore.parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(Path(file.password), secret)
        replace_file(keystore, content)
        sync_folder(keystore.parent)
    except OSError as error:
        raise cannot_create("store share", keystore, error) from None


def delete_share(file: ShareFile) -> None:
    """Delete keystore and password, durable on return; what is not there is no error.

    Raises:
        OperatorError: the folder cannot be written.
    """
    keystore = Path(file.keystore)
    try:
        keystore.unlink(missing_ok=True)
        Path(file.password).unlink(missing_ok=True)
        sync_folder(keystore.parent)
    except OSError as error:
        raise cannot_create("delete share", keystore, error) from None
