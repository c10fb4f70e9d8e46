"""Goal: four nodes, none of which holds a key, are one set of validators on a real chain.

Method: a real beacon node with 32 interop validators, 3 s slots, Altair. Four tetrarch nodes
hold 3-of-4 shares of eight of them, a plain validator client runs the rest. Of the three epochs
that follow once every validator client has voted, the chain has justified, and nearly all of the
cluster's votes and blocks stand in the canonical chain.
"""

import json
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.integration.inclusion import ChainWatch
from tests.integration.lodestar import (
    SLOTS_PER_EPOCH,
    ChainOptions,
    LodestarBeaconNode,
    LodestarValidatorClient,
    Process,
    require_lodestar,
    running_beacon_node,
    running_clients,
)
from tests.integration.processes import (
    Command,
    NodeProcess,
    create_cluster,
    get_json,
    running,
    wait_for,
)
from tests.integration.test_remote_signers import signer_folder
from tests.ports import free_ports

from tetrarch.cluster.files import VALIDATOR_KEYS_FOLDER
from tetrarch.cluster.keystore_files import keystore_paths, open_keystore
from tetrarch.crypto.keystore import KeystoreCost, encrypt_keystore
from tetrarch.entropy import system_entropy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
require_lodestar()

OURS = range(8)
THEIRS = range(8, 32)
EPOCHS = 3
# Six programs that compile themselves; ten seconds on two idle cores, a minute on busy ones.
START_TIMEOUT_S = 180
# All sign on two cores in ten or more processes; a late vote still counts when
# a later block carries it, a lost one does not.
VOTES_SHARE_MIN = 0.9
BLOCKS_SHARE_MIN = 0.8
Tell = Callable[[object], None]
PASSWORD = "integration test"


def genesis_fork_version(node: LodestarBeaconNode) -> str:
    genesis = get_json(f"{node.url}/eth/v1/beacon/genesis")
    return str(genesis["data"]["genesis_fork_version"])


def wait_for_votes(clients: Sequence[LodestarValidatorClient]) -> None:
    """Return once each client has sent its first votes: how long a start takes is not judged."""

    def have_voted() -> bool:
        for client in clients:
            assert client.running, client.tail()
        return all("Published attestations" in client.text for client in clients)

    try:
        wait_for("every client has voted", have_voted, timeout_s=START_TIMEOUT_S)
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *(c.tail(60) for c in clients)])) from error


def judge(
    node: LodestarBeaconNode,
    tell: Tell,
    clients: Sequence[LodestarValidatorClient],
    processes: Sequence[Process | Command],
) -> None:
    """Watch three epochs, then hold the chain to what the cluster should have put on it."""
    wait_for_votes(clients)
    first = int(max(node.slot_now(), 0)) // SLOTS_PER_EPOCH + 1
    epochs = range(first, first + EPOCHS)
    watch = ChainWatch(node=node, epochs=epochs)
    watch.run()
    last_slot = epochs.stop * SLOTS_PER_EPOCH + 2
    node.wait_slot(last_slot + 1)
    found = watch.inclusion(OURS, last_slot=last_slot)
    checkpoints = get_json(f"{node.url}/eth/v1/beacon/states/head/finality_checkpoints")
    justified = int(checkpoints["data"]["current_justified"]["epoch"])
    told = f"epochs {first} to {epochs[-1]}: {found}; justified epoch: {justified}"
    tell(told)
    told = "\n".join([told, *(process.tail(60) for process in (*clients, *processes))])
    assert justified >= epochs.stop - 2, told
    assert found.votes_share >= VOTES_SHARE_MIN, told
    assert len(found.votes_due) >= len(OURS) * 2, told
    assert found.blocks_due, told
    assert found.blocks_share >= BLOCKS_SHARE_MIN, told


def test_cluster_signs_by_itself(tmp_path: Path, tell: Tell) -> None:
    options = ChainOptions(slot_s=3, validators=32, genesis_delay_s=30)
    with running_beacon_node(tmp_path, options) as beacon:
        cluster = create_cluster(tmp_path, OURS, fork_version=genesis_fork_version(beacon))
        nodes = [NodeProcess(i, cluster, beacon.url, "--signing", "enclave") for i in range(4)]
        plain = LodestarValidatorClient("plain", tmp_path, beacon.url, options, interop=THEIRS)
        with running_clients(plain), running(*nodes):
            judge(beacon, tell, [plain], [beacon, *nodes])


