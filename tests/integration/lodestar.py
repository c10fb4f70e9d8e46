"""A real beacon node and real validator clients as processes, for integration tests.

Lodestar 1.5.1 as ``install_peers.sh`` puts it into ``.peers/lodestar``: Altair, minimal preset
(8 slots an epoch), interop validators, no execution client, loopback only. Not asyncio: a test
starts the processes, then runs its own loop.

Traps: the validator clients must run as soon as REST answers (a chain without blocks in its first
epoch says "syncing" for ever); a node may need SIGKILL after SIGTERM.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

import pytest
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".peers" / "lodestar"
SLOTS_PER_EPOCH = 8
STOP_TIMEOUT_S = 5
CURVE_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


def require_lodestar() -> Path:
    """The installation; skips the calling test loudly when it is not there."""
    if not list(PEERS.glob(".installed-*")):
        pytest.skip(
            "REAL PEERS NOT RUN: Lodestar is not installed; run tests/integration/install_peers.sh",
            allow_module_level=True,
        )
    return PEERS


def interop_secret_key(index: int) -> int:
    """The well-known secret key of interop validator ``index``."""
    digest = sha256(index.to_bytes(32, "little")).digest()
    return int.from_bytes(digest, "little") % CURVE_ORDER


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOptions:
    """The development chain. ``validators`` interop keys are in genesis, from index 0."""

    slot_s: int = 2
    validators: int = 16
    genesis_delay_s: int = 20


class Process:
    """One child process with its output in a file."""

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self._folder = folder
        self._output: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in its own process group, so that it stops as a whole."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            [
                "node",
                "-r",
                str(PEERS / "polyfill.cjs"),
                str(PEERS / "node_modules/.bin/lodestar"),
                *self._arguments,
            ],
            cwd=self._folder,
            env={**os.environ, "LODESTAR_PRESET": "minimal"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to the group. Does nothing when it is not running."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        self._process = None
        if self._output is not None:
            self._output.close()

    @property
    def text(self) -> str:
        """Its output so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 30) -> str:
        """The end of its output, for the message of a failing test."""
        return f"--- {self.name} ---\n" + "\n".join(self.text.splitlines()[-lines:])


class LodestarBeaconNode(Process):
    """A beacon node without validators; its REST address is ``url``."""

    def __init__(self, folder: Path, options: ChainOptions) -> None:
        rest_port, p2p_port = free_ports(2)
        self.url = f"http://127.0.0.1:{rest_port}"
        self.genesis_time_s = int(time.time()) + options.genesis_delay_s
        self.options = options
        listen = ["--rest", "--rest.address", "127.0.0.1", "--rest.port", str(rest_port)]
        listen += ["--rest.namespace", "*", "--listenAddress", "127.0.0.1", "--port", str(p2p_port)]
        alone = ["--discv5", "false", "--mdns", "false", "--eth1", "false"]
        alone += ["--sync.isSingleNode", "--network.allowPublishToZeroPeers"]
        chain = ["--genesisValidators", str(options.validators)]
        chain += ["--genesisTime", str(self.genesis_time_s)]
        data = ["--dataDir", str(folder / "beacon-node"), "--logLevel", "info"]
        arguments = ["dev", *data, *chain_parameters(options), *chain, *listen, *alone]
        super().__init__("beacon-node", arguments, folder)

    def wait_ready(self, timeout_s: float = 60) -> None:
        """Return once REST answers; raises ``AssertionError`` with the log's end otherwise."""
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            if not self.running:
                break
            with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                self.get("/eth/v1/beacon/genesis")
                return
            time.sleep(0.2)
        raise AssertionError(f"the beacon node does not answer\n{self.tail()}")

    def get(self, path: str) -> dict[str, object]:
        """Answer of ``GET path``, decoded."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            decoded: dict[str, object] = json.loads(answer.read())
            return decoded

    def slot_now(self) -> float:
        """The current slot with its fraction; negative before genesis."""
        return (time.time() - self.genesis_time_s) / self.options.slot_s

    def wait_slot(self, slot: float) -> None:
        """Sleep until ``slot`` begins."""
        while (left := (slot - self.slot_now()) * self.options.slot_s) > 0:
            assert self.running, self.tail()
            time.sleep(min(left, 1))


class LodestarValidatorClient(Process):
    """A validator client that talks to ``url``: with interop keys, keystores or a remote signer."""

    def __init__(
        self,
        name: str,
        folder: Path,
        url: str,
        options: ChainOptions,
        *,
        interop: range | None = None,
        keystores: Path | None = None,
        password_file: Path | None = None,
        remote_signer: str | None = None,
    ) -> None:
        keys: list[str] = []
        if remote_signer is not None:
            keys = ["--externalSigner.url", remote_signer, "--externalSigner.fetch"]
        if interop is not None:
            # The upper end is inclusive there.
            keys = ["--interopIndexes", f"{interop.start}..{interop.stop - 1}"]
        if keystores is not None:
            assert password_file is not None, "keystores need a password file"
            keys = ["--importKeystores", str(keystores)]
            keys += ["--importKeystoresPassword", str(password_file)]
        data = ["--dataDir", str(folder / f"validator-{name}")]
        arguments = ["validator", *data, *chain_parameters(options), "--beaconNodes", url, *keys]
        super().__init__(f"validator-{name}", arguments, folder)


def chain_parameters(options: ChainOptions) -> list[str]:
    """What the beacon node and its clients must agree on."""
    slot = ["--params.SECONDS_PER_SLOT", str(options.slot_s)]
    return ["--network", "dev", *slot, "--params.ALTAIR_FORK_EPOCH", "0"]


@contextmanager
def running_beacon_node(folder: Path, options: ChainOptions) -> Iterator[LodestarBeaconNode]:
    """A beacon node whose REST answers; stopped at the end whatever happens."""
    require_lodestar()
    node = LodestarBeaconNode(folder, options)
    node.start()
    try:
        node.wait_ready()
        yield node
    finally:
        node.stop()


@contextmanager
def running_clients(*clients: LodestarValidatorClient) -> Iterator[None]:
    """Validator clients, stopped together at the end."""
    try:
        for client in clients:
            client.start()
        yield
    finally:
        for client in clients:
            client.stop()
