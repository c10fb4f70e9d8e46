"""Code that runs inside a locked process tries to get out; what an enclave needs still works."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tetrarch.enclave import seccomp

LOCKED = """
import ctypes, json, mmap, os, signal, socket, sqlite3, subprocess, sys, threading
from pathlib import Path
from tetrarch.enclave import landlock, seccomp

own, other, victim = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
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

libc.prctl(38, 1, 0, 0, 0)
active = {
    "landlock": landlock.restrict(writable=[own], readable=[other / "readable"]),
    "seccomp": seccomp.restrict(),
}

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


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    own, other = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("other")
    (other / "secret").write_bytes(b"s")
    (other / "readable").write_bytes(b"r")
    victim = subprocess.Popen(["sleep", "60"])
    try:
        ended = subprocess.run(
            [sys.executable, "-c", LOCKED, own, other, str(victim.pid)],
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
    told: dict[str, dict[str, int]] = json.loads(ended.stdout)
    return told


def test_what_an_enclave_needs_works(outcome: dict[str, dict[str, int]]) -> None:
    assert set(outcome["allowed"].values()) == {0}, outcome["allowed"]


def test_no_foreign_file_is_reached(outcome: dict[str, dict[str, int]]) -> None:
    if not outcome["active"]["landlock"]:
        pytest.skip("LANDLOCK NOT TESTED: this kernel has none")
    open_doors = {name: code for name, code in outcome["files"].items() if code not in REFUSED}
    assert open_doors == {}


@pytest.mark.parametrize("where", ["calls", "calls in a thread"])
def test_no_call_leads_out(outcome: dict[str, dict[str, int]], where: str) -> None:
    if not outcome["active"]["seccomp"]:
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
