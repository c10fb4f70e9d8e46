"""``tetrarch signer`` as a process, and what it needs of its folder and of a beacon node."""

import asyncio
import dataclasses
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.duties.duty_world import RecordingLog
from tests.enclave.ceremony_world import key_file, passphrase_file
from tests.enclave.enclave_world import OLD_CHAIN
from tests.keymanager.managed_world import Folders, folders

from tetrarch.cli.errors import exit_code_of
from tetrarch.cluster.errors import ClusterFileInvalid
from tetrarch.cluster.files import (
    IDENTITY_KEY_FILE,
    TLS_CERTIFICATE_FILE,
    TLS_KEY_FILE,
    VALIDATOR_KEYS_FOLDER,
)
from tetrarch.errors import Transient
from tetrarch.signer_api.chain_memory import (
    FILE_NAME,
    ChainMemoryInvalid,
    ChainUnknown,
    learn_chain,
)
from tetrarch.signer_api.holder import HolderUnknown, load_holder


@pytest.fixture
def world(tmp_path: Path) -> Folders:
    return folders(tmp_path)


def with_keys(world: Folders, node: int) -> Path:
    source = world.cluster / f"node{node}" / VALIDATOR_KEYS_FOLDER
    shutil.copytree(source, world.signer / VALIDATOR_KEYS_FOLDER)
    return world.signer


class Beacon:
    """A beacon node that tells ``chain``, or is away."""

    name = "http://beacon"

    def __init__(self, chain: Any = None, *, failures: int = 0) -> None:
        self.chain = chain
        self.failures = failures
        self.asked = 0

    async def chain_spec(self) -> Any:
        self.asked += 1
        if self.chain is None or self.asked <= self.failures:
            raise Transient("ask beacon node")
        return self.chain


def learn(folder: Path, *beacons: Beacon, wait_s: float = 0) -> Any:
    log = RecordingLog()
    chain = asyncio.run(learn_chain(folder, beacons, wait_s=wait_s, log=log))  # type: ignore[arg-type]  # only ``chain_spec`` is asked
    return chain, [event for _, event, _ in log.lines]


def test_chain_is_learnt_once_and_known_when_the_beacon_node_is_away(tmp_path: Path) -> None:
    with pytest.raises(ChainUnknown) as caught:
        learn(tmp_path, Beacon())
    assert exit_code_of(caught.value) == 69
    assert learn(tmp_path, Beacon(OLD_CHAIN, failures=1), wait_s=30)[0] == OLD_CHAIN
    chain, told = learn(tmp_path, Beacon(), wait_s=30)
    assert (chain, told) == (OLD_CHAIN, ["beacon_node_away", "chain_remembered"])
    assert learn(tmp_path, Beacon(), Beacon(OLD_CHAIN))[1] == ["beacon_node_away"], "the second"
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(ChainMemoryInvalid):
        learn(tmp_path, Beacon())
    assert learn(tmp_path, Beacon(OLD_CHAIN))[0] == OLD_CHAIN, "and is written anew"
    assert learn(tmp_path, Beacon())[0] == OLD_CHAIN


@pytest.mark.parametrize("node", [0, 3])
def test_holder_is_the_node_of_the_keystores(world: Folders, node: int) -> None:
    assert load_holder(with_keys(world, node)).peer_index == node


def test_holder_without_keystores_must_be_named(world: Folders) -> None:
    with pytest.raises(HolderUnknown):
        load_holder(world.signer)
    assert load_holder(world.signer, node=2).peer_index == 2
    for node in (-1, 4):
        with pytest.raises(HolderUnknown):
            load_holder(world.signer, node=node)


def test_holder_by_identity_goes_before_keystores(world: Folders) -> None:
    folder = with_keys(world, 1)
    for name in (IDENTITY_KEY_FILE, TLS_KEY_FILE, TLS_CERTIFICATE_FILE):
        shutil.copy(world.cluster / "node2" / name, folder / name)
    assert load_holder(folder).peer_index == 2


