"""No byte of a key, password or passphrase leaves an enclave: not in a core, ``/proc`` or a log.

Goal: what its host's other programs, its crash handlers and its log files can see holds no secret. Method: a
real enclave with known secrets is opened, asked, misled and killed; all that is seen is searched
for each secret in every form in which it could be written.
"""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.enclave.enclave_world import Validator, validators, write_share

from tetrarch.enclave import protocol
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.protections import Confinement

PASSWORD, PASSPHRASE = "Zwiebelfisch-und-Kanone-7", "nine lives of a brass kettle"
NOBODY = 65534
USER = NOBODY if os.getuid() == 0 else os.getuid()

# An enclave of another user than root: all is loaded before it becomes one.
ENCLAVE = """
import os, sys
from cryptography.hazmat.backends import default_backend
from tetrarch.clock import SystemClock
from tetrarch.enclave.process import run
user = int(sys.argv[1])
if user != os.getuid():
    default_backend()
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
run(SystemClock())
"""
# A node that writes down all it has: its log at debug level, every error with its traceback.
NODE = """
import asyncio, logging, sys, traceback
from pathlib import Path
import msgspec
from tests.enclave.enclave_world import OLD_CHAIN, vote
from tests.election.support import configuration
from tetrarch.election.documents import configuration_document
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_messages import ElectionOpened, OpenElection
from tetrarch.enclave.key_messages import AddShare
from tetrarch.enclave.messages import SecretFile, ShareFile
from tetrarch.enclave.ports import SignRandao
from tetrarch.enclave.sealing import Kind
from tetrarch.errors import TetrarchError

folder, given = Path(sys.argv[1]), msgspec.json.decode(sys.argv[2])
logging.basicConfig(level=logging.DEBUG)
file = ShareFile(*(bytes.fromhex(each) for each in given[:2]), *given[2:])

def told(what):
    print(repr(what), str(what), flush=True)

async def expect_error(work):
    try:
        told(await work)
    except TetrarchError as error:
        traceback.print_exc()
        told(error)
        told(error.fields)

def election(secret):
    return OpenElection(
        str(folder),
        configuration_document(configuration()),
        0,
        SecretFile(str(secret), Kind.PASSPHRASE),
        True,
    )

async def main():
    wrong = msgspec.structs.replace(file, password=str(folder / "wrong.txt"))
    await expect_error(EnclaveClient.start(database=folder / "a.db", shares=[wrong]))
    client = await EnclaveClient.start(
        database=folder / "a.db", shares=[file], key_folder=folder
    )
    told(await client.status())
    await expect_error(client.sign((vote(file.pubkey, 1, 2),)))  # it knows no chain yet
    await client.configure(OLD_CHAIN)
    for head in (b"h" * 32, b"i" * 32):
        told(await client.sign((vote(file.pubkey, 1, 2, head=head), SignRandao(file.pubkey, 1))))
    keystore, password = (Path(each).read_bytes() for each in (file.keystore, file.password))
    for secret in (password.strip() + b"!", password.strip()):
        call = AddShare(file, keystore, secret)
        told(call)
        await expect_error(client.keep(call))
    damaged = keystore.replace(b'"crypto"', b'"krypto"')
    await expect_error(client.keep(AddShare(file, damaged, password.strip())))
    await expect_error(client.ask(election(folder / "passphrase"), ElectionOpened))
    await expect_error(client.ask(election(folder / "passphrase"), ElectionOpened))
    await client.close()
    client = await EnclaveClient.start(database=folder / "a.db", shares=[file])
    await expect_error(client.ask(election(folder / "wrong.txt"), ElectionOpened))
    client._channel._transport.write(b"\\xff" * 8)  # nonsense: the enclave ends with a line
    await expect_error(client.status())
    await client.close()

asyncio.run(main(), debug=True)
"""


