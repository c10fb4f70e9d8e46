"""The real peers alone: the installed beacon node and validator client make a chain.

Goal: tell a broken installation apart from a fault of ours, before any cluster runs.
Method: one node, one client with all keys, until the head moved past slot 3.
"""

from pathlib import Path
from typing import Any

import pytest
from tests.integration.lodestar import (
    ChainOptions,
    LodestarValidatorClient,
    require_lodestar,
    running_beacon_node,
    running_clients,
)

pytestmark = pytest.mark.integration
require_lodestar()


def head_slot(answer: dict[str, Any]) -> int:
    return int(answer["data"]["header"]["message"]["slot"])


def test_real_node_and_client_make_blocks(tmp_path: Path) -> None:
    options = ChainOptions(slot_s=2, validators=16, genesis_delay_s=20)
    with running_beacon_node(tmp_path, options) as node:
        client = LodestarValidatorClient("plain", tmp_path, node.url, options, interop=range(16))
        with running_clients(client):
            node.wait_slot(4.5)
            head = head_slot(node.get("/eth/v1/beacon/headers/head"))
            assert head >= 3, f"{node.tail()}\n{client.tail()}"
