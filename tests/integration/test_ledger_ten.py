"""Goal: ten pools' nodes over the real overlay: each slot led by who is drawn for it, accepted by all, no slot twice by one key.

Method: processes with slots of a second, leaders by stake, epochs of 20 slots; 60 slots, or 600 (``make soak``). At the end each
node is asked for its leader's log and for its chain.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ledger_chain import LedgerProcess, pools_chain
from tests.integration.processes import running

NODES = 10
SLOTS_PER_EPOCH = 20
UP_S = 35.0  # until ten nodes are up
SETTLE_SLOTS = 6


def chain_of(node: LedgerProcess, upto: int) -> list[dict[str, Any]]:
    """The branch that counts, the newest first."""
    found = [node.block(node.status()["tip"]["block"])]
    while found[-1]["height"] and len(found) < upto:
        found.append(node.block(found[-1]["parent"]))
    return found


def slot_of(date: str) -> int:
    epoch, slot = map(int, date.split("."))
    return epoch * SLOTS_PER_EPOCH + slot


def live(folder: Path, slots: int, tell: Callable[[object], None]) -> None:
    parameters = {
        "coefficient_milli": 900,
        "slots_per_epoch": SLOTS_PER_EPOCH,
        "slots_per_kes_period": 15,
    }
    start_s = pools_chain(folder, NODES, start_in_s=UP_S, parameters=parameters)
    first = LedgerProcess("node0", folder)
    rest = (LedgerProcess(f"node{n}", folder, trusted=first.port) for n in range(1, NODES))
    nodes = [first, *rest]
    with running(*nodes):
        for node in nodes:
            node.wait_alive()
        assert time.time() < start_s, "the machine is too slow: the chain has begun"
        time.sleep(start_s + slots + SETTLE_SLOTS - time.time())
        entries = [
            {**entry, "node": node.name}
            for node in nodes
            for entry in node.logs()
            if slot_of(entry["scheduled_at_date"]) <= slots  # what comes later is under way
        ]
        chains = [{each["block"]: each for each in chain_of(node, slots + 99)} for node in nodes]
        finals = [node.final_height() for node in nodes]
    for node in nodes:
        for wrong in ("Traceback", "own_block_refused", "voter_contradicts_itself"):
            assert wrong not in node.text, node.tail(60)
    made = [entry for entry in entries if "Block" in entry["status"]]
    late = [entry for entry in entries if "Rejected" in entry["status"]]
    assert len(made) + len(late) == len(entries), "each slot that was drawn came to something"
    assert len(late) <= len(entries) // 10, late
    keys = [(entry["node"], entry["scheduled_at_date"]) for entry in entries]
    assert len(set(keys)) == len(keys), "no slot is led twice by one key"
    assert all(entry["outcome"] in {"accepted", "orphaned"} for entry in made)
    by_block = {entry["status"]["Block"]["block"]: entry for entry in made}
    counting = [
        each for each in chains[0].values() if each["height"] and slot_of(each["date"]) <= slots
    ]
    assert {each["block"] for each in counting} <= set(by_block), "nobody else made any"
    for each in counting:
        assert by_block[each["block"]]["scheduled_at_date"] == each["date"]
    dates = {each["date"] for each in counting}
    drawn = {entry["scheduled_at_date"] for entry in made}
    # A block that comes after the next one was begun is left beside: the machine is busy with other tests.
    assert len(drawn - dates) <= len(drawn) // 10, drawn - dates
    newest = max(len(chain) - 1 for chain in chains)
    assert min(finals) >= newest - 4
    # They are asked one after the other, while blocks go on: what is judged is of slots that are over.
    settled = [
        {block for block, each in chain.items() if slot_of(each["date"]) <= slots}
        for chain in chains
    ]
    assert all(each == settled[0] for each in settled), "all have one chain"
    tell(
        f"{len(entries)} slots drawn by {NODES} nodes in {slots} slots, {len(made)} blocks made, "
        f"{len(counting)} count, {len(late)} too late; first slots of epochs led: "
        f"{sum(date.endswith('.0') for date in dates)}; final {min(finals)} to {max(finals)} of {newest}"
    )


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_ten_pools_lead_sixty_slots(tmp_path: Path, tell: Callable[[object], None]) -> None:
    live(tmp_path, 60, tell)


@pytest.mark.soak
def test_ten_pools_lead_six_hundred_slots(tmp_path: Path, tell: Callable[[object], None]) -> None:
    live(tmp_path, 600, tell)
