"""Goal: a cluster whose nodes hold no key misses nothing, and survives a signer's death.

Method: four nodes as processes on a development chain, each with its shares in `tetrarch signer`
processes: over mutual TLS, the last node with two of them, of which the first is killed.
"""

import json
import re
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.processes import (
    Command,
    Devchain,
    NodeProcess,
    answers,
    create_cluster,
    run_tetrarch,
    running,
    wait_for,
)
from tests.ports import free_ports
from tests.remote_signer.signer_world import certificates

from tetrarch.cluster.files import EXTENSION_FILE, LOCK_FILE, VALIDATOR_KEYS_FOLDER

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

KEYS = range(4)
SYNC_KINDS = ("MESSAGE", "SELECTION_PROOF", "CONTRIBUTION_AND_PROOF")
SLOTS_BEFORE_KILL = 3
SLOTS_JUDGED = 8


class SignerProcess(Command):
    """``tetrarch signer`` over mutual TLS."""

    def __init__(self, name: str, folder: Path, beacon_node: str) -> None:
        self.port, self.monitoring_port = free_ports(2)
        self.url = f"https://127.0.0.1:{self.port}"
        self.folder = folder
        arguments = ["signer", folder, "--beacon-node", beacon_node]
        arguments += ["--listen-port", self.port, "--monitoring-port", self.monitoring_port]
        for option in ("certificate", "key", "client-ca"):
            file = {"certificate": "server.pem", "key": "server-key.pem"}.get(option, "ca.pem")
            arguments += [f"--tls-{option}", folder.parent / "tls" / file]
        super().__init__(name, arguments, folder.parent)

    def wait_alive(self) -> None:
        def alive() -> bool:
            assert self.running, self.tail()
            return answers(f"http://127.0.0.1:{self.monitoring_port}/livez")

        wait_for(f"{self.name} answers", alive)


def signed_kinds(signer: SignerProcess) -> set[str]:
    """The types of requests that ``signer`` granted."""
    url = f"http://127.0.0.1:{signer.monitoring_port}/metrics"
    with urllib.request.urlopen(url) as answer:
        text = answer.read().decode()
    found = re.findall(r'signer_api_requests_total\{[^}]*status="200"[^}]*type="(\w+)"', text)
    return set(found)


def signer_folder(node: Path, folder: Path, *, move: bool = True) -> Path:
    """A folder with what a signer needs; the keystores leave the node's."""
    folder.mkdir()
    for name in (LOCK_FILE, EXTENSION_FILE):
        shutil.copy(node / name, folder / name)
    (shutil.move if move else shutil.copytree)(
        node / VALIDATOR_KEYS_FOLDER, folder / VALIDATOR_KEYS_FOLDER
    )
    return folder


def settings(urls: list[str], tls: Path) -> str:
    listed = ", ".join(f'"{url}"' for url in urls)
    return f"""signing = "remote_signer"
[remote_signer]
urls = [{listed}]
timeout_ms = 1500
tls_ca_file = "{tls / "ca.pem"}"
tls_certificate_file = "{tls / "client.pem"}"
tls_key_file = "{tls / "client-key.pem"}"
"""


