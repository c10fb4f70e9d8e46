"""Goal: whom an attested election names makes the chain's blocks, another goes on when it is killed, and who comes late can verify it all.

Method: four members of an election and four nodes of a chain as processes, one of each on each "machine". The leader's two
are killed at once. A node that knows of no election joins at the end.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ledger_chain import LedgerProcess, elected_chain
from tests.integration.processes import running, wait_for
from tests.integration.test_election_processes import Election
from tests.ports import free_ports

from tetrarch.election.documents import read_configuration

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

MEMBERS = 4
SLOT_S = 1.0
SLOTS_PER_EPOCH = 15
SLOTS_EACH = 10  # of a leader, before something happens


def blocks(node: LedgerProcess) -> list[dict[str, Any]]:
    """Final ones but the first, the oldest first."""
    found = [node.block(node.status()["final"]["block"])]
    while found[-1]["height"] > 1:
        found.append(node.block(found[-1]["parent"]))
    return found[::-1]


def slot_of(block: dict[str, Any]) -> int:
    epoch, slot = map(int, block["date"].split("."))
    return epoch * SLOTS_PER_EPOCH + slot


def test_who_is_elected_makes_the_blocks(tmp_path: Path, tell: Callable[[object], None]) -> None:
    monitoring = free_ports(MEMBERS)
    election = Election(
        tmp_path,
        MEMBERS,
        own_options=lambda place: ("--monitoring-port", str(monitoring[place])),
    )
    names = [member.name_in_list for member in election.members]
    with election.running():
        configuration = election.members[0].state / "election.json"

        def all_have_met() -> bool:
            known = configuration.exists() and read_configuration(configuration.read_bytes())
            return bool(known) and None not in known[1].raw  # type: ignore[index]

        wait_for("all keys in the configuration", all_have_met, timeout_s=60)
        start_s = elected_chain(
            tmp_path,
            names,
            configuration,
            start_in_s=15,
            parameters={
                "slots_per_epoch": SLOTS_PER_EPOCH,
                "slot_duration_ms": round(1000 * SLOT_S),
            },
        )
        nodes: list[LedgerProcess] = []
        for place in range(MEMBERS):
            trusted = nodes[0].port if nodes else None
            how = ("--election", f"http://127.0.0.1:{monitoring[place]}")
            nodes.append(LedgerProcess(f"node{place}", tmp_path, *how, trusted=trusted))
        with running(*nodes):
            for node in nodes:
                node.wait_alive()
            time.sleep(max(0.0, start_s + SLOTS_EACH * SLOT_S - time.time()))
            first = election.place_of(election.members[0].newest()["leader"])
            rest = [place for place in range(MEMBERS) if place != first]
            election.members[first].kill()
            nodes[first].kill()
            killed_slot = (time.time() - start_s) / SLOT_S
            time.sleep(SLOTS_EACH * SLOT_S)
            second = election.place_of(election.members[rest[0]].newest()["leader"])
            assert second != first
            observer = LedgerProcess("observer", tmp_path, trusted=nodes[rest[0]].port)
            with running(observer):
                observer.wait_alive()
                wait_for(
                    "the late one has the chain",
                    lambda: observer.final_height() >= nodes[rest[0]].final_height() - 2,
                    timeout_s=30,
                )
                made = blocks(observer)
            for place in rest:
                for wrong in ("Traceback", "own_block_refused", "election_refused"):
                    assert wrong not in nodes[place].text, nodes[place].tail(60)
    makers = [block["maker"] for block in made]
    changes = [height for height in range(1, len(makers)) if makers[height] != makers[height - 1]]
    (changed,) = changes
    before, after = made[:changed], made[changed:]
    assert len(before) >= SLOTS_EACH - 4, "each slot has the leader's block, from when it was told"
    gap_slots = slot_of(after[0]) - killed_slot
    assert len(after) >= SLOTS_EACH - 6
    tell(
        f"{len(before)} blocks by the first leader, killed in slot {killed_slot:.1f}; {len(after)} by the"
        f" second, from {gap_slots:.1f} slots later on; all verified by one that came late"
    )
