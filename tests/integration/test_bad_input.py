"""Goal: whatever is wrong around a node, it says so in one line, with an exit code by kind.

Method: a cluster that has worked for some slots; a copy of one node's folder is broken in one
way, and the real command is started on it. It must end with the one line, must have lost
nothing of what it stored, and must run again once the fault is mended.
"""

import json
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.processes import (
    TETRARCH,
    Devchain,
    Ended,
    NodeProcess,
    create_cluster,
    run_tetrarch,
    running,
    wait_for,
)
from tests.integration.rubbish_node import KINDS, running_rubbish
from tests.integration.small_disk import fill, small_disk
from tests.ports import free_ports, is_free

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

KEYS = range(4)
PATIENCE = {"TETRARCH_BEACON_NODE__START_WAIT_MS": "1200"}
# While it works: one kind for each of the ways to read an answer.
MADNESS = ("not_json", "wrong_types", "huge", "status_500", "never", "hangs_up")
Break = Callable[["Place"], None]


@dataclass(frozen=True)
class Place:
    """A copy of node 0's folder beside node 1's, and the chain."""

    cluster: Path
    chain: Devchain
    mesh_port: int

    @property
    def folder(self) -> Path:
        return self.cluster / "node0"

    @property
    def neighbour(self) -> Path:
        return self.cluster / "node1"

    @property
    def lock(self) -> Path:
        return self.folder / "cluster-lock.json"

    def keystore(self, index: int, suffix: str = "json") -> Path:
        return self.folder / "validator_keys" / f"keystore-{index}.{suffix}"

    def node(self) -> NodeProcess:
        return NodeProcess(0, self.cluster, self.chain.url)

    def stored(self) -> dict[str, int]:
        """How many rows each table of the node and its enclave holds."""
        node = self.node()
        counts = {}
        for database in ("node", "enclave"):
            names = node.rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in names:
                ((count,),) = node.rows(database, f'SELECT count(*) FROM "{name}"')
                counts[f"{database}.{name}"] = count
        return counts

    def run(self, *options: object, url: str = "", command: Sequence[str] = TETRARCH) -> Ended:
        (port,) = free_ports(1)
        arguments: list[object] = [self.folder, "--beacon-node", url or self.chain.url]
        arguments += ["--monitoring-port", port, *options]
        return run_tetrarch("run", *arguments, command=command)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Devchain]]:
    """A cluster after some slots of work, stopped, and its chain, which goes on."""
    folder = tmp_path_factory.mktemp("worked")
    cluster = create_cluster(folder, KEYS)
    chain = Devchain(folder, validators=len(KEYS), start_s=14)
    with running(chain):
        nodes = [NodeProcess(index, cluster, chain.url) for index in range(4)]
        with running(*nodes):
            chain.wait_slot(5)
        yield cluster, chain


@pytest.fixture
def place(worked: tuple[Path, Devchain], tmp_path: Path) -> Place:
    cluster, chain = worked
    for name in ("node0", "node1"):
        shutil.copytree(cluster / name, tmp_path / "cluster" / name)
    extension = json.loads((cluster / "node0" / "cluster-extension.json").read_text())
    address = extension["nodes"][0]["address"]
    return Place(cluster=tmp_path / "cluster", chain=chain, mesh_port=int(address.split(":")[1]))


@contextmanager
def occupied(port: int) -> Iterator[None]:
    with closing(socket.socket()) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", port))
        one.listen()
        yield


def expect(ended: Ended, exit_code: int, code: str, *named: object) -> None:
    """One line says it: the kind, and what to look at."""
    assert len(ended.error_lines) == 1, ended.stderr
    (line,) = ended.error_lines
    assert code in line, line
    assert ";" in line, f"does not say how to mend it: {line}"
    for part in named:
        assert str(part) in line, line
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.exit_code == exit_code, ended.stderr


