"""``tetrarch`` commands as real processes, for integration tests: a chain, a cluster, its nodes.

Not asyncio: a test starts processes, waits for conditions with generous limits, and asks over
HTTP and in the files what became of them.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.ports import adjacent_ports, free_ports

from tetrarch.ethereum.devchain.config import fork_version
from tetrarch.ethereum.spec.values import Fork

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60.0
SETTLING_SLOTS_MAX = 8
STOP_TIMEOUT_S = 15
PHASE0_FORK_VERSION = "0x" + fork_version(Fork.PHASE0).hex()
TETRARCH = (sys.executable, "-m", "tetrarch")
FEE_RECIPIENT = "0x" + "fe" * 20


def wait_for(what: str, condition: Callable[[], bool], *, timeout_s: float = WAIT_S) -> None:
    """Return once ``condition()`` holds; a generous limit ends a hopeless wait."""
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up, f"waited {timeout_s} s in vain: {what}"
        time.sleep(0.1)


def get_json(url: str) -> dict[str, Any]:
    """The JSON object at ``url``."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        decoded: dict[str, Any] = json.loads(answer.read())
        return decoded


def get_text(url: str) -> str:
    """The text at ``url``, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: bytes = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
    return text.decode()


def post_json(url: str, value: object) -> dict[str, Any]:
    """Send ``value``; the JSON object that comes back. An answer other than 2xx raises."""
    request = urllib.request.Request(
        url, json.dumps(value).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        decoded: dict[str, Any] = json.loads(answer.read())
        return decoded


def answers(url: str) -> bool:
    """Whether ``url`` answers with success now."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: what it printed, and its exit code."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def error_lines(self) -> list[str]:
        """The lines that a person is meant to read."""
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


def run_tetrarch(
    *arguments: object, timeout_s: float = 120, command: Sequence[str] = TETRARCH
) -> Ended:
    """Run a ``tetrarch`` command to its end."""
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Command:
    """A ``tetrarch`` command that goes on until it is stopped; its output goes to a file."""

    def __init__(
        self, name: str, arguments: Sequence[object], folder: Path, command: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [*(command or TETRARCH), *map(str, arguments)]
        self._output: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self._process is None, f"{self.name} runs already"
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int | None:
        """SIGTERM and wait; its exit code, or None when it did not run."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int | None:
        """SIGKILL, as when power fails."""
        return self._end(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """A signal that does not end it, as SIGSTOP and SIGCONT."""
        assert self._process is not None, f"{self.name} does not run"
        self._process.send_signal(number)

    def wait(self, timeout_s: float = WAIT_S) -> int:
        """Its exit code once it has ended by itself."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        self._forget()
        return code

    def _end(self, number: signal.Signals) -> int | None:
        if self._process is None:
            return None
        self._process.send_signal(number)
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._forget()
        return code

    def _forget(self) -> None:
        self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 30) -> str:
        """The end of its output, for the message of a failing test."""
        return f"--- {self.name} ---\n" + "\n".join(self.text.splitlines()[-lines:])


class NodeProcess(Command):
    """``tetrarch run`` of one node's folder."""

    def __init__(
        self,
        index: int,
        cluster: Path,
        beacon_node: str,
        *options: object,
        command: Sequence[str] = (),
    ) -> None:
        (monitoring_port,) = free_ports(1)
        self.index = index
        self.folder = cluster / f"node{index}"
        self.url = f"http://127.0.0.1:{monitoring_port}"
        arguments = ["run", self.folder, "--beacon-node", beacon_node]
        arguments += ["--monitoring-port", monitoring_port, *options]
        super().__init__(f"node{index}", arguments, cluster.parent, command)

    def wait_alive(self) -> None:
        def alive() -> bool:
            assert self.running, self.tail()
            return answers(f"{self.url}/livez")

        wait_for(f"{self.name} answers", alive)

    def wait_ready(self) -> None:
        """Until its beacon node, its signer and its peers are there."""

        def ready() -> bool:
            assert self.running, self.tail()
            return answers(f"{self.url}/readyz")

        wait_for(f"{self.name} is ready", ready)

    def duties(self) -> list[dict[str, Any]]:
        """What the node says of its duties."""
        found: list[dict[str, Any]] = get_json(f"{self.url}/duties")["duties"]
        return found

    def rows(self, database: str, query: str) -> list[Any]:
        """Rows of one of its databases, of a stopped node or a running one."""
        path = self.folder / "database" / f"{database}.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(query).fetchall()


class Devchain(Command):
    """``tetrarch devchain``."""

    def __init__(
        self,
        folder: Path,
        *options: object,
        validators: int = 8,
        slot_s: float = 2.0,
        fork: str = "electra",
        start_s: float = 12.0,
    ) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.slot_s = slot_s
        self.genesis_time_s = int(time.time() + start_s) + 1
        arguments = ["devchain", "--port", port, "--validators", validators, "--fork", fork]
        arguments += ["--slot-seconds", slot_s, "--genesis-time", self.genesis_time_s, *options]
        super().__init__("devchain", arguments, folder)

    def start(self) -> None:
        super().start()
        wait_for("the chain answers", lambda: answers(f"{self.url}/eth/v1/node/version"))

    @property
    def slot(self) -> float:
        """The slot now, with its fraction; negative before genesis."""
        return (time.time() - self.genesis_time_s) / self.slot_s

    def wait_slot(self, slot: float) -> None:
        """Sleep until ``slot`` begins."""
        while (left_s := (slot - self.slot) * self.slot_s) > 0:
            assert self.running, self.tail()
            time.sleep(min(left_s, 1))

    def settled_slot(self) -> int:
        """The slot that comes after the present one, which comes after one whose duties were in time.

        From then on a cluster is judged: its programs start at once, on cores that may be busy.
        """
        first = max(int(self.slot), 0)
        for slot in range(first, first + SETTLING_SLOTS_MAX):
            self.wait_slot(slot + 1)
            statuses = {d["status"] for d in self.report()["duties"] if d["slot"] == slot}
            if statuses == {"in_time"}:
                return slot + 2
        raise AssertionError(f"not one slot in time: {self.report()['duties']}")

    def report(self) -> dict[str, Any]:
        return get_json(f"{self.url}/tetrarch/devchain/report")

    def set_faults(self, **faults: object) -> None:
        post_json(f"{self.url}/tetrarch/devchain/faults", faults)


def create_cluster(
    folder: Path,
    keys: range,
    *options: object,
    fork_version: str = PHASE0_FORK_VERSION,
    nodes: int = 4,
) -> Path:
    """Split interop ``keys`` among ``nodes`` nodes; returns the cluster's folder."""
    cluster = folder / "cluster"
    ports = ["--base-port", str(adjacent_ports(nodes))]
    interop = ["--interop", f"{keys.start}..{keys.stop - 1}", "--insecure-keystores"]
    chain = ["--nodes", nodes, "--fork-version", fork_version, "--fee-recipient", FEE_RECIPIENT]
    ended = run_tetrarch("cluster", "create", cluster, *interop, *chain, *ports, *options)
    assert ended.exit_code == 0, ended.stderr
    return cluster


@contextmanager
def running(*commands: Command) -> Iterator[None]:
    """Start all of ``commands``; stop all of them at the end, whatever happens."""
    try:
        for command in commands:
            command.start()
        for command in commands:
            if isinstance(command, NodeProcess):
                command.wait_alive()
        yield
    finally:
        for command in reversed(commands):
            command.stop()


def seconds_since(start_s: float) -> float:
    """For the figures that a test prints."""
    return round(time.monotonic() - start_s, 1)
