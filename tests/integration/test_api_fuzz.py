"""Goal: whatever is asked of the validator API or the development chain, the answer is specified.

Method: drawn requests (see ``api_fuzz``), each sent to the validator API of a node of a running
cluster, which serves some endpoints itself and passes the others on, and to the chain. Every answer
must conform to the beacon API's description, and the chain and the cluster must go on meanwhile.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.api_fuzz import ENDLESS, Fuzz, Target
from tests.integration.processes import (
    Devchain,
    NodeProcess,
    create_cluster,
    get_json,
    running,
)
from tests.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

KEYS = range(8)
SLOTS_PER_EPOCH = 32
PRESET = ("--preset", "mainnet")  # the description gives lengths of the mainnet preset
EXAMPLES = 8
ENDPOINTS_MIN = 80
Tell = Callable[[object], None]


def pubkeys(url: str) -> tuple[str, ...]:
    rows = get_json(f"{url}/eth/v1/beacon/states/head/validators")["data"]
    return tuple(row["validator"]["pubkey"] for row in rows)


def told(target: Target) -> str:
    by_status = sum(target.statuses.values(), Counter[int]())
    return f"{by_status.total()} requests, by status {dict(sorted(by_status.items()))}"


def test_both_answer_as_specified(tmp_path: Path, tell: Tell) -> None:
    """Node 0 serves the API; the other three sign by themselves: duties are done meanwhile."""
    cluster = create_cluster(tmp_path, KEYS)
    # Drawing and judging requests takes a core: what is measured is not who gets the other one.
    chain = Devchain(tmp_path, *PRESET, validators=len(KEYS), slot_s=4, start_s=14)
    (port,) = free_ports(1)
    mode = ("--signing", "validator_client", "--validator-api-port", port)
    nodes = [NodeProcess(i, cluster, chain.url, *(() if i else mode)) for i in range(4)]
    with running(chain, *nodes):
        first = chain.settled_slot()
        node, itself = targets = (Target(f"http://127.0.0.1:{port}"), Target(chain.url))
        run = Fuzz(
            targets=targets,
            slot=lambda: int(chain.slot),
            slots_per_epoch=SLOTS_PER_EPOCH,
            pubkeys=pubkeys(chain.url),
            examples=EXAMPLES,
        )
        run.run()
        tell(f"validator API: {told(node)}; development chain: {told(itself)}")
        tell(f"no bodies drawn for {sorted(run.undrawn)}; not asked: {sorted(ENDLESS)}")
        for target in targets:
            assert target.faults == [], "\n".join(target.faults[:20])
            assert len(target.statuses) >= ENDPOINTS_MIN
        assert all(node.running for node in nodes), nodes[0].tail(60)
        until = int(chain.slot)
        chain.wait_slot(until + 2)  # it goes on
        report = chain.report()
    assert max(duty["slot"] for duty in report["duties"] if duty["status"] == "in_time") >= until
    judged = [duty for duty in report["duties"] if duty["slot"] >= first]
    missed = [duty for duty in judged if duty["status"] == "missed"]
    assert missed == [], "the other three are a quorum, whatever one of them is asked"
    assert report["slashable"] == []
    assert "Traceback" not in nodes[0].text, nodes[0].tail(80)
