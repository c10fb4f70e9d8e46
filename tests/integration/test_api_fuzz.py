"""Goal: whatever is asked of the validator API or the development chain, the answer is specified.

Method: drawn requests (see ``api_fuzz``) against a running chain, and against the validator API of
a node of a running cluster, which serves some endpoints itself and passes the others on. Every
answer must conform to the beacon API's description, and afterwards the cluster must still work.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.api_fuzz import ENDLESS, Fuzz
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


def fuzz(url: str, chain: Devchain, tell: Tell) -> Fuzz:
    run = Fuzz(
        url=url,
        slot=lambda: int(chain.slot),
        slots_per_epoch=SLOTS_PER_EPOCH,
        pubkeys=pubkeys(url),
        examples=EXAMPLES,
    )
    run.run()
    by_status: dict[int, int] = {}
    for statuses in run.statuses.values():
        for status, count in statuses.items():
            by_status[status] = by_status.get(status, 0) + count
    tell({"requests": sum(by_status.values()), "by_status": dict(sorted(by_status.items()))})
    tell(f"no bodies drawn for {sorted(run.undrawn)}; not asked: {sorted(ENDLESS)}")
    return run


def test_development_chain_answers_as_specified(tmp_path: Path, tell: Tell) -> None:
    chain = Devchain(tmp_path, *PRESET, "--self-run", "0..7", start_s=2)
    with running(chain):
        chain.wait_slot(3)
        run = fuzz(chain.url, chain, tell)
        assert run.faults == [], "\n".join(run.faults[:20])
        assert len(run.statuses) >= ENDPOINTS_MIN
        before = chain.report()
        chain.wait_slot(chain.slot + 2)
        assert chain.report() != before  # it goes on


def test_validator_api_answers_as_specified(tmp_path: Path, tell: Tell) -> None:
    """Node 0 serves it; the other three sign by themselves, so that duties are done meanwhile."""
    cluster = create_cluster(tmp_path, KEYS)
    # Drawing and judging requests takes a core: what is measured is not who gets the other one.
    chain = Devchain(tmp_path, *PRESET, validators=len(KEYS), slot_s=4, start_s=14)
    (port,) = free_ports(1)
    mode = ("--signing", "validator_client", "--validator-api-port", port)
    nodes = [NodeProcess(i, cluster, chain.url, *(() if i else mode)) for i in range(4)]
    with running(chain, *nodes):
        chain.wait_slot(2)
        run = fuzz(f"http://127.0.0.1:{port}", chain, tell)
        assert run.faults == [], "\n".join(run.faults[:20])
        assert len(run.statuses) >= ENDPOINTS_MIN
        assert all(node.running for node in nodes), nodes[0].tail(60)
        report = chain.report()
    late = [duty for duty in report["duties"] if duty["status"] == "missed" and duty["slot"] > 0]
    assert late == [], "the other three are a quorum, whatever one of them is asked"
    assert report["slashable"] == []
    assert "Traceback" not in nodes[0].text, nodes[0].tail(80)
