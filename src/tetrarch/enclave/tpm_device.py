"""The way to a TPM: a device of the kernel, or a Unix socket of a TPM in software.

It is opened before the enclave's process is locked, and afterwards only read and written. A socket
belongs to one client at a time; ``/dev/tpmrm0`` serves many and keeps their keys apart.
"""

import contextlib
import os
import select
import socket
import stat
import time
from pathlib import Path
from typing import Self

from tetrarch.enclave.errors import TpmFailed, TpmMissing
from tetrarch.enclave.tpm_commands import HEADER_SIZE_BYTES, RESPONSE_MAX_BYTES, Tpm

ANSWER_TIMEOUT_S = 20.0  # chips take up to a second, and more for a test of themselves
TRIES = 20
_PAUSE_S = 0.05
# [TPM_RC_YIELDED, TESTING, NV_RATE, RETRY]: nothing was done, and later it may be.
_LATER = frozenset({0x908, 0x90A, 0x920, 0x922})


class TpmDevice:
    """``open`` it, ``exchange`` commands for responses, ``close`` it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the TPM at ``path``.

        Raises:
            TpmMissing: it cannot be opened, or is no TPM.
            TpmFailed: it does not answer.
        """
        try:
            mode = path.stat().st_mode
            if stat.S_ISSOCK(mode):
                return cls._of_socket(path)
            if stat.S_ISCHR(mode):
                return cls(path, os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            raise TpmMissing("open TPM", path=path, reason=error.strerror or error) from None
        raise TpmMissing("open TPM", path=path, reason="neither a device nor a socket")

    @classmethod
    def _of_socket(cls, path: Path) -> Self:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(path))
            device = cls(path, connection.detach())
        # Nobody else uses it now: what is loaded was left behind by clients that were killed.
        tpm = Tpm(device.exchange)
        try:
            for handle in tpm.loaded():
                tpm.flush(handle)
        except BaseException:
            device.close()
            raise
        return device

    def exchange(self, command: bytes) -> bytes:
        """Send a command, wait for its response. Cost: 1 ms in software, up to 1 s of a chip.

        Raises:
            TpmFailed: it does not answer, and will not be asked again; or it stays busy.
        """
        for _ in range(TRIES):
            response = self._exchange(command)
            if int.from_bytes(response[6:HEADER_SIZE_BYTES], "big") not in _LATER:
                return response
            time.sleep(_PAUSE_S)
        raise TpmFailed("ask TPM", path=self._path, reason="it stays busy")

    def close(self) -> None:
        """Let go of it. Doing it twice does nothing."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _exchange(self, command: bytes) -> bytes:
        if self._descriptor is None:
            raise self._failed("it is closed")
        try:
            os.write(self._descriptor, command)  # whole: it is smaller than any buffer
            return self._response(self._descriptor)
        except OSError as error:
            raise self._failed(error.strerror) from None

    def _response(self, descriptor: int) -> bytes:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        response = b""
        size = HEADER_SIZE_BYTES
        while len(response) < size:
            if not poll.poll(ANSWER_TIMEOUT_S * 1000):
                raise self._failed("no answer in time")
            chunk = os.read(descriptor, RESPONSE_MAX_BYTES)
            if not chunk:
                raise self._failed("it ended")
            response += chunk
            if len(response) >= HEADER_SIZE_BYTES:
                size = int.from_bytes(response[2:6], "big")
                if not HEADER_SIZE_BYTES <= size <= RESPONSE_MAX_BYTES or size < len(response):
                    raise self._failed("no response of a TPM")
        return response

    def _failed(self, reason: object) -> TpmFailed:
        self.close()  # what it says next would answer another command
        return TpmFailed("ask TPM", path=self._path, reason=reason)
