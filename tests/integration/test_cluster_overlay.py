"""Goal: the nodes of a cluster are on the overlay, linked with each other, beside their duties.

Method: a development chain and four node processes with ``[overlay]`` in their files, which name nobody: they hear of each
other along the mesh. Asked and told by commands, as an operator does.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.integration.processes import (
    Devchain,
    NodeProcess,
    create_cluster,
    run_tetrarch,
    running,
    wait_for,
)
from tests.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NODES = 4


def peers_of(node: NodeProcess) -> list[dict[str, Any]]:
    ended = run_tetrarch("peer", "list", "--url", node.url, "--json")
    if ended.exit_code:
        return []
    told: list[dict[str, Any]] = json.loads(ended.stdout)["nodes"]
    return told


def linked(node: NodeProcess) -> int:
    return sum(each["linked"] and "privileged" in each["layers"] for each in peers_of(node))


def all_linked(node: NodeProcess) -> bool:
    return linked(node) == NODES - 1


def test_they_are_privileged_to_each_other_and_a_banned_one_is_left(tmp_path: Path) -> None:
    with running(chain := Devchain(tmp_path, start_s=15.0, slot_s=4.0)):
        cluster = create_cluster(tmp_path, range(8))
        for index, port in enumerate(free_ports(NODES)):
            (cluster / f"node{index}" / "tetrarch.toml").write_text(
                f'[overlay]\nenabled = true\nlisten = ["127.0.0.1:{port}"]\n'
                "private_addresses = true\nround_ms = 1000\n"
            )
        nodes = [NodeProcess(index, cluster, chain.url) for index in range(NODES)]
        with running(*nodes):
            for node in nodes:
                wait_for(f"{node.name} is linked", partial(all_linked, node))
            other = peers_of(nodes[0])[0]["node"]
            ended = run_tetrarch(
                *("peer", "ban", other, "--reason", "for a while", "--url", nodes[0].url),
                *("--token-file", nodes[0].folder / "control-token"),
            )
            assert ended.exit_code == 0, ended.stderr
            wait_for("it is left", lambda: linked(nodes[0]) == NODES - 2)
            chain.wait_slot(6)
            done = [
                each for each in chain.report()["duties"] if each["status"] in {"in_time", "late"}
            ]
            assert done  # the overlay is beside them, not in their way
            for node in nodes:
                assert "Traceback" not in node.text, node.tail(60)