def expect_works(place: Place, before: dict[str, int]) -> None:
    """The node runs, and still has all that guards its signatures.

    What else it stored it may delete by age, as the chain goes on.
    """
    node = place.node()
    with running(node):
        pass
    after = place.stored()
    assert before["enclave.slashing_vote"] > 0
    lost = {
        name: (count, after[name])
        for name, count in before.items()
        if name.startswith("enclave.") and after[name] < count
    }
    assert lost == {}


def starts(node: NodeProcess) -> bool:
    """Waits until it has started, or ends instead."""
    wait_for(f"{node.name} starts", lambda: not node.running or "node_started" in node.text)
    return "node_started" in node.text


def flip_bit(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    rewrite(path, bytes(data))


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)  # keystores' passwords are read-only
    path.write_bytes(data)


def lock_bit(place: Place) -> None:
    text = place.lock.read_text()
    offset = text.index('"lock_hash"') + 20
    while text[offset] in "af":  # their neighbours are no hexadecimal digits: another fault
        offset += 1
    flip_bit(place.lock, offset)


def lock_signature(place: Place) -> None:
    lock = json.loads(place.lock.read_text())
    signature = lock["signature_aggregate"]
    lock["signature_aggregate"] = signature[:-2] + ("00" if signature[-2:] != "00" else "01")
    rewrite(place.lock, json.dumps(lock).encode())


def lock_cut(place: Place) -> None:
    rewrite(place.lock, place.lock.read_bytes()[:1000])


def lock_binary(place: Place) -> None:
    rewrite(place.lock, os.urandom(5000))


def swap_nodes(place: Place) -> None:
    for suffix in ("json", "txt"):
        other = place.neighbour / "validator_keys" / f"keystore-1.{suffix}"
        rewrite(place.keystore(1, suffix), other.read_bytes())


def swap_validators(place: Place) -> None:
    for suffix in ("json", "txt"):
        first, second = place.keystore(0, suffix), place.keystore(1, suffix)
        kept = first.read_bytes()
        rewrite(first, second.read_bytes())
        rewrite(second, kept)


def wrong_password(place: Place) -> None:
    rewrite(place.keystore(2, "txt"), b"another password")


def keystore_no_json(place: Place) -> None:
    rewrite(place.keystore(2), b"{")


def foreign_identity(place: Place) -> None:
    # Of a node of another cluster: of nobody here.
    rewrite(place.folder / "identity-key", b"%064x" % 12345)


def neighbours_certificate(place: Place) -> None:
    for name in ("tls-key.pem", "tls-certificate.pem"):
        rewrite(place.folder / name, (place.neighbour / name).read_bytes())


def setting_misspelt(place: Place) -> None:
    (place.folder / "tetrarch.toml").write_text('[beacon_node]\nurk = "http://127.0.0.1:1"\n')


def database_rubbish(place: Place) -> None:
    for path in (place.folder / "database").glob("node.sqlite*"):
        path.unlink()
    (place.folder / "database" / "node.sqlite").write_bytes(b"no database" * 1000)


def row_rubbish(place: Place) -> None:
    with closing(sqlite3.connect(place.folder / "database" / "node.sqlite")) as file, file:
        assert file.execute("UPDATE parsigdb SET data = x'00', status = 2").rowcount > 0


def remove(name: str) -> Break:
    return lambda place: (place.folder / name).unlink()


