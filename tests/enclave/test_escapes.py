"""Code that runs inside a locked process tries to get out; what an enclave needs still works."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tetrarch.enclave import seccomp
from tetrarch.enclave.protections import Protection, missing

LOCKED = """
import ctypes, json, mmap, os, signal, socket, sqlite3, subprocess, sys, threading
from pathlib import Path
from cryptography.hazmat.backends import default_backend
from tetrarch.enclave.confining import confine
from tetrarch.enclave.protections import Confinement
from tetrarch.enclave.sandbox import lock_memory

own, other, victim, user = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if user != os.getuid():
    default_backend()  # what may lie in a folder of root alone
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
database = sqlite3.connect(own / "a.db")
database.execute("PRAGMA journal_mode=WAL")
database.execute("CREATE TABLE t(x)")
near, far = socket.socketpair()
libc = ctypes.CDLL(None, use_errno=True)

def system_call(number, *arguments):
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "system call")

def in_thread(function):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(tried(function)))
    thread.start()
    thread.join()
    return outcome[0]

def tried(function):
    try:
        function()
    except OSError as error:
        return error.errno
    return 0

active = confine(Confinement(writable=(own,), readable=(other / "readable",))) + lock_memory()

def write_database():
    database.execute("INSERT INTO t VALUES (1)")
    database.commit()

def replace_file():
    (own / "new").write_bytes(b"x")
    os.replace(own / "new", own / "newer")
    os.unlink(own / "newer")

def talk():
    near.sendall(b"x")
    assert far.recv(1) == b"x"

allowed = {
    "write the database": write_database,
    "replace a file": replace_file,
    "make a folder": lambda: (own / "folder").mkdir(),
    "talk over the open socket": talk,
    "draw random bytes": lambda: os.urandom(8),
    "run a thread": lambda: in_thread(lambda: None),
    "read the one file": lambda: (other / "readable").read_bytes(),
}
files = {
    "open a foreign file": lambda: (other / "secret").read_bytes(),
    "write the one file": lambda: (other / "readable").write_bytes(b"x"),
    "make a foreign file": lambda: (other / "made").write_bytes(b"x"),
    "list a foreign folder": lambda: os.listdir(other),
    "remove a foreign file": lambda: os.unlink(other / "secret"),
    "move a file out": lambda: os.rename(own / "a.db", other / "a.db"),
    "open its own memory": lambda: open("/proc/self/mem", "rb"),
    "open another's memory": lambda: open(f"/proc/{victim}/mem", "rb"),
    "open another's environment": lambda: open(f"/proc/{victim}/environ", "rb"),
}
calls = {
    "open a TCP socket": lambda: socket.socket(),
    "open a UDP socket": lambda: socket.socket(type=socket.SOCK_DGRAM),
    "open a Unix socket": lambda: socket.socket(socket.AF_UNIX),
    "make a pair of sockets": lambda: socket.socketpair(),
    "fork": os.fork,
    "start a program": lambda: subprocess.run(["/bin/true"]),
    "become a program": lambda: os.execv("/bin/true", ["true"]),
    "signal another": lambda: os.kill(victim, signal.SIGTERM),
    "trace another": lambda: system_call(101, 16, victim, 0, 0),
    "read another's memory": lambda: system_call(310, victim, 0, 0, 0, 0, 0),
    "write another's memory": lambda: system_call(311, victim, 0, 0, 0, 0, 0),
    "map memory to execute": lambda: mmap.mmap(-1, 4096, prot=7),
    "let itself be dumped": lambda: system_call(157, 4, 1, 0, 0, 0),
    "change another's limits": lambda: system_call(302, victim, 7, 0, 0),
    "enter a namespace": lambda: system_call(272, 0x10000000),
    "mount": lambda: system_call(165, 0, 0, 0, 0, 0),
    "load code into the kernel": lambda: system_call(321, 0, 0, 0),
    "use io_uring": lambda: system_call(425, 1, 0),
    "receive a descriptor": lambda: far.recvmsg(1, 100, socket.MSG_DONTWAIT),
}
print(json.dumps({
    "active": active,
    "allowed": {name: tried(each) for name, each in allowed.items()},
    "files": {name: tried(each) for name, each in files.items()},
    "calls": {name: tried(each) for name, each in calls.items()},
    "calls in a thread": {name: in_thread(each) for name, each in calls.items()},
}))
"""
REFUSED = {1, 13}  # EPERM, EACCES
NOBODY = 65534
USERS = (os.getuid(), NOBODY) if os.getuid() == 0 else (os.getuid(),)
Outcome = dict[str, Any]


@pytest.fixture(scope="module", params=USERS, ids=lambda user: f"user {user}")
def outcome(request: pytest.FixtureRequest) -> Iterator[Outcome]:
    # Not pytest's folders: another user may not enter these.
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryDirectory() as other:
        yield outcome_of(request.param, Path(own), Path(other))


def outcome_of(user: int, own: Path, other: Path) -> Outcome:
    (other / "secret").write_bytes(b"s")
    (other / "readable").write_bytes(b"r")
    for path in (own, other, *other.iterdir()):
        os.chown(path, user, -1)
    victim = subprocess.Popen(["sleep", "60"], user=None if user == os.getuid() else user)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", LOCKED, own, other, str(victim.pid), str(user)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert victim.poll() is None, "the other process was not touched"
    finally:
        victim.kill()
        victim.wait()
    assert ended.returncode == 0, ended.stderr
    told: Outcome = json.loads(ended.stdout)
    return told


def has(outcome: Outcome, protection: Protection) -> bool:
    return not missing((protection,), outcome["active"])


def test_what_every_host_offers_is_active(outcome: Outcome) -> None:
    everywhere = (Protection.NO_CORE, Protection.NOT_DUMPABLE, Protection.NO_NEW_PRIVILEGES)
    assert missing(everywhere, outcome["active"]) == ()


def test_what_an_enclave_needs_works(outcome: Outcome) -> None:
    assert set(outcome["allowed"].values()) == {0}, outcome["allowed"]


def test_no_foreign_file_is_reached(outcome: Outcome) -> None:
    if not has(outcome, Protection.LANDLOCK):
        pytest.skip("LANDLOCK NOT TESTED: this kernel has none")
    open_doors = {name: code for name, code in outcome["files"].items() if code not in REFUSED}
    assert open_doors == {}


@pytest.mark.parametrize("where", ["calls", "calls in a thread"])
def test_no_call_leads_out(outcome: Outcome, where: str) -> None:
    if not has(outcome, Protection.SECCOMP):
        pytest.skip("SECCOMP NOT TESTED: this kernel or machine has none")
    open_doors = {name: code for name, code in outcome[where].items() if code not in REFUSED}
    assert open_doors == {}


def test_filter_is_within_the_kernels_bound_and_every_jump_within_the_filter() -> None:
    code = seccomp.program(1234)
    count = len(code) // 8
    assert count <= 4096
    for place in range(count):
        operation = int.from_bytes(code[8 * place : 8 * place + 2], "little")
        is_true, is_false = code[8 * place + 2], code[8 * place + 3]
        if operation & 7 == 5:  # a jump
            assert place + 1 + max(is_true, is_false) < count


def test_abort_ends_the_locked_process_itself(tmp_path: Path) -> None:
    """Its own end by a signal is no way out, and a crash must not become a hang."""
    program = (
        "import os, ctypes, resource\n"
        "from tetrarch.enclave import seccomp\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)\n"
        "print(seccomp.restrict(), flush=True)\n"
        "os.abort()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == -6, ended.stderr
