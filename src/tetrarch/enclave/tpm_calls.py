"""Holds the one TPM of this enclave, and answers the node's call about it."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from tetrarch.enclave.errors import TpmFailed
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.tpm_attesting import TpmAttester
from tetrarch.enclave.tpm_commands import Tpm
from tetrarch.enclave.tpm_device import TpmDevice
from tetrarch.enclave.tpm_messages import OpenTpm
from tetrarch.enclave.tpm_secret import tpm_secret
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid


class TpmCalls:
    """``connect`` before the process is locked, ``open`` after it, ``close`` at the end."""

    def __init__(
        self, *, program: bytes, protections: Callable[[], tuple[str, ...]], entropy: Entropy
    ) -> None:
        """Its parameters are those of ``TpmAttester.open``."""
        self._program = program
        self._protections = protections
        self._entropy = entropy
        self._device: TpmDevice | None = None
        self._attester: TpmAttester | None = None

    def connect(self, path: Path) -> None:
        """Open the way to the TPM at ``path``.

        Raises:
            TpmMissing, TpmFailed: there is none.
        """
        self._device = TpmDevice.open(path)

    def open(self, call: OpenTpm) -> TpmAttester:
        """Have the TPM make the key that belongs to the secret in the call's folder.

        Raises:
            TpmFailed: it does not.
            OperatorError: of ``tpm_secret``.
        """
        if self._device is None:
            raise InputInvalid("open TPM", reason="none was named when the enclave was locked")
        if self._attester is not None:
            raise InputInvalid("open TPM", reason="it is open already")
        kind = Kind.PASSPHRASE if call.is_passphrase else Kind.KEY_FILE
        secret = tpm_secret(Path(call.folder), SealSecret(kind, Path(call.secret)), self._entropy)
        tpm = Tpm(self._device.exchange)
        self._attester = TpmAttester.open(
            tpm, secret, program=self._program, protections=self._protections
        )
        return self._attester

    def close(self) -> None:
        """Have the TPM forget the key, and let go of it."""
        if self._attester is not None:
            with contextlib.suppress(TpmFailed):
                self._attester.close()
            self._attester = None
        if self._device is not None:
            self._device.close()
            self._device = None
