"""Reads what opens a seal, in the enclave's process: from a file, from a TPM, or sealed in turn."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from tetrarch.enclave.errors import SealSecretMissing, TpmMissing
from tetrarch.enclave.seal_secret import SealSecret, refuse_readable_by_others
from tetrarch.enclave.sealed_secret import sealed_secret
from tetrarch.enclave.sealing import KEY_FILE_SIZE_BYTES, PASSPHRASE_MAX_BYTES, Kind
from tetrarch.enclave.tpm_key_file import SIZE_BYTES as TPM_KEY_FILE_SIZE_BYTES
from tetrarch.entropy import Entropy

# What the enclave's TPM derives from the content of a TPM key file.
ByTpm: TypeAlias = Callable[[bytes], bytes]

STATE_KEY_BOUND_TO = b"tetrarch/state-key/1"
_SIZE_MAX_BYTES = {
    Kind.PASSPHRASE: PASSPHRASE_MAX_BYTES,
    Kind.KEY_FILE: KEY_FILE_SIZE_BYTES,
    Kind.TPM: TPM_KEY_FILE_SIZE_BYTES,
}


def without_tpm(_content: bytes) -> bytes:
    """A ``ByTpm`` of an enclave that has none."""
    raise TpmMissing("read secret", reason="none is named: [enclave] tpm, or --tpm")


def no_tpm_key(_registers: tuple[int, ...]) -> bytes:
    """No TPM makes a key file."""
    raise TpmMissing("make TPM key file", reason="none is named: --tpm")


class SecretReader:
    """Reads secrets; ``by_tpm``: those that the enclave's TPM derives."""

    def __init__(self, entropy: Entropy, by_tpm: ByTpm = without_tpm) -> None:
        self._entropy = entropy
        self._by_tpm = by_tpm

    def __call__(self, secret: SealSecret) -> bytes:
        """The secret. Cost: 0.2 s where a passphrase seals it, up to 1 s of a chip.

        Raises:
            SealSecretMissing: there is none, or others may read it too.
            SealInvalid, SealSecretWrong: it is sealed itself, and does not open.
            TpmMissing, TpmFailed: the TPM does not derive it.
        """
        if secret.sealed_by is not None:
            by = secret.sealed_by
            return sealed_secret(
                secret.path,
                kind=by.kind,
                content=self(by),
                bound_to=STATE_KEY_BOUND_TO,
                entropy=self._entropy,
            )
        content = _content(secret.path, secret.kind)
        return self._by_tpm(content) if secret.kind is Kind.TPM else content


def _content(path: Path, kind: Kind) -> bytes:
    size_max = _SIZE_MAX_BYTES[kind]
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(size_max + 3)
    except OSError as error:
        raise SealSecretMissing("read secret", path=path, reason=error.strerror) from None
    refuse_readable_by_others(path, mode)
    if kind is Kind.PASSPHRASE:
        content = content.rstrip(b"\r\n")
    enough = len(content) > 0 if kind is Kind.PASSPHRASE else len(content) == size_max
    if not enough or len(content) > size_max:
        raise SealSecretMissing("read secret", path=path, bytes=len(content))
    return content
