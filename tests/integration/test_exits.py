"""Goal: three of four operators ask for an exit, and the chain lets the validator leave.

Method: a development chain and four node processes; operators use the commands, while nodes run,
are down, or are killed. Fewer than a threshold reach nothing. A new fee recipient likewise.
"""

import json
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

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NEW_RECIPIENT = "0x" + "ab" * 20


def validators(chain: Devchain) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get_json(f"{chain.url}/eth/v1/beacon/states/head/validators")[
        "data"
    ]
    return found


def ask(*arguments: object) -> str:
    ended = run_tetrarch(*arguments)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


def exits(node: NodeProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask("exit", "list", node.folder, "--json"))["exits"]
    return found


def test_three_of_four_operators_let_a_validator_leave(tmp_path: Path) -> None:
    cluster = create_cluster(tmp_path, range(4))
    chain = Devchain(
        tmp_path, "--exit-after-epochs", 0, "--self-run", "4..15", validators=16, start_s=14
    )
    nodes = [NodeProcess(index, cluster, chain.url) for index in range(4)]
    with running(chain, *nodes):
        chain.wait_slot(1)
        pubkey = validators(chain)[2]["validator"]["pubkey"]
        wanted = ("--validator", pubkey, "--epoch", 0, "--yes")
        ask("exit", "sign", nodes[0].folder, *wanted, "--broadcast")
        ask("exit", "sign", nodes[1].folder, *wanted)

        def known_to_two() -> bool:
            return [each["nodes"] for each in exits(nodes[3])] == [[0, 1]]

        wait_for("two operators' signatures at the fourth", known_to_two)
        nodes[0].kill()  # what it has asked for outlives it
        ask("exit", "sign", nodes[2].folder, *wanted)  # the threshold
        file = nodes[3].folder / "exits" / f"exit-{pubkey}.json"
        wait_for("the exit at a node that was not asked", file.exists)
        assert {each["validator"]["exit_epoch"] for each in validators(chain)} == {str(2**64 - 1)}
        told = exits(nodes[2])[0]
        assert (told["signed"], told["published"], told["nodes"]) == (True, False, [0, 1, 2])
        nodes[0].start()  # it was asked to publish

        def leaves() -> bool:
            return str(validators(chain)[2]["status"]) != "active_ongoing"

        wait_for("the exit on chain", leaves, timeout_s=90)
        others = [each["status"] for each in validators(chain) if each["index"] != "2"]
        assert set(others) == {"active_ongoing"}
        again = run_tetrarch("exit", "broadcast", file, "--beacon-node", chain.url, "--yes")
        assert again.exit_code == 69, again
        assert len(again.error_lines) == 1


def test_three_of_four_operators_change_whom_blocks_pay(tmp_path: Path) -> None:
    cluster = create_cluster(tmp_path, range(8))
    chain = Devchain(tmp_path, validators=8, slot_s=4.0, start_s=18)
    nodes = [NodeProcess(index, cluster, chain.url) for index in range(4)]
    with running(chain, *nodes):
        chain.wait_slot(2)
        wanted = ("--all", "--fee-recipient", NEW_RECIPIENT, "--yes")
        first = json.loads(ask("fee-recipient", "sign", nodes[0].folder, *wanted, "--json"))
        for node in nodes[1:3]:
            ask("fee-recipient", "sign", node.folder, *wanted, "--timestamp", first["timestamp"])

        def pays_new() -> bool:
            block = get_json(f"{chain.url}/eth/v2/beacon/blocks/head")["data"]["message"]["body"]
            payee: str = block["execution_payload"]["fee_recipient"]
            return payee == NEW_RECIPIENT

        wait_for("a block that pays the new address", pays_new)
        listed = json.loads(ask("fee-recipient", "list", nodes[3].folder, "--json"))
        assert {each["fee_recipient"] for each in listed["registrations"]} == {NEW_RECIPIENT}
        slot = int(chain.slot) + 1
        chain.wait_slot(slot + 4)
        duties = [d for d in chain.report()["duties"] if d["slot"] in range(slot, slot + 3)]
        assert [duty for duty in duties if duty["status"] == "missed"] == []