FAULTS: dict[str, tuple[Break, int, str, str]] = {
    "lock bit": (lock_bit, 65, "cluster_files_wrong", "lock_hash"),
    "lock signature": (lock_signature, 65, "cluster_files_wrong", "signature_aggregate"),
    "lock cut": (lock_cut, 65, "cluster_file_invalid", "cluster-lock.json"),
    "lock binary": (lock_binary, 65, "cluster_file_invalid", "cluster-lock.json"),
    "lock missing": (remove("cluster-lock.json"), 66, "cluster_file_missing", "cluster-lock.json"),
    "extension missing": (
        remove("cluster-extension.json"),
        66,
        "cluster_file_missing",
        "cluster-extension.json",
    ),
    "share of another node": (swap_nodes, 65, "share_swapped", "share of node 1 for validator 1"),
    "shares of two validators": (swap_validators, 65, "share_swapped", "keystore-0.json"),
    "wrong password": (wrong_password, 65, "share_password_wrong", "keystore-2"),
    "password missing": (
        remove("validator_keys/keystore-2.txt"),
        66,
        "share_file_missing",
        "keystore-2.txt",
    ),
    "keystore missing": (
        remove("validator_keys/keystore-3.json"),
        66,
        "share_file_missing",
        "keystore-3.json",
    ),
    "keystore no JSON": (keystore_no_json, 65, "share_invalid", "keystore-2.json"),
    "identity of nobody": (foreign_identity, 65, "identity_unknown", "identity-key"),
    "certificate of a neighbour": (neighbours_certificate, 65, "tls_key_mismatch", "certificate"),
    "identity missing": (remove("identity-key"), 66, "cluster_file_missing", "identity-key"),
    "setting misspelt": (setting_misspelt, 78, "config_invalid", "urk"),
    "database is rubbish": (database_rubbish, 74, "storage_corrupt", "node.sqlite"),
    "database row is rubbish": (row_rubbish, 74, "storage_corrupt", "table=parsigdb slot="),
}


@pytest.mark.parametrize("name", FAULTS)
def test_broken_files(place: Place, name: str) -> None:
    breaks, exit_code, code, named = FAULTS[name]
    whole = place.cluster.parent / "whole"
    shutil.copytree(place.folder, whole)
    before = place.stored()
    breaks(place)
    broken = place.run()
    expect(broken, exit_code, code, named)
    # Mend it as the line says: bring back the files. The databases are those of the broken run.
    for path in whole.rglob("*"):
        back = place.folder / path.relative_to(whole)
        if path.is_file() and ("database" not in path.parts or name.startswith("database")):
            back.unlink(missing_ok=True)
            shutil.copy2(path, back)
    (place.folder / "tetrarch.toml").unlink(missing_ok=True)
    assert place.stored() == before
    if name in ("lock bit", "wrong password", "database is rubbish"):
        expect_works(place, before)


def test_folder_missing(place: Place) -> None:
    ended = run_tetrarch("run", place.cluster / "node9", "--beacon-node", place.chain.url)
    expect(ended, 66, "cluster_file_missing", "node9")


def test_two_processes_of_one_folder(place: Place) -> None:
    before = place.stored()
    node = place.node()
    with running(node):
        expect(place.run(), 73, "storage_in_use", "node.sqlite")
        assert node.running
    expect_works(place, before)


def test_ports_in_use(place: Place) -> None:
    before = place.stored()
    assert is_free(place.mesh_port)
    with occupied(place.mesh_port):
        expect(place.run(), 69, "listen_failed", f"127.0.0.1:{place.mesh_port}")
    (port,) = free_ports(1)
    with occupied(port):
        ended = place.run("--monitoring-port", port)
        expect(ended, 69, "listen_failed", f"127.0.0.1:{port}")
        ended = place.run("--signing", "validator_client", "--validator-api-port", port)
        expect(ended, 69, "listen_failed", f"127.0.0.1:{port}")
        ended = run_tetrarch("devchain", "--port", port)
        expect(ended, 69, "listen_failed", f"127.0.0.1:{port}")
    expect_works(place, before)


def test_mesh_port_of_another_node(place: Place) -> None:
    """Two nodes of one host that were given one port: the later one says so."""
    with running(place.node()):
        (port,) = free_ports(1)
        arguments = [place.neighbour, "--beacon-node", place.chain.url, "--monitoring-port", port]
        (place.neighbour / "tetrarch.toml").write_text(f"[mesh]\nlisten_port = {place.mesh_port}\n")
        ended = run_tetrarch("run", *arguments)
        expect(ended, 69, "listen_failed", f"127.0.0.1:{place.mesh_port}")


