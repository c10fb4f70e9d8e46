"""Goal: all duties of five epochs, in every fork, where the nodes sign by themselves.

Method: four nodes with their enclaves over a development chain. One validator waits in the queue
and becomes active on the way, another leaves: three of four operators ask for its exit, and for
another fee recipient, while the nodes run. What each enclave signed must be what was due.
"""

import json
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
from tests.integration.whole_epochs import (
    SLOT_S,
    SLOTS,
    SLOTS_PER_EPOCH,
    SYNC_MEMBERS,
    check_every_duty,
    records_of,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

KEYS = range(9)  # one for each slot of an epoch, and one that comes later or leaves
JOINS, JOINS_IN_EPOCH = 8, 3
# It leaves MAX_SEED_LOOKAHEAD + 1 epochs after the one of the block that has its exit: in epoch 5,
# unless a crowded host has held up the operators. In the sync committee it goes on.
LEAVES = 2
NEVER = 2**64 - 1
NEW_RECIPIENT = "0x" + "ab" * 20


@pytest.mark.parametrize("fork", ["altair", "deneb", "electra", "fulu"])
def test_all_duties(tmp_path: Path, tell: Callable[[object], None], fork: str) -> None:
    cluster = create_cluster(tmp_path, KEYS)
    chain = Devchain(
        tmp_path,
        *("--activate-later", f"{JOINS}@{JOINS_IN_EPOCH}", "--exit-after-epochs", 0),
        *SYNC_MEMBERS,
        validators=len(KEYS),
        start_s=10,
        fork=fork,
        slot_s=SLOT_S,
    )
    nodes = [NodeProcess(index, cluster, chain.url) for index in range(4)]
    with running(chain, *nodes):
        pubkeys = [each["validator"]["pubkey"] for each in _validators(chain)]
        assert _validators(chain)[JOINS]["status"] == "pending_queued"
        _ask_for_exit(nodes[:3], pubkeys[LEAVES])
        _ask_for_recipient(nodes[1:])
        _check_lasting(nodes, "exit")
        _check_lasting(nodes, "builder_registration")
        wait_for("the exit on chain", lambda: _leaves_in_epoch(chain) < NEVER)
        epochs = range(1, _leaves_in_epoch(chain) + 1)
        slots = range(SLOTS.start, epochs.stop * SLOTS_PER_EPOCH)
        assert len(slots) >= len(SLOTS)
        # Old partials are deleted after a while: look for the one that is too early now.
        chain.wait_slot(JOINS_IN_EPOCH * SLOTS_PER_EPOCH + 1)
        for node in nodes:
            _check_nothing_signed_before(node, pubkeys[JOINS])
        chain.wait_slot(slots.stop + 1.9)
        done = check_every_duty(chain, nodes, slots)
        if fork != "altair":  # it has no payloads
            assert {_payee(chain, slot) for slot in slots[SLOTS_PER_EPOCH:]} == {NEW_RECIPIENT}
    for node in nodes:
        assert _voted(node, pubkeys, epochs) == _due(epochs), node.name
    tell(f"{done}; 1 builder_registration, 1 exit: {LEAVES} left in epoch {epochs[-1]}")


def _validators(chain: Devchain) -> list[dict[str, Any]]:
    url = f"{chain.url}/eth/v1/beacon/states/head/validators"
    found: list[dict[str, Any]] = get_json(url)["data"]
    return found


def _leaves_in_epoch(chain: Devchain) -> int:
    return int(_validators(chain)[LEAVES]["validator"]["exit_epoch"])


def _due(epochs: range) -> set[tuple[int, int]]:
    """Who has a vote in which of ``epochs``; in the last one a validator has left."""
    since, until = {JOINS: JOINS_IN_EPOCH}, {LEAVES: epochs.stop - 1}
    return {
        (epoch, index)
        for epoch in epochs
        for index in KEYS
        if since.get(index, 0) <= epoch < until.get(index, epochs.stop)
    }


def _voted(node: NodeProcess, pubkeys: list[str], epochs: range) -> set[tuple[int, int]]:
    """The epoch and the validator of every vote of ``epochs`` that the node's enclave signed."""
    rows = node.rows("enclave", "SELECT target, pubkey FROM slashing_vote")
    return {(epoch, pubkeys.index("0x" + key.hex())) for epoch, key in rows if epoch in epochs}


def _check_nothing_signed_before(node: NodeProcess, pubkey: str) -> None:
    """Of a validator, no node's partial is for a slot before its activation; of others some are."""
    query = f"SELECT min(slot) FROM parsigdb WHERE pubkey {{}} x'{pubkey[2:]}' AND duty_type NOT IN (4, 6)"
    ((others,),) = node.rows("node", query.format("!="))
    ((own,),) = node.rows("node", query.format("="))
    assert others < SLOTS.start + SLOTS_PER_EPOCH
    assert own is None or own >= JOINS_IN_EPOCH * SLOTS_PER_EPOCH, node.tail(60)


def _ask(*arguments: object) -> str:
    ended = run_tetrarch(*arguments)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


def _ask_for_exit(nodes: list[NodeProcess], pubkey: str) -> None:
    wanted = ("--validator", pubkey, "--epoch", 0, "--yes", "--broadcast")
    for node in nodes:
        _ask("exit", "sign", node.folder, *wanted)


def _ask_for_recipient(nodes: list[NodeProcess]) -> None:
    wanted = ["--all", "--fee-recipient", NEW_RECIPIENT, "--yes", "--json"]
    for node in nodes:
        asked = json.loads(_ask("fee-recipient", "sign", node.folder, *wanted))
        wanted += [] if "--timestamp" in wanted else ["--timestamp", asked["timestamp"]]


def _check_lasting(nodes: list[NodeProcess], kind: str) -> None:
    """What operators asked for is signed by the group, and every node has it."""

    def is_done() -> bool:
        found = [records_of(node, kind, range(SLOTS.stop)) for node in nodes]
        return all(len(each) == 1 and "aggregated" in each[0]["at_ms"] for each in found)

    wait_for(f"{kind} at all nodes", is_done, timeout_s=2 * SLOTS_PER_EPOCH * SLOT_S)


def _payee(chain: Devchain, slot: int) -> str:
    block = get_json(f"{chain.url}/eth/v2/beacon/blocks/{slot}")["data"]["message"]["body"]
    payee: str = block["execution_payload"]["fee_recipient"]
    return payee
