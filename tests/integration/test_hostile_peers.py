"""Goal: a hostile node of four is named in metrics and in the story, and no duty is lost to it.

Method: a development chain and four node processes for each way to do harm; the fourth node runs
``bench.hostile_node``. It holds its real key and share, only what it says is false. At the end an
honest node is asked as an operator asks it: ``/metrics``, and ``tetrarch duty explain``.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.processes import (
    Devchain,
    NodeProcess,
    create_cluster,
    get_json,
    get_text,
    run_tetrarch,
    running,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

KEYS = range(8)
HOSTILE = 3
FIRST_SLOT = 2  # processes start slowly
SLOTS = 7
# By the way to do harm: faults of which at least one must be told.
NAMED_AS = {
    "flood": {"flood: messages"},
    "equivocate": {"two_proposals", "commit_of_another_value", "two_commits"},
    "partials": {"false_partial"},
    "partials_twice": {"partial_equivocation"},
}


def faults_by_metrics(node: NodeProcess) -> dict[int, set[str]]:
    """What the node's metrics say against each peer."""
    found: dict[int, set[str]] = {}
    for family in text_string_to_metric_families(get_text(f"{node.url}/metrics")):
        for sample in family.samples:
            if sample.name == "tetrarch_peer_faults_total" and sample.value > 0:
                peer = int(sample.labels["peer"].removeprefix("node"))
                found.setdefault(peer, set()).add(sample.labels["kind"])
    return found


def story(node: NodeProcess, duty: str) -> dict[str, Any]:
    told = run_tetrarch("duty", "explain", duty, "--url", node.url, "--json")
    assert told.exit_code == 0, told.stderr
    decoded: dict[str, Any] = json.loads(told.stdout)
    return decoded


def faults_by_story(found: dict[str, Any]) -> dict[int, set[str]]:
    """What honest nodes say in a story against each peer."""
    faults: dict[int, set[str]] = {}
    for teller in found["nodes"]:
        for report in teller["reports"] if teller["peer"] != HOSTILE else ():
            for fault in report["faults"]:
                faults.setdefault(fault["peer"], set()).add(fault["kind"])
    return faults


@pytest.mark.parametrize("kind", NAMED_AS)
def test_it_is_named_in_metrics_and_in_the_story_and_costs_no_duty(
    kind: str, tmp_path: Path, tell: Callable[[object], None]
) -> None:
    cluster = create_cluster(tmp_path, KEYS)
    chain = Devchain(tmp_path, validators=len(KEYS), slot_s=4.0, start_s=18)
    honest = [NodeProcess(index, cluster, chain.url) for index in range(HOSTILE)]
    command = (sys.executable, "-m", "bench.hostile_node", kind)
    hostile = NodeProcess(HOSTILE, cluster, chain.url, command=command)
    with running(chain, *honest, hostile):
        chain.wait_slot(FIRST_SLOT + SLOTS + 2)
        due = [
            duty
            for duty in chain.report()["duties"]
            if FIRST_SLOT <= duty["slot"] < FIRST_SLOT + SLOTS
        ]
        lost = [duty for duty in due if duty["status"] == "missed"]
        counted = [faults_by_metrics(node) for node in honest]
        votes = [
            report
            for report in get_json(f"{honest[0].url}/duty/list?type=attester")["duties"]
            if FIRST_SLOT <= report["slot"] < FIRST_SLOT + SLOTS
        ]
        stories = {
            report["slot"]: story(honest[0], f"{report['slot']}/attester") for report in votes
        }
        told = {slot: faults_by_story(each) for slot, each in stories.items()}
        named = [
            slot for slot, faults in told.items() if faults.get(HOSTILE, set()) & NAMED_AS[kind]
        ]
        asked = f"{named[0] if named else FIRST_SLOT}/attester"
        drawn = run_tetrarch("duty", "explain", asked, "--url", honest[0].url).stdout
    tails = "\n".join(node.tail(40) for node in honest)
    tell({"metrics": [sorted(each.get(HOSTILE, ())) for each in counted], "stories": told})
    assert len(due) >= SLOTS
    assert lost == [], f"{lost}\n{tails}"
    assert all(report["outcome"] == "done" for report in votes), votes
    assert any(each.get(HOSTILE, set()) & NAMED_AS[kind] for each in counted), counted
    assert named, told
    assert re.search(rf"node{HOSTILE}: ({'|'.join(NAMED_AS[kind])})", drawn), drawn
    for faults in (*counted, *told.values()):
        assert set(faults) <= {HOSTILE}, "nobody is framed"
    for node in honest:
        assert "Traceback" not in node.text, tails
