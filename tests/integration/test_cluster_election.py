"""Goal: the nodes of a cluster elect one leader over their mesh, beside their duties.

Method: a development chain and four node processes, elections switched on in their files, members
attested. Asked as an operator asks: by commands. The leader is killed, and started again.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.integration.processes import (
    Devchain,
    Ended,
    NodeProcess,
    create_cluster,
    get_json,
    get_text,
    run_tetrarch,
    running,
    seconds_since,
    wait_for,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NODES = 4
Tell = Callable[[object], None]


def settings(*, lease_ms: int = 0, rule: str = "lowest") -> str:
    measured = run_tetrarch("enclave", "measure")
    assert measured.exit_code == 0, measured.stderr
    return (
        "[election]\nenabled = true\n"
        f'lease_ms = {lease_ms}\nrule = "{rule}"\n'
        f'[attestation]\ndemand = "require"\nallowed_enclaves = ["{measured.stdout.strip()}"]\n'
    )


@contextmanager
def electing(folder: Path, *signing: str, rule: str = "lowest") -> Iterator[list[NodeProcess]]:
    """A cluster whose nodes elect. ``signing``: of each node, as options."""
    with running(chain := Devchain(folder, start_s=15.0, slot_s=4.0)):
        cluster = create_cluster(folder, range(8))
        for index in range(NODES):
            (cluster / f"node{index}" / "tetrarch.toml").write_text(settings(rule=rule))
        nodes = [NodeProcess(index, cluster, chain.url, *signing) for index in range(NODES)]
        with running(*nodes):
            yield nodes


def shown_to(node: NodeProcess) -> dict[int, str]:
    """Which enclaves its peers have shown, by their measurements."""
    peers = get_json(f"{node.url}/peers")["peers"]
    return {peer["index"]: peer["enclave"]["measurement"] for peer in peers if peer["enclave"]}


def has_attested(node: NodeProcess, others: set[int]) -> bool:
    return shown_to(node).keys() == others


def test_node_that_is_not_attested_is_heard_about_nothing(tmp_path: Path, tell: Tell) -> None:
    """No leader is elected; the others do their duties without it, and it can do none."""
    measured = run_tetrarch("enclave", "measure").stdout.strip()
    with running(chain := Devchain(tmp_path, start_s=15.0, slot_s=4.0)):
        cluster = create_cluster(tmp_path, range(8))
        for index in range(NODES):
            # The last one runs without [attestation], as if it could not show what it is.
            config = f'[attestation]\ndemand = "require"\nallowed_enclaves = ["{measured}"]\n'
            text = config if index < 3 else ""
            (cluster / f"node{index}" / "tetrarch.toml").write_text(text)
        nodes = [NodeProcess(index, cluster, chain.url) for index in range(NODES)]
        with running(*nodes):
            for index, node in enumerate(nodes[:3]):
                node.wait_alive()
                others = set(range(3)) - {index}
                wait_for(f"{node.name} has attested its peers", partial(has_attested, node, others))
                assert set(shown_to(node).values()) == {measured.split(":")[1]}
            since = int(chain.slot) + 2
            chain.wait_slot(since + 10.9)
            report = [
                each for each in chain.report()["duties"] if each["slot"] in range(since, since + 8)
            ]
            done = [each for each in report if each["status"] in {"in_time", "late"}]
            tell(f"{len(done)} of {len(report)} duties by three attested nodes")
            assert [
                each for each in report if each["type"] == "attester" and each not in done
            ] == []
            metrics = get_text(f"{nodes[0].url}/metrics")
            assert "tetrarch_peer_unattested_messages_total{" in metrics
            assert "tetrarch_peers_attested{" in metrics


def asked(node: NodeProcess, *question: str) -> Ended:
    return run_tetrarch("election", *question, "--url", node.url)


def leader_known_to(nodes: list[NodeProcess], *, of: int, after: int = 0) -> dict[str, Any]:
    """The one leader of a term above ``after`` that all ``nodes`` know, with ``of`` members."""
    found: list[dict[str, Any]] = []

    def agreed() -> bool:
        known = [json.loads(get_text(f"{node.url}/election/leader"))["leader"] for node in nodes]
        found[:] = [each for each in known if each is not None]
        terms = {each["term"] for each in found}
        return len(found) == len(nodes) and len(terms) == 1 and len(found[0]["members"]) == of

    wait_for("one leader", lambda: agreed() and found[0]["term"] > after)
    assert len({each["leader"] for each in found}) == 1, found
    return found[0]


def test_cluster_elects_over_its_mesh(tmp_path: Path, tell: Tell) -> None:
    with electing(tmp_path) as nodes:
        first = leader_known_to(nodes, of=NODES)
        names = [f"node{index}" for index in range(NODES)]
        leader = names.index(first["leader"])  # who led when the last one came: he stays
        assert first["members"] == names

        told = asked(nodes[2], "leader")
        assert told.exit_code == 0, told.stderr
        assert told.stdout.startswith(f"term {first['term']}: node{leader} leads node0, node1, ")
        proof = tmp_path / "leader.json"
        proof.write_text(asked(nodes[3], "leader", "--certificate").stdout)
        configuration = nodes[1].folder / "database" / "election" / "election.json"
        verified = run_tetrarch("election", "verify", proof, "-c", configuration, "--json")
        assert json.loads(verified.stdout)["leader"] == names[leader], verified
        certificate = json.loads(proof.read_text())
        assert certificate["signatures"] == {}
        assert len(certificate["shared_signature"]) == 2 * 96, "the cluster's key signs for all"

        members = json.loads(asked(nodes[1], "members", "--json").stdout)
        assert [member["is_heard"] for member in members["members"]] == [True] * NODES
        assert members["attestation"] == "require"
        assert "election_member_attested" in nodes[1].text
        assert "tetrarch_election_leads{" in get_text(f"{nodes[leader].url}/metrics")

        nodes[leader].kill()
        killed_s = time.monotonic()
        others = [node for node in nodes if node is not nodes[leader]]
        second = leader_known_to(others, of=NODES - 1, after=first["term"])
        tell(f"another leader {seconds_since(killed_s)} s after the first was killed")
        assert second["leader"] == others[0].name, "the first of those who are there"
        nodes[leader].start()
        nodes[leader].wait_alive()
        third = leader_known_to(nodes, of=NODES, after=second["term"])
        assert third["leader"] == second["leader"], "a living leader stays"
        for node in nodes:
            assert "election_member_refused" not in node.text, node.tail(60)


def test_nodes_whose_shares_are_elsewhere_elect_with_an_enclave_of_their_own(
    tmp_path: Path,
) -> None:
    """And by a number that they draw together with the cluster's key."""
    signing = ("--signing", "validator_client", "--validator-api-port", "0")
    with electing(tmp_path, *signing, rule="beacon") as nodes:
        first = leader_known_to(nodes, of=NODES)
        assert len(first["certificate"]["seed"]) == 2 * 96
        proof = tmp_path / "leader.json"
        proof.write_text(json.dumps(first["certificate"]))
        configuration = nodes[1].folder / "database" / "election" / "election.json"
        verified = run_tetrarch("election", "verify", proof, "-c", configuration)
        assert "signed with the key that the members share" in verified.stdout, verified
        proof.write_text(json.dumps(first["certificate"] | {"seed": "00" * 96}))
        assert run_tetrarch("election", "verify", proof, "-c", configuration).exit_code == 1


def test_node_with_another_configuration_is_refused_with_both_hashes(tmp_path: Path) -> None:
    with running(chain := Devchain(tmp_path, start_s=15.0, slot_s=4.0)):
        cluster = create_cluster(tmp_path, range(8))
        for index in range(NODES):
            lease_ms = 5000 if index == 3 else 0
            (cluster / f"node{index}" / "tetrarch.toml").write_text(settings(lease_ms=lease_ms))
        nodes = [NodeProcess(index, cluster, chain.url) for index in range(NODES)]
        with running(*nodes):
            leader = leader_known_to(nodes[:3], of=3)
            assert leader["members"] == ["node0", "node1", "node2"]
            own, other = (
                json.loads(asked(node, "members", "--json").stdout)["configuration_hash"]
                for node in (nodes[0], nodes[3])
            )
            assert own != other
            wait_for("both hashes in the log", lambda: own in nodes[0].text)
            assert "election_configuration_differs" in nodes[0].text, nodes[0].tail(60)
            assert other in nodes[0].text, nodes[0].tail(60)
            assert asked(nodes[3], "leader").exit_code == 1