def test_cluster_signs_with_real_validator_clients(tmp_path: Path, tell: Tell) -> None:
    options = ChainOptions(slot_s=3, validators=32, genesis_delay_s=30)
    with running_beacon_node(tmp_path, options) as beacon:
        cluster = create_cluster(tmp_path, OURS, fork_version=genesis_fork_version(beacon))
        ports = free_ports(4)
        nodes = [
            NodeProcess(
                i, cluster, beacon.url, "--signing", "validator_client", "--validator-api-port", p
            )
            for i, p in enumerate(ports)
        ]
        clients = [share_client(tmp_path, cluster, i, p, options) for i, p in enumerate(ports)]
        plain = LodestarValidatorClient("plain", tmp_path, beacon.url, options, interop=THEIRS)
        with running_clients(plain), running(*nodes), running_clients(*clients):
            judge(beacon, tell, [plain, *clients], [beacon, *nodes])


def test_real_client_signs_through_our_signer(tmp_path: Path, tell: Tell) -> None:
    """Three of four nodes run, so nothing is signed without the one whose client asks the signer."""
    options = ChainOptions(slot_s=3, validators=32, genesis_delay_s=30)
    with running_beacon_node(tmp_path, options) as beacon:
        cluster = create_cluster(tmp_path, OURS, fork_version=genesis_fork_version(beacon))
        api_port, signer_port, monitoring_port = free_ports(3)
        by_client = ("--signing", "validator_client", "--validator-api-port", api_port)
        nodes = [
            NodeProcess(1, cluster, beacon.url),
            NodeProcess(2, cluster, beacon.url),
            NodeProcess(3, cluster, beacon.url, *by_client),
        ]
        folder = signer_folder(cluster / "node3", tmp_path / "keys3")
        ports = ("--listen-port", signer_port, "--monitoring-port", monitoring_port)
        signer = Command(
            "signer3", ("signer", folder, "--beacon-node", beacon.url, *ports), tmp_path
        )
        client = LodestarValidatorClient(
            "remote",
            tmp_path,
            f"http://127.0.0.1:{api_port}",
            options,
            remote_signer=f"http://127.0.0.1:{signer_port}",
        )
        plain = LodestarValidatorClient("plain", tmp_path, beacon.url, options, interop=THEIRS)
        with running_clients(plain), running(signer, *nodes), running_clients(client):
            judge(beacon, tell, [plain, client], [beacon, signer, *nodes])
            with urllib.request.urlopen(f"http://127.0.0.1:{monitoring_port}/metrics") as answer:
                metrics = answer.read().decode()
            name = "tetrarch_signer_api_requests_total"
            counted = [line for line in metrics.splitlines() if line.startswith(name)]
            tell("; ".join(line.removeprefix(name) for line in counted))
            kinds = ("ATTESTATION", "BLOCK_V2", "RANDAO_REVEAL", "AGGREGATION_SLOT")
            for kind in kinds:
                assert any(f'type="{kind}"' in line for line in counted), counted
            refused = [line for line in counted if 'status="200"' not in line]
            assert [line for line in refused if 'status="4' in line] == [], refused


def share_client(
    folder: Path, cluster: Path, index: int, port: int, options: ChainOptions
) -> LodestarValidatorClient:
    """A validator client with the share keystores of node ``index``, all under one password.

    It takes one password for all keystores, so the shares are encrypted anew for it.
    """
    keystores = folder / f"keystores-{index}"
    keystores.mkdir()
    password_file = folder / "password.txt"
    password_file.write_text(PASSWORD)
    for path in keystore_paths(cluster / f"node{index}" / VALIDATOR_KEYS_FOLDER):
        keystore = encrypt_keystore(
            open_keystore(path), PASSWORD, entropy=system_entropy, cost=KeystoreCost.INSECURE
        )
        (keystores / path.name).write_text(json.dumps(keystore))
    return LodestarValidatorClient(
        f"share{index}",
        folder,
        f"http://127.0.0.1:{port}",
        options,
        keystores=keystores,
        password_file=password_file,
    )
