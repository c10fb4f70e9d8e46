"""Goal: with three beacon nodes of which one lies, no duty is lost and nothing wrong is signed.

Method: a development chain and four node processes, each with three beacon nodes: the chain, an
honest one that hands requests on to it, and one that is wrong in another way every few slots, over
real HTTP. The chain reports every duty; the votes that the nodes decided on are looked up in it.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.integration.processes import (
    Devchain,
    NodeProcess,
    answers,
    create_cluster,
    running,
)
from tests.integration.rubbish_node import LIES, running_rubbish

from tetrarch.duties.codec import decode_unsigned
from tetrarch.duties.types import DutyType, UnsignedAttestation
from tetrarch.ethereum.spec.values import AttestationData

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

KEYS = range(8)
KINDS = (*LIES, "never", "status_500", "not_json", "huge", "hangs_up", "wrong_types")
SLOTS_EACH = 2
FIRST_SLOT = 4  # processes start slowly
LOG_LINES_PER_SLOT_MAX = 25  # some seven duties end in each, and something may be told of them


def votes(node: NodeProcess) -> list[AttestationData]:
    """What the node decided to attest to."""
    path = node.folder / "database" / "node.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT data FROM dutydb WHERE duty_type = ?", (int(DutyType.ATTESTER),)
        ).fetchall()
    items = [item for (data,) in rows for item in decode_unsigned(data, preset="minimal").items]
    return [item.data for item in items if isinstance(item, UnsignedAttestation)]


def test_no_duty_is_lost_to_one_of_three_that_lies(
    tmp_path: Path, tell: Callable[[object], None]
) -> None:
    cluster = create_cluster(tmp_path, KEYS)
    chain = Devchain(tmp_path, validators=len(KEYS), slot_s=4.0, start_s=40)
    with (
        running_rubbish(behind=chain.url) as honest,
        running_rubbish(behind=chain.url) as liar,
    ):
        others = ("--beacon-node", liar.url, "--beacon-node", chain.url)
        nodes = [NodeProcess(index, cluster, honest.url, *others) for index in range(4)]
        with running(chain, *nodes):
            for number, kind in enumerate(KINDS):
                chain.wait_slot(FIRST_SLOT + number * SLOTS_EACH - 0.2)
                liar.kind = kind
            last = FIRST_SLOT + len(KINDS) * SLOTS_EACH
            chain.wait_slot(last + 2)
            report = chain.report()
            due = [duty for duty in report["duties"] if FIRST_SLOT <= duty["slot"] < last]
            lost = [duty for duty in due if duty["status"] == "missed"]
            decided = {vote for node in nodes for vote in votes(node)}
            roots = {
                root for vote in decided for root in (vote.beacon_block_root, vote.target.root)
            }
            unknown = [
                root.hex()
                for root in sorted(roots)
                if not answers(f"{chain.url}/eth/v1/beacon/headers/0x{root.hex()}")
            ]
            tails = "\n".join(node.tail(40) for node in nodes)
    log_lines = [len(node.text.splitlines()) for node in nodes]
    tell({"duties": len(due), "votes": len(decided), "log_lines": log_lines})
    found = [(duty["slot"], duty["type"], KINDS[(duty["slot"] - FIRST_SLOT) // 2]) for duty in lost]
    assert found == [], tails
    assert report["slashable"] == []
    assert len(decided) >= len(KINDS)
    assert unknown == [], "every head and target that was voted for is on the chain"
    assert max(log_lines) < LOG_LINES_PER_SLOT_MAX * last, "what lies does not fill the log"
    # Where two agreed before the liar answered, a node did not even hear it.
    assert any(f"beacon_node={liar.url}" in node.text for node in nodes), "the liar is named"
    for node in nodes:
        assert "Traceback" not in node.text, tails
