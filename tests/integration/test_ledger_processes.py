"""Goal: a federation's chain by real nodes, enclaves and sockets: a block each slot, final at once, whatever a node goes through.

Method: four nodes as processes with slots of two seconds; transfers are under way; one is killed and comes back, one comes
late with all blocks, one with a state, from one that forgets what is old; of one's keys a copy stands by, and goes on for it when
it is killed for good.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ledger_chain import LedgerProcess, account, members_chain
from tests.integration.processes import get_json, run_tetrarch, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

NODES = 4
SLOTS_PER_EPOCH = 10
SLOT_S = 2.0  # busy cores are no fault of the chain


def pay(node: LedgerProcess, key_file: Path, to: str, value: int, *, exit_code: int = 0) -> str:
    how = ("--key-file", key_file, "--folder", node.folder, "--url", node.url)
    ended = run_tetrarch("ledger", "send", to, value, *how)
    assert ended.exit_code == exit_code, ended.stderr
    return ended.stderr


def ancestors(node: LedgerProcess, count: int) -> list[dict[str, Any]]:
    """Final blocks, the newest first."""
    found = [node.block(node.status()["final"]["block"])]
    while len(found) < count and found[-1]["height"]:
        found.append(node.block(found[-1]["parent"]))
    return found


def dates(node: LedgerProcess) -> list[str]:
    """Of blocks that it made, and all have."""
    return [e["scheduled_at_date"] for e in node.logs() if e["outcome"] == "accepted"]


def test_a_chain_goes_on_whatever_its_nodes_go_through(
    tmp_path: Path, tell: Callable[[object], None]
) -> None:
    start_s = members_chain(
        tmp_path,
        NODES,
        start_in_s=20,
        shared=(NODES - 1,),
        parameters={
            "slots_per_epoch": SLOTS_PER_EPOCH,
            "slot_duration_ms": round(1000 * SLOT_S),
            "fees": {"constant": 2, "per_byte": 0},
        },
        grants={account(tmp_path / "alice"): 1000},
    )
    first = LedgerProcess("node0", tmp_path)
    nodes = [
        first,
        LedgerProcess("node1", tmp_path, "--prune", trusted=first.port),
        *(LedgerProcess(f"node{n}", tmp_path, trusted=first.port) for n in (2, 3)),
    ]
    fresh = LedgerProcess("fresh", tmp_path, "--with-state", trusted=nodes[1].port)
    late = LedgerProcess("late", tmp_path, trusted=first.port)
    standby = LedgerProcess("standby", tmp_path, trusted=first.port)
    shutil.copytree(nodes[3].folder / "ledger-keys", standby.folder / "ledger-keys")

    def sleep_until(slot: float) -> None:
        time.sleep(max(0.0, start_s + SLOT_S * slot - time.time()))

    with running(*nodes, standby):
        for node in (*nodes, standby):
            node.wait_alive()
        sleep_until(5)
        bob = account(tmp_path / "bob")
        for node in (first, nodes[1], first):
            pay(node, tmp_path / "alice", bob, 100)
        refused = pay(first, tmp_path / "bob", bob, 1, exit_code=65)
        assert "control_refused" in refused
        sleep_until(13.6)
        for node in nodes:
            told = node.status()
            assert told["tip"]["height"] >= 9, node.tail()
            assert told["final"]["height"] >= told["tip"]["height"] - 2, node.tail()
        made = ancestors(first, 20)
        assert len({each["maker"] for each in made[:-1]}) == NODES
        nodes[2].kill()
        sleep_until(18.6)
        alone = first.status()
        assert alone["final"]["height"] >= alone["tip"]["height"] - 2, "three of four are enough"
        nodes[2].start()
        holds, waits = sorted((nodes[3], standby), key=lambda each: not dates(each))
        assert not dates(waits)
        holds.kill()
        with running(late, fresh):
            sleep_until(36.6)
            everybody = [*nodes[:3], waits, late, fresh]
            heights = [node.final_height() for node in everybody]
            assert min(heights) >= max(heights) - 3, [node.tail() for node in everybody]
            block = late.block(late.status()["final"]["block"])
            for node in everybody:
                assert node.block(block["block"]) == block, "one chain"
            went_on = dates(waits)
            assert went_on, [entry for entry in waits.logs() if entry["outcome"] != "pending"]
            assert late.status()["votes"] is False
            assert late.status()["lowest_height"] == 0
            assert fresh.status()["lowest_height"] >= SLOTS_PER_EPOCH - 2, fresh.tail()
            assert nodes[1].status()["lowest_height"] > 0, nodes[1].tail()
            ended = [entry for entry in nodes[2].logs() if entry["outcome"] != "pending"]
            assert {entry["outcome"] for entry in ended} <= {"accepted", "rejected"}
            paid = get_json(f"{late.url}/ledger/account?id={bob}")
            assert (paid["value"], paid["waiting"]) == (300, 0)
            made = ancestors(first, 60)
            by_date = {each["date"] for each in made}
            assert len(by_date) == len(made), "no slot has two blocks"
            tell(
                f"{max(heights)} final blocks in 36 slots, with one of four nodes away for some 5, and "
                f"another replaced by a copy from {went_on[0]} on, killed in 1.8; "
                f"slots that are final behind the newest: {first.status()['blocks_not_final']}"
            )
        nodes[1].stop()
        genesis = ("--genesis", tmp_path / "block0")
        file = tmp_path / "state"
        for command in (
            ("check", nodes[1].folder, *genesis),
            ("check", fresh.folder, *genesis),
            ("export-state", nodes[1].folder, *genesis, "--out", file),
            ("import-state", file, tmp_path / "new", *genesis),
        ):
            done = run_tetrarch("ledger", *command)
            assert done.exit_code == 0, done.stderr
        for node in everybody:
            assert "Traceback" not in node.text, node.tail(60)
