"""Ceremonies with real enclave processes, over made-up shares; and enclaves that die in them."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.enclave.enclave_world import Validator, shares

from tetrarch.enclave.ceremony_messages import SealShares, SharesSealed
from tetrarch.enclave.client import COMMAND, A, EnclaveClient
from tetrarch.enclave.messages import SealedFile, SecretFile, ShareFile
from tetrarch.enclave.protections import Confinement
from tetrarch.enclave.sealed_keys import SealedKeys
from tetrarch.enclave.sealing import Kind
from tetrarch.entropy import system_entropy

# An enclave that kills itself instead of its n-th step on the disk.
DYING = """
import os, signal, socket, sys
from pathlib import Path
from tetrarch.clock import SystemClock
from tetrarch.enclave.process import EnclaveProcess

left = int(sys.argv[1])

def dying(function):
    def step(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            signal.raise_signal(9)
        return function(*arguments, **options)
    return step

os.fsync, Path.replace, Path.unlink = dying(os.fsync), dying(Path.replace), dying(Path.unlink)
EnclaveProcess(clock=SystemClock()).serve(socket.socket(fileno=os.dup(0)))
"""
# An enclave whose disk takes no more sealed bytes.
FULL = """
import errno, os, socket
from tetrarch.clock import SystemClock
from tetrarch.enclave.process import EnclaveProcess
from tetrarch.storage import durable_file

def full(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

durable_file.os = type("Full", (), {**vars(os), "fsync": staticmethod(full)})
EnclaveProcess(clock=SystemClock()).serve(socket.socket(fileno=os.dup(0)))
"""


def dying(step: int) -> tuple[str, ...]:
    return (sys.executable, "-c", DYING, str(step))


@dataclass
class Folder:
    """Shares as keystores, and where their seal goes."""

    path: Path
    validators: tuple[Validator, ...]
    files: tuple[ShareFile, ...]

    @property
    def database(self) -> Path:
        return self.path / "database" / "enclave.sqlite"

    @property
    def sealed_path(self) -> Path:
        return self.path / "enclave" / "keys.sealed"

    def sealed(self, secret: SecretFile) -> SealedFile:
        return SealedFile(str(self.sealed_path), secret)

    def lying(self) -> list[str]:
        """The plain files that are left."""
        return sorted(path.name for path in (self.path / "validator_keys").iterdir())

    def call(self, secret: SecretFile, **options) -> SealShares:
        return SealShares(str(self.database), self.sealed(secret), self.files, **options)

    def seal(
        self, secret: SecretFile, *, command: Sequence[str] = COMMAND, **options
    ) -> SharesSealed:
        return ceremony(self.call(secret, **options), SharesSealed, self, command=command)

    def opened(self, secret: SecretFile) -> dict[bytes, bytes]:
        """What the sealed file holds."""
        kept = SealedKeys.open(self.sealed(secret), system_entropy).kept
        return {root: share.secret.to_bytes() for root, share in kept.shares.items()}

    @property
    def expected(self) -> dict[bytes, bytes]:
        return {each.pubkey: each.share.to_bytes() for each in self.validators}


def folder(path: Path, count: int = 2) -> Folder:
    for name in ("validator_keys", "database", "enclave"):
        (path / name).mkdir(parents=True)
    keys, files = shares(path / "validator_keys", count)
    return Folder(path, keys, tuple(files))


def key_file(path: Path, content: bytes = b"k" * 32) -> SecretFile:
    path.write_bytes(content)
    path.chmod(0o600)
    return SecretFile(str(path), Kind.KEY_FILE)


def passphrase_file(path: Path, text: str = "correct horse") -> SecretFile:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return SecretFile(str(path), Kind.PASSPHRASE)


def ceremony(
    call,
    answer: type[A],
    where: Folder,
    *,
    command: Sequence[str] = COMMAND,
    also: Path | None = None,
) -> A:
    """``also``: another folder that it may write to."""

    async def main() -> A:
        confinement = Confinement(
            writable=(where.path, *([also] if also else [])), readable=(where.path.parent,)
        )
        enclave = await EnclaveClient.launch(confinement, command=command)
        try:
            return await enclave.hold(call, answer)
        finally:
            await enclave.close()

    return asyncio.run(main())
