"""Goal: records name who was missing and who was late, and what the chain did not take up.

Method: a development chain and four node processes. One node is killed, another stopped for
two slots, and the chain's blocks leave out all votes. Then nodes are asked, running and stopped.
"""

import json
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.processes import (
    Devchain,
    NodeProcess,
    create_cluster,
    get_json,
    run_tetrarch,
    running,
    wait_for,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

KEYS = range(8)
SETTLED_SLOTS = 34  # a vote is missed for good 32 slots later, and looked for in the slot after


def records(node: NodeProcess, kind: str, slots: range) -> list[dict[str, Any]]:
    listed = get_json(f"{node.url}/duty/list?type={kind}")["duties"]
    return [each for each in listed if each["slot"] in slots]


def standings(node: NodeProcess, peer: int, slots: range) -> set[str]:
    """What ``node`` says of that peer's part in the votes of ``slots``."""
    return {
        part["standing"]
        for each in records(node, "attester", slots)
        for part in each["parts"]
        if part["peer"] == peer
    }


def test_missing_late_and_left_out_are_named(
    tmp_path: Path, tell: Callable[[object], None]
) -> None:
    cluster = create_cluster(tmp_path, KEYS)
    chain = Devchain(tmp_path, validators=len(KEYS), slot_s=2.0, start_s=14)
    nodes = [NodeProcess(index, cluster, chain.url) for index in range(4)]
    with running(chain, *nodes):

        def connected() -> bool:
            peers = get_json(f"{nodes[0].url}/peers")["peers"]
            return all(peer["connected"] for peer in peers)

        wait_for("all nodes are connected", connected)
        chain.wait_slot(1)
        first = int(chain.slot) + 1  # from here on all four take part
        chain.wait_slot(first + 3)
        nodes[3].kill()
        gone = range(first + 4, first + 6)
        chain.wait_slot(gone.stop)
        nodes[3].start()
        nodes[3].wait_alive()
        wait_for("node 3 is connected again", connected)
        chain.set_faults(leave_out_votes=True)
        frozen = int(chain.slot) + 2
        chain.wait_slot(frozen + 0.05)
        nodes[2].send(signal.SIGSTOP)
        chain.wait_slot(frozen + 1.5)
        nodes[2].send(signal.SIGCONT)
        chain.wait_slot(frozen + 6)

        assert "missing" in standings(nodes[0], 3, gone), nodes[0].tail(60)
        assert "missing" in standings(nodes[1], 3, gone), nodes[1].tail(60)
        assert "late" in standings(nodes[0], 2, range(frozen, frozen + 2))
        early = records(nodes[0], "attester", range(first, first + 3))
        tell({each["slot"]: each["inclusion"] for each in early})
        verdicts = [each["inclusion"]["verdict"] for each in early if each["inclusion"]]
        assert "included" in verdicts
        assert "not_included" not in verdicts

        missed = frozen + 3
        chain.wait_slot(missed + SETTLED_SLOTS)
        (record,) = records(nodes[0], "attester", range(missed, missed + 1))
        assert (record["outcome"], record["reason"]) == ("failed", "not_included_onchain")
        assert record["inclusion"]["included"] == 0
        # Submitted before node 3 was killed, looked up after it was back.
        (former,) = records(nodes[3], "attester", range(first + 1, first + 2))
        assert former["ended"], nodes[3].tail(60)
        assert former["inclusion"]["verdict"] == "included"
        text = nodes[0].text
        assert "not_included_onchain" in text
        assert "Traceback" not in text

        told = run_tetrarch(
            "duty", "explain", f"{missed}/attester", "--url", nodes[0].url, "--json"
        )
        assert told.exit_code == 1, told.stderr
        story = json.loads(told.stdout)
        assert [node["peer"] for node in story["nodes"]] == [0, 1, 2, 3]
        assert all(node["reports"] for node in story["nodes"]), story
        drawn = run_tetrarch("duty", "explain", f"{gone.start}/attester", "--url", nodes[0].url)
        assert "MISSING" in drawn.stdout, drawn
        metrics = run_metrics(nodes[0])
        assert 'peer="node3",standing="missing"' in metrics
        assert "tetrarch_duty_inclusion_total{" in metrics
    alone = run_tetrarch("duty", "explain", f"{gone.start}/attester", "--folder", nodes[0].folder)
    assert "database alone" in alone.stdout, alone
    assert "MISSING" in alone.stdout


def run_metrics(node: NodeProcess) -> str:
    """The node's metrics as a scraper sees them."""
    with urllib.request.urlopen(f"{node.url}/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")
