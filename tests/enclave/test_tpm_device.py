"""A way to a TPM that hangs, ends or talks nonsense is closed; one that is busy is asked again."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.enclave.fake_tpm import KEYS_MAX, FakeTpm
from tests.enclave.tpm_contract import made

from tetrarch.enclave import tpm_device
from tetrarch.enclave.errors import TpmFailed, TpmMissing
from tetrarch.enclave.tpm_commands import Tpm
from tetrarch.enclave.tpm_device import TRIES, TpmDevice

SOCKET = "s"  # short: a socket's path has 107 bytes


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpm_device, "_PAUSE_S", 0.0)


def test_a_socket_is_found_without_the_keys_that_others_left(tmp_path: Path) -> None:
    fake = FakeTpm()
    with fake.serve(tmp_path / SOCKET) as path:
        for _ in range(KEYS_MAX + 1):
            device = TpmDevice.open(path)
            made(Tpm(device.exchange))
            device.close()  # as when the process is killed: the key stays
        assert len(fake.keys) == 1


def test_what_is_no_tpm_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none", tmp_path / "file", tmp_path):
        with pytest.raises(TpmMissing, match=str(path)):
            TpmDevice.open(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
    with pytest.raises(TpmMissing, match="refused"):
        TpmDevice.open(tmp_path / SOCKET)


def test_a_device_that_is_no_tpm_is_closed() -> None:
    device = TpmDevice.open(Path("/dev/null"))
    for reason in ("it ended", "it is closed"):
        with pytest.raises(TpmFailed, match=reason):
            Tpm(device.exchange).loaded()


def test_a_busy_tpm_is_asked_again(tmp_path: Path) -> None:
    fake = FakeTpm()
    with fake.serve(tmp_path / SOCKET) as path, closing(TpmDevice.open(path)) as device:
        fake.busy = TRIES - 1
        assert made(Tpm(device.exchange)).public.x
        fake.busy = TRIES
        with pytest.raises(TpmFailed, match="busy"):
            made(Tpm(device.exchange))
        assert made(Tpm(device.exchange)).public.x, "it did nothing, so it may be asked later"


@contextmanager
def answering(path: Path, *chunks: bytes, hang: bool = False) -> Iterator[None]:
    """Says ``chunks`` to the first client after its first command, and nothing more."""
    done = threading.Event()

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(4096)
            for chunk in chunks:
                connection.sendall(chunk)
            if hang:
                done.wait(10)

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(10)


NO_KEYS = bytes.fromhex("80010000001300000000") + b"\0" + bytes((0, 0, 0, 1)) + bytes(4)


def test_a_response_may_come_in_parts(tmp_path: Path) -> None:
    with answering(tmp_path / SOCKET, NO_KEYS[:3], NO_KEYS[3:11], NO_KEYS[11:]):
        TpmDevice.open(tmp_path / SOCKET).close()


@pytest.mark.parametrize(
    ("said", "hang", "reason"),
    [
        (b"", False, "it ended"),
        (NO_KEYS[:-1], False, "it ended"),
        (NO_KEYS[:-1], True, "no answer in time"),
        (NO_KEYS + b"\0", True, "no response of a TPM"),
        (b"\0" * 10, True, "no response of a TPM"),
        (b"\xff" * 10, True, "no response of a TPM"),
    ],
)
def test_a_tpm_that_does_not_answer_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, hang: bool, reason: str
) -> None:
    monkeypatch.setattr(tpm_device, "ANSWER_TIMEOUT_S", 0.2)
    with (
        answering(tmp_path / SOCKET, said, hang=hang),
        pytest.raises(TpmFailed, match=reason),
    ):
        TpmDevice.open(tmp_path / SOCKET)
