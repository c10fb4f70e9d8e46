"""swtpm as a process: a TPM 2.0 in software, on a Unix socket, whose state survives it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.integration.processes import wait_for

LISTENS = "00010000"  # __SO_ACCEPTCON, in the fourth column of /proc/net/unix


def listens(path: Path) -> bool:
    """Whether a connection to ``path`` is taken: its file is there a moment earlier."""
    rows = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
    return any(row[3] == LISTENS and row[-1] == str(path) for row in rows)


class SoftwareTpm:
    """``running`` in a ``with``; ``restart`` is the machine switched off and on."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "s"  # a socket's path has 107 bytes
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[Path]:
        if shutil.which("swtpm") is None:
            pytest.skip(
                "REAL TPM NOT RUN: install swtpm, or run tests/integration/install_peers.sh"
            )
        self._folder.mkdir(exist_ok=True)
        self._start()
        try:
            yield self.socket
        finally:
            self._stop()

    def restart(self) -> None:
        self._stop()
        self._start()

    def _start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                (
                    *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._folder}"),
                    *("--server", f"type=unixio,path={self.socket}"),
                    *("--flags", "not-need-init,startup-clear"),
                ),
                stdout=log,
                stderr=log,
            )
        wait_for("swtpm's socket", lambda: listens(self.socket))

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None
        self.socket.unlink(missing_ok=True)


@contextmanager
def software_tpms(folder: Path, count: int) -> Iterator[list[SoftwareTpm]]:
    """So many running TPMs, each with keys of its own."""
    tpms = [SoftwareTpm(folder / f"t{number}") for number in range(count)]
    with ExitStack() as stack:
        for tpm in tpms:
            stack.enter_context(tpm.running())
        yield tpms