def forms(secret: bytes) -> Iterator[bytes]:
    """How the bytes could be written in a text, and as they are."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield str(int.from_bytes(secret, "big")).encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode):
        yield encode(secret).rstrip(b"=")[:-2]  # the end depends on what follows
    yield repr(secret)[2:-1].encode()


def found_in(content: bytes, secrets: dict[str, bytes]) -> list[str]:
    return [
        name for name, secret in secrets.items() if any(form in content for form in forms(secret))
    ]


def made(folder: Path) -> tuple[Validator, ShareFile, dict[str, bytes]]:
    (validator,) = validators(1)
    file = write_share(folder, validator, name="share", password=PASSWORD)
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
    (folder / "wrong.txt").write_text("guess-of-somebody")
    for each in folder.iterdir():
        each.chmod(0o600)
    secrets = {
        "key": validator.share.to_bytes(),
        "password": PASSWORD.encode(),
        "passphrase": PASSPHRASE.encode(),
        "wrong guess": b"guess-of-somebody",
    }
    return validator, file, secrets


@pytest.mark.parametrize("name", ["key", "password", "passphrase"])
def test_search_finds_each_secret_in_each_form(tmp_path: Path, name: str) -> None:
    """Else the tests below could not fail."""
    _, _, secrets = made(tmp_path)
    secret = secrets[name]
    texts = (
        repr(secret),
        secret.hex(),
        f"0x{secret.hex().upper()}",
        json.dumps({"secret": base64.b64encode(secret).decode()}),
        base64.b64encode(secret + b"more").decode(),
        str(int.from_bytes(secret, "big")),
    )
    for text in texts:
        assert found_in(b"a line with " + text.encode() + b" in it", secrets) == [name]
    assert found_in(b"before" + secret + b"after", secrets) == [name]


def test_nothing_is_written_of_them_however_much_is_logged(tmp_path: Path) -> None:
    _, file, secrets = made(tmp_path)
    given = [file.pubkey.hex(), file.public_share.hex(), file.keystore, file.password]
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", NODE, str(tmp_path), json.dumps(given)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=120,
        check=False,
    )
    told = ended.stdout + ended.stderr
    assert ended.returncode == 0, told.decode()
    for code in (
        b"share_password_wrong",
        b"share_invalid",
        b"seal_secret_wrong",
        b"not_configured",
        b"double_vote",
        b"Approved(",
        b"ElectionOpened(",
        b"enclave_frame_invalid",
        b"Traceback",
    ):
        assert code in told, told.decode()
    assert found_in(told, secrets) == []


class Enclave:
    """A locked enclave of the user ``USER`` with a key in it, and its socket."""

    def __init__(self, folder: Path, file: ShareFile) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(60)
        self.process = subprocess.Popen(
            [sys.executable, "-c", ENCLAVE, str(USER)],
            stdin=theirs.fileno(),
            stderr=subprocess.PIPE,
            cwd=folder,
        )
        theirs.close()
        self.ask(protocol.confine_call(Confinement(writable=(folder,))))
        self.ask(protocol.Open(str(folder / "a.db"), (file,)))

    def ask(self, body: protocol.CallBody) -> None:
        self._socket.sendall(protocol.encode(protocol.Call(1, body)))
        for payload in protocol.FrameBuffer().feed(self._socket.recv(1 << 16)):
            assert protocol.decode_reply(payload).body == protocol.Done()

    def close(self) -> None:
        self._socket.close()
        self.process.communicate(timeout=60)


@contextlib.contextmanager
def running() -> Iterator[tuple[Path, Enclave, dict[str, bytes]]]:
    # Not pytest's folders: another user may not enter these.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, file, secrets = made(folder)
        for path in (folder, *folder.iterdir()):
            os.chown(path, USER, -1)
        enclave = Enclave(folder, file)
        try:
            yield folder, enclave, secrets
        finally:
            enclave.close()


def seen_by_its_user(process: int, name: str) -> tuple[bool, bytes]:
    """Whether another process of that user reads the file in ``/proc``, and what."""
    user = USER if os.getuid() == 0 else None
    ended = subprocess.run(
        ["head", "-c", "100000", f"/proc/{process}/{name}"],
        capture_output=True,
        user=user,
        timeout=60,
        check=False,
    )
    return ended.returncode == 0, ended.stdout


HIDDEN = ("mem", "environ", "maps", "smaps", "pagemap", "auxv", "io", "syscall", "stack")


def test_its_users_other_programs_see_nothing_of_it() -> None:
    ordinary = subprocess.Popen(["sleep", "60"], user=USER if os.getuid() == 0 else None)
    try:
        with running() as (_, enclave, secrets):
            for name in HIDDEN:
                assert seen_by_its_user(enclave.process.pid, name) == (False, b""), name
            for name in ("environ", "maps", "auxv"):
                assert seen_by_its_user(ordinary.pid, name)[0], "of another process it would"
            for name in ("cmdline", "status", "limits", "comm"):  # everybody's, of every process
                is_read, content = seen_by_its_user(enclave.process.pid, name)
                assert is_read
                assert found_in(content, secrets) == []
    finally:
        ordinary.kill()
        ordinary.wait()


def test_what_root_sees_beside_its_memory_holds_no_secret() -> None:
    """Memory itself root can read (``docs/explanation/enclave.md`` says so)."""
    if os.getuid() != 0:
        pytest.skip("ROOT'S VIEW NOT TESTED: these tests do not run as root")
    with running() as (_, enclave, secrets):
        for name in ("cmdline", "environ", "maps", "status", "limits", "auxv", "stat"):
            content = Path(f"/proc/{enclave.process.pid}/{name}").read_bytes()
            assert found_in(content, secrets) == [], name


# Not SIGQUIT: a process that a shell started in the background ignores it.
@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS])
def test_a_crash_leaves_no_core(number: signal.Signals) -> None:
    """Neither by the limit nor by the kernel's own decision, wherever this host would put cores."""
    with running() as (folder, enclave, secrets):
        process = enclave.process.pid
        limits = Path(f"/proc/{process}/limits").read_text().splitlines()
        (line,) = (each for each in limits if each.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"]
        before = set(folder.iterdir())
        os.kill(process, number)
        _, status = os.waitpid(process, 0)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == number
        assert not os.WCOREDUMP(status)
        assert set(folder.iterdir()) == before
        database = b"".join(path.read_bytes() for path in folder.glob("a.db*"))
        assert found_in(database, secrets) == []
