"""One value at rest, sealed: read at start, written whole and durably with each change."""

import errno
from pathlib import Path
from typing import Generic, Self, TypeVar

import msgspec

from tetrarch.crypto.wiping import wipe
from tetrarch.decoding import UNDECODABLE
from tetrarch.enclave.errors import SealInvalid
from tetrarch.enclave.host import Host
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealing import SealingKey, new_key, unseal
from tetrarch.errors import InputInvalid
from tetrarch.storage.durable_file import write_durably
from tetrarch.storage.errors import StorageFailed, StorageFull

STATE_MAX_BYTES = 1 << 20

K = TypeVar("K", bound=msgspec.Struct)


class SealedState(Generic[K]):
    """The file of a value, and the key that it is sealed with. ``found``: as it was read, or None."""

    def __init__(
        self, path: Path, key: SealingKey, *, bound_to: bytes, what: str, found: K | None
    ) -> None:
        """``open`` makes one."""
        self.found = found
        self._path = path
        self._key = key
        self._bound_to = bound_to
        self._what = what

    @classmethod
    def open(
        cls,
        path: Path,
        kind: type[K],
        *,
        secret: SealSecret,
        bound_to: bytes,
        what: str,
        host: Host,
    ) -> Self:
        """Read ``path``, if it is there; ``what`` names the value in errors.

        Raises:
            SealInvalid, SealSecretWrong, SealSecretMissing: it cannot be read, and why.
        """
        content = host.read(secret)
        try:
            with path.open("rb") as stream:
                sealed = stream.read(2 * STATE_MAX_BYTES)
        except FileNotFoundError:
            key = new_key(secret.kind, content, host.entropy)
            return cls(path, key, bound_to=bound_to, what=what, found=None)
        except OSError as error:
            raise SealInvalid(f"read {what}", path=path, reason=error.strerror) from None
        key, text = unseal(sealed, content, secret.kind, bound_to=bound_to, entropy=host.entropy)
        try:
            found = msgspec.msgpack.decode(text, type=kind)
        except UNDECODABLE as error:
            raise SealInvalid(f"read {what}", path=path, reason=error) from None
        finally:
            wipe(text)
        return cls(path, key, bound_to=bound_to, what=what, found=found)

    def store(self, kept: K) -> None:
        """``kept`` is there, whole, when this returns. Cost: that of a durable write.

        Raises:
            StorageFull, StorageFailed: the disk does not take it.
        """
        text = msgspec.msgpack.encode(kept)
        if len(text) > STATE_MAX_BYTES:
            raise InputInvalid(f"seal {self._what}", bytes=len(text), maximum=STATE_MAX_BYTES)
        sealed = self._key.seal(text, bound_to=self._bound_to)
        wipe(text)
        try:
            write_durably(self._path, sealed)
        except OSError as error:
            kind = StorageFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageFailed
            raise kind(f"seal {self._what}", path=self._path, reason=error.strerror) from None