def test_damaged_and_foreign_keystores_tell_no_holder(world: Folders) -> None:
    folder = with_keys(world, 0)
    for path in (folder / VALIDATOR_KEYS_FOLDER).glob("*.json"):
        path.chmod(0o600)
        path.write_text(json.dumps({"pubkey": "ab" * 48}))
    with pytest.raises(HolderUnknown):
        load_holder(folder)
    path.write_text("{")
    (folder / VALIDATOR_KEYS_FOLDER / "keystore-0.json").write_text("{")
    with pytest.raises(ClusterFileInvalid):
        load_holder(folder)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def signer_process(
    folder: Path, *options: object, beacon_node: str | None = "http://127.0.0.1:9"
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tetrarch", "signer", folder, "--monitoring-port", 0]
    command += ["--beacon-node", beacon_node, *options] if beacon_node else options
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        assert process.stderr is not None
        process.stderr.close()
        process.wait(30)


def wait_up(url: str, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < give_up
            time.sleep(0.1)
        else:
            return


def test_command_serves_the_shares_of_its_folder(world: Folders) -> None:
    folder, port, manager_port = with_keys(world, 1), free_port(), free_port()
    lock = load_holder(folder)
    rewrite_fork_version(folder, lock.fork_version)
    options = ("--listen-port", port, "--keymanager", "--keymanager-port", manager_port)
    with signer_process(folder, *options) as process:
        base = f"http://127.0.0.1:{port}"
        wait_up(f"{base}/upcheck", process)
        with urllib.request.urlopen(f"{base}/api/v1/eth2/publicKeys", timeout=10) as answer:
            listed = set(json.loads(answer.read()))
        assert listed == {"0x" + v.public_shares[1].hex() for v in lock.validators}
        token = (folder / "keymanager-token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{manager_port}/eth/v1/keystores",
            headers={"Authorization": f"Bearer {token}"},
        )
        wait_up(f"{base}/healthcheck", process)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert len(json.loads(answer.read())["data"]) == len(lock.validators)
    assert process.returncode == 0


def sealed_signer(world: Folders) -> Path:
    """The folder of a signer for node 1 whose shares are sealed by a key file, and only so."""
    folder = with_keys(world, 1)
    key_file(folder / "key")
    for options in ((), ("--remove-keystores",)):
        ended = enclave_command("seal", folder, "--key-file", folder / "key", *options)
        assert ended.returncode == 0, ended.stderr
    rewrite_fork_version(folder, load_holder(folder).fork_version)
    return folder


def enclave_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tetrarch", "enclave", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def listed_by(folder: Path, *options: object) -> set[str]:
    port = free_port()
    with signer_process(folder, "--listen-port", port, *options) as process:
        wait_up(f"http://127.0.0.1:{port}/upcheck", process)
        url = f"http://127.0.0.1:{port}/api/v1/eth2/publicKeys"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return set(json.loads(answer.read()))


def refused(folder: Path, *options: object) -> tuple[int, str]:
    """The exit code, and the one line."""
    with signer_process(folder, *options) as process:
        assert process.stderr is not None
        process.wait(60)
        told = process.stderr.read()
    (line,) = [line for line in told.splitlines() if line.startswith("error: ")]
    return process.returncode, line


def test_holder_of_sealed_shares_is_known_by_their_label(world: Folders) -> None:
    assert load_holder(sealed_signer(world)).peer_index == 1


def test_command_serves_sealed_shares_with_their_secret_and_refuses_without(
    world: Folders, tmp_path: Path
) -> None:
    folder = sealed_signer(world)
    expected = {"0x" + v.public_shares[1].hex() for v in load_holder(folder).validators}
    code, line = refused(folder)
    assert (code, "seal_secret_unnamed" in line) == (78, True)
    code, line = refused(folder, "--key-file", tmp_path / "absent")
    assert (code, "seal_secret_missing" in line) == (66, True)
    code, line = refused(folder, "--key-file", key_file(tmp_path / "wrong", b"w" * 32).path)
    assert (code, "seal_secret_wrong" in line) == (65, True)
    code, line = refused(folder, "--passphrase-file", passphrase_file(tmp_path / "words").path)
    assert (code, "seal_invalid" in line) == (65, True)
    assert listed_by(folder, "--key-file", folder / "key") == expected
    (folder / "tetrarch.toml").write_text('[enclave]\nkey_file = "key"\n')
    assert listed_by(folder) == expected


def test_command_serves_a_restored_folder_only_if_the_risk_is_accepted_by_name(
    world: Folders, tmp_path: Path
) -> None:
    folder, backup, again = sealed_signer(world), tmp_path / "backup", tmp_path / "again"
    words = passphrase_file(tmp_path / "words").path
    options = ("--passphrase-file", words)
    ended = enclave_command("backup", folder, backup, *options, "--seal-key-file", folder / "key")
    assert ended.returncode == 0, ended.stderr
    ended = enclave_command("restore", backup, again, *options)
    assert ended.returncode == 0, ended.stderr
    rewrite_fork_version(again, load_holder(again).fork_version)
    code, line = refused(again, *options)
    assert code == 78
    assert "folder_restored" in line
    assert "--accept-rollback-risk" in line
    assert listed_by(again, *options, "--accept-rollback-risk") == listed_by(again, *options)


def test_command_refuses_to_be_open_and_other_chains_in_one_line(world: Folders) -> None:
    folder = with_keys(world, 1)
    rewrite_fork_version(folder, b"\x77" * 4)
    for options, code, words in (
        (("--listen-host", "0.0.0.0"), 78, "signer_api.listen_host"),
        (("--tls-certificate", "none.pem"), 78, "tls_file_unusable"),
        ((), 78, "signer_chain_differs"),
    ):
        with signer_process(folder, *options, beacon_node=None) as process:
            assert process.stderr is not None
            process.wait(60)
            told = process.stderr.read()
        errors = [line for line in told.splitlines() if line.startswith("error: ")]
        assert (process.returncode, len(errors)) == (code, 1), told
        assert words in errors[0]


def rewrite_fork_version(folder: Path, version: bytes) -> None:
    """Make the remembered chain one of the cluster's network."""
    forks = dataclasses.replace(OLD_CHAIN.forks, genesis_fork_version=version)
    learn(folder, Beacon(dataclasses.replace(OLD_CHAIN, forks=forks)))
