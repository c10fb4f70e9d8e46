"""Reads the share keystores and holds each against the public share it must have."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.keystore import KeystoreInvalid, KeystorePasswordWrong, decrypt_keystore
from tetrarch.enclave.errors import PasswordWrong, ShareFileMissing, ShareInvalid, ShareSwapped
from tetrarch.enclave.protocol import ShareFile

_KEYSTORE_MAX_BYTES = 1 << 16
_PASSWORD_MAX_BYTES = 1 << 12


def open_shares(files: Sequence[ShareFile], *, threads: int = 2) -> dict[bytes, SecretKey]:
    """Decrypt every share; root key -> share.

    Raises:
        ShareFileMissing, ShareInvalid, PasswordWrong, ShareSwapped: names the file.

    Cost: what each keystore asks for, usually 0.1 to 1 s, on ``threads`` cores.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="open") as pool:
        return dict(zip((file.pubkey for file in files), pool.map(_open, files), strict=True))


def _open(file: ShareFile) -> SecretKey:
    keystore, password = Path(file.keystore), Path(file.password)
    content = _read(keystore, _KEYSTORE_MAX_BYTES)
    # The line end that editors add belongs to no password.
    secret = _read(password, _PASSWORD_MAX_BYTES).rstrip(b"\r\n")
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
        raise ShareSwapped(
            "open share",
            keystore=keystore,
            validator="0x" + file.pubkey.hex(),
            holds="0x" + opened.public_key.hex(),
            expected="0x" + file.public_share.hex(),
        )
    return opened.secret


def _read(path: Path, size_max: int) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(size_max + 1)
    except OSError as error:
        raise ShareFileMissing("open share", path=path, reason=error.strerror) from None
    if len(content) > size_max:
        raise ShareInvalid("open share", path=path, reason="too large", maximum_bytes=size_max)
    return content