def test_disk_full_at_start(place: Place) -> None:
    """Whatever the last write that finds no room: one line; with a little more it starts."""
    before = place.stored()
    with small_disk(place.folder, 8):
        fresh = place.folder / "database"
        kept = fresh.rename(place.folder / "database-kept")
        node, started = place.node(), False
        rooms_kib = iter((0, 64, *range(128, 512, 4)))
        while not started:
            ballast = fill(place.folder, leave_bytes=next(rooms_kib) * 1024)
            node.start()
            started = starts(node)
            if started:
                node.stop()
            else:
                ended = Ended(node.wait(), "", node.text)
                expect(ended, 74, "storage_full_at_start", fresh, "free some space")
            ballast.unlink()
            node.log.unlink()
            shutil.rmtree(fresh)
        kept.rename(fresh)
        expect_works(place, before)


def test_beacon_node_unreachable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = place.stored()
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    (port,) = free_ports(1)
    ended = place.run(url=f"http://user:hidden@127.0.0.1:{port}")
    expect(ended, 69, "beacon_node_away", f"http://127.0.0.1:{port}")
    assert "hidden" not in ended.stderr
    expect(place.run(url="localhost:5052"), 78, "config_invalid", "http(s)://host")
    assert place.stored() == before
    expect_works(place, before)


@pytest.mark.parametrize("kind", KINDS)
def test_beacon_node_answers_rubbish(
    place: Place, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.stored()
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    with running_rubbish(kind) as rubbish:
        expect(place.run(url=rubbish.url), 69, "beacon_node_away", rubbish.url)
    assert place.stored() == before


def test_another_chain(place: Place) -> None:
    """The same fork version and yet another genesis than that of the enclave's history."""
    before = place.stored()
    other = Devchain(place.cluster.parent, validators=len(KEYS) + 1, start_s=1)
    with running(other):
        expect(place.run(url=other.url), 78, "chain_differs", "validators_root")
    assert place.stored() == before


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("exception", "bug (RuntimeError: no such slot)"),
        ("invariant", "bug (broken invariant: a slot follows the one before it)"),
    ],
)
def test_a_bug_ends_the_process(place: Place, kind: str, told: str) -> None:
    """A worker that fails as nobody expected: traceback, one line, exit code 70, all kept."""
    before = place.stored()
    script = str(Path(__file__).with_name("node_with_bug.py"))
    ended = place.run(command=[sys.executable, script, kind])
    assert ended.exit_code == 70, ended.stderr
    assert len(ended.error_lines) == 1, ended.stderr
    assert told in ended.error_lines[0]
    assert "Traceback (most recent call last)" in ended.stderr
    assert "broken_run" in ended.stderr
    expect_works(place, before)


def test_rubbish_while_it_works(worked: tuple[Path, Devchain], tmp_path: Path) -> None:
    """A beacon node that goes mad for some slots: no node ends, and duties go on afterwards."""
    cluster, _ = worked
    for index in range(4):
        shutil.copytree(cluster / f"node{index}", tmp_path / "cluster" / f"node{index}")
        shutil.rmtree(tmp_path / "cluster" / f"node{index}" / "database")
    chain = Devchain(tmp_path, validators=len(KEYS), slot_s=3.0, start_s=14)
    with running(chain), running_rubbish(behind=chain.url) as mad:
        nodes = [NodeProcess(index, tmp_path / "cluster", mad.url) for index in range(4)]
        with running(*nodes):
            chain.wait_slot(3)
            for kind in MADNESS:
                mad.kind = kind
                chain.wait_slot(int(chain.slot) + 1)
            mad.kind = None
            sane = int(chain.slot) + 3  # the slot in progress, and one to take up what was lost
            chain.wait_slot(sane + 7)
            for node in nodes:
                assert node.running, node.tail()
                assert "Traceback" not in node.text, node.tail(80)
            report = chain.report()
            assert report["slashable"] == []
            checked = range(sane, sane + 5)
            duties = [duty for duty in report["duties"] if duty["slot"] in checked]
            missed = [duty for duty in duties if duty["status"] not in ("in_time", "late")]
            assert duties
            assert missed == [], nodes[0].tail(80)