@pytest.mark.parametrize("fork", ["altair", "deneb", "electra", "fulu"])
def test_nodes_sign_through_signers(
    tmp_path: Path, tell: Callable[[object], None], fork: str
) -> None:
    cluster = create_cluster(tmp_path, KEYS)
    chain = Devchain(tmp_path, validators=len(KEYS), fork=fork, slot_s=4, start_s=30)
    (tmp_path / "tls").mkdir()
    certificates(tmp_path / "tls")
    nodes: list[NodeProcess] = []
    signers: list[SignerProcess] = []
    for index in range(4):
        node = cluster / f"node{index}"
        own = []
        if index == 3:
            folder = signer_folder(node, tmp_path / "keys3b", move=False)
            own.append(SignerProcess("signer3b", folder, chain.url))
        folder = signer_folder(node, tmp_path / f"keys{index}")
        own.append(SignerProcess(f"signer{index}", folder, chain.url))
        text = settings([each.url for each in own], tmp_path / "tls")
        (node / "tetrarch.toml").write_text(text)
        signers += own
        nodes.append(NodeProcess(index, cluster, chain.url))
    spare = next(each for each in signers if each.name == "signer3b")
    tails = lambda: "\n".join(each.tail(40) for each in (*nodes, *signers))  # noqa: E731
    with running(chain, *signers, *nodes):
        for process in nodes:
            process.wait_ready()
        first_slot = chain.settled_slot()
        judged = range(first_slot, first_slot + SLOTS_JUDGED)
        kill_slot = first_slot + SLOTS_BEFORE_KILL
        chain.wait_slot(kill_slot)
        spare.kill()
        chain.wait_slot(judged.stop + 1.9)
        report = chain.report()
        done = [d for d in report["duties"] if d["slot"] in judged]
        missed = [d for d in done if d["status"] in ("missed", "open")]
        assert missed == [], tails()
        assert report["slashable"] == []
        assert {d["type"] for d in done} == {"attester", "proposer"}
        for process in nodes:
            after_kill = range(kill_slot + 2, judged.stop)
            own_duties = [d for d in process.duties() if d["slot"] in after_kill]
            unsigned = [
                d for d in own_duties if d["type"] == "attester" and "signed" not in d["at_ms"]
            ]
            assert unsigned == [], process.tail(60)
            assert not (process.folder / VALIDATOR_KEYS_FOLDER).exists()
            assert "Traceback" not in process.text, process.tail(80)
        assert "remote_signer_down" in nodes[3].text
        kinds = signed_kinds(signers[0])
        aggregate = "AGGREGATE_AND_PROOF" + ("_V2" if fork in ("electra", "fulu") else "")
        assert kinds >= {"ATTESTATION", "BLOCK_V2", "RANDAO_REVEAL", "AGGREGATION_SLOT", aggregate}
        assert kinds >= {f"SYNC_COMMITTEE_{name}" for name in SYNC_KINDS}, kinds
        late = [d for d in done if d["status"] == "late"]
        tell(f"{fork}: {len(done)} duties, 0 missed, {len(late)} late; {len(kinds)} kinds signed")


def test_node_without_its_signer_says_which_shares_lack(tmp_path: Path) -> None:
    cluster = create_cluster(tmp_path, range(2))
    chain = Devchain(tmp_path, validators=2)
    (tmp_path / "tls").mkdir()
    certificates(tmp_path / "tls")
    folder = signer_folder(cluster / "node0", tmp_path / "keys0")
    signer = SignerProcess("signer0", folder, chain.url)
    url = f'urls = ["{signer.url}"]'
    for index in (0, 1):
        text = settings([signer.url], tmp_path / "tls")
        assert url in text
        (cluster / f"node{index}" / "tetrarch.toml").write_text(text + "start_wait_ms = 500\n")
    run = ("run", "--beacon-node", chain.url, "--monitoring-port", 0)
    with running(chain):
        ended = run_tetrarch(*run, cluster / "node0")
        assert ended.exit_code == 69, ended.stderr
        assert "remote_signer_away" in ended.error_lines[0]
        with running(signer):
            signer.wait_alive()
            ended = run_tetrarch(*run, cluster / "node1")
            assert ended.exit_code == 78, ended.stderr
            assert "remote_shares_missing" in ended.error_lines[0]
            assert len(ended.error_lines) == 1
            lock = get_lock_shares(cluster / "node1", 1)
            assert all(share in ended.error_lines[0] for share in lock)
    with running(signer):  # its beacon node is away: it knows the chain
        signer.wait_alive()
        assert "chain_remembered" in signer.text
        second = run_tetrarch("signer", folder, "--listen-port", 0, "--monitoring-port", 0)
        assert second.exit_code == 73, second.stderr
        assert "storage_in_use" in second.error_lines[0]


def get_lock_shares(folder: Path, node: int) -> list[str]:
    lock = json.loads((folder / LOCK_FILE).read_text())
    return [each["public_shares"][node] for each in lock["distributed_validators"]]
