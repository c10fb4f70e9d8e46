"""Holds the one TPM of this enclave: what vouches for it, counts its states and opens its seals."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from tetrarch.enclave.errors import TpmFailed
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.secret_reading import SecretReader, no_tpm_key, without_tpm
from tetrarch.enclave.tpm_attesting import TpmAttester
from tetrarch.enclave.tpm_commands import Tpm
from tetrarch.enclave.tpm_device import TpmDevice
from tetrarch.enclave.tpm_key_file import TpmKeyFile
from tetrarch.enclave.tpm_messages import OpenTpm
from tetrarch.enclave.tpm_secret import tpm_secret
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid


class TpmCalls:
    """``connect`` before the process is locked, ``open`` after it, ``close`` at the end.

    ``read``: secrets of seals, those that the TPM derives among them.
    """

    def __init__(
        self, *, program: bytes, protections: Callable[[], tuple[str, ...]], entropy: Entropy
    ) -> None:
        """Its parameters are those of ``TpmAttester.open``."""
        self._program = program
        self._protections = protections
        self._entropy = entropy
        self._device: TpmDevice | None = None
        self._attester: TpmAttester | None = None
        self.read = SecretReader(entropy, self._derive)

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
        secret = tpm_secret(Path(call.folder), SealSecret.of(call.secret), self._entropy, self.read)
        tpm = Tpm(self._device.exchange)
        self._attester = TpmAttester.open(
            tpm, secret, program=self._program, protections=self._protections
        )
        return self._attester

    def make_key_file(self, registers: tuple[int, ...]) -> bytes:
        """A new TPM key file, for a machine whose PCRs ``registers`` hold what they hold now.

        Raises:
            TpmMissing, TpmFailed: there is none, or it does not.
        """
        if self._device is None:
            return no_tpm_key(registers)
        return TpmKeyFile.make(Tpm(self._device.exchange), registers, self._entropy).content

    def close(self) -> None:
        """Have the TPM forget the key, and let go of it."""
        if self._attester is not None:
            with contextlib.suppress(TpmFailed):
                self._attester.close()
            self._attester = None
        if self._device is not None:
            self._device.close()
            self._device = None

    def _derive(self, content: bytes) -> bytes:
        if self._device is None:
            return without_tpm(content)
        return TpmKeyFile.read(content).secret(Tpm(self._device.exchange))
