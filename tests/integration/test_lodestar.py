"""The real peers, and our two edges around them, before any cluster runs.

Goal: tell a broken installation, or a fault of the beacon node client and the validator API,
apart from a fault of the workflow.
"""

import asyncio
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.integration.lodestar import (
    ChainOptions,
    LodestarBeaconNode,
    LodestarValidatorClient,
    interop_secret_key,
    require_lodestar,
    running_beacon_node,
    running_clients,
)
from tests.validator_api.one_node import OneNode

from tetrarch.clock import SystemClock
from tetrarch.crypto.bls import SecretKey
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.beacon_node.client import connect_beacon_node
from tetrarch.observability.logs import LogLevel, build_log
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.ports import Ports
from tetrarch.validator_api.server import ValidatorApiServer

pytestmark = pytest.mark.integration
require_lodestar()

OPTIONS = ChainOptions(slot_s=2, validators=16, genesis_delay_s=20)
OURS = range(8)
THEIRS = range(8, 16)


def head_slot(answer: dict[str, Any]) -> int:
    return int(answer["data"]["header"]["message"]["slot"])


def test_real_node_and_client_make_blocks(tmp_path: Path) -> None:
    with running_beacon_node(tmp_path, OPTIONS) as node:
        client = LodestarValidatorClient("plain", tmp_path, node.url, OPTIONS, interop=range(16))
        with running_clients(client):
            node.wait_slot(4.5)
            head = head_slot(node.get("/eth/v1/beacon/headers/head"))
            assert head >= 3, f"{node.tail()}\n{client.tail()}"


def test_real_client_works_through_the_validator_api(tmp_path: Path) -> None:
    """One client on our API with half of the keys: its blocks are canonical, its votes counted.

    Method: three epochs; each attester duty of our keys in the second one must have come, each of
    our proposers' blocks must be in the chain, and the chain must have justified an epoch: with
    half of the votes missing it could not.
    """
    with running_beacon_node(tmp_path, OPTIONS) as node:
        asyncio.run(_through_the_api(node, tmp_path))


async def _through_the_api(node: LodestarBeaconNode, folder: Path) -> None:
    log_text = io.StringIO()
    log = build_log(log_text, clock=SystemClock(), level=LogLevel.DEBUG)
    keys = [SecretKey.from_bytes(interop_secret_key(i).to_bytes(32, "big")) for i in OURS]
    async with connect_beacon_node(node.url) as beacon_node:
        chain = await beacon_node.chain_spec()
        secrets = {key.public_key(): key for key in keys}
        one = OneNode(beacon_node, chain, tuple(secrets), secrets=secrets)
        ports = Ports(
            duties=one,
            decided=one,
            aggregated=one,
            proofs=one,
            keys=one,
            beacon_node=beacon_node,
            chain=chain,
            clock=SystemClock(),
            compute=one,
            entropy=system_entropy,
        )
        api = ValidatorApi(ports, version="test")
        api.submitted.subscribe(one.take)
        server = ValidatorApiServer(api, host="127.0.0.1", port=0, log=log)
        serving = asyncio.create_task(server.run())
        await server.listening.wait()
        ours = LodestarValidatorClient(
            "ours", folder, f"http://127.0.0.1:{server.bound_port}", OPTIONS, interop=OURS
        )
        theirs = LodestarValidatorClient("theirs", folder, node.url, OPTIONS, interop=THEIRS)
        try:
            with running_clients(ours, theirs):
                await asyncio.to_thread(node.wait_slot, 3 * 8 + 1.5)
            finality = await beacon_node.finality_checkpoints()
            told = f"{node.tail()}\n{ours.tail(80)}\n{log_text.getvalue()[-6000:]}"
            assert finality.current_justified.epoch >= 1, told
            due = one.due(epoch=1)
            assert len(due) == len(OURS), told
            assert due - one.attested == set(), told
            roots = {slot: await beacon_node.block_root(slot) for slot in one.proposed}
            assert roots == one.proposed, told
            assert len(one.proposed) >= 1, told
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
