"""A client against the fake node, and blocks of every fork."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.ethereum.beacon_node.fake_node import FakeBeaconNode, config, genesis

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient, connect_beacon_node
from tetrarch.ethereum.beacon_node.http import Timeouts
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork

Scenario = Callable[[FakeBeaconNode, BeaconNodeClient], Awaitable[None]]


def run_with_client(scenario: Scenario, *, timeouts: Timeouts | None = None) -> FakeBeaconNode:
    node = FakeBeaconNode()
    node.answers["GET /eth/v1/beacon/genesis"] = genesis()
    node.answers["GET /eth/v1/config/spec"] = config()

    async def main() -> None:
        async with node.running(), connect_beacon_node(node.url, timeouts=timeouts) as client:
            await scenario(node, client)

    asyncio.run(main())
    return node


def block(
    fork: Fork,
    slot: int,
    *,
    blinded: bool = False,
    reveal: bytes = bytes(96),
    transactions: tuple[bytes, ...] = (),
    **fields: Any,
) -> Proposal:
    """A block of ``fork``: the type's default with some fields set."""
    types = spec_types(fork, "minimal")
    contents = fork.at_least(Fork.DENEB) and not blinded
    inner = (types.BlindedBeaconBlock if blinded else types.BeaconBlock).default()
    body = inner.body.replace(randao_reveal=reveal, graffiti=b"tests".ljust(32, b"\0"))
    if transactions:
        payload = body.execution_payload.replace(transactions=transactions)
        body = body.replace(execution_payload=payload)
    inner = inner.replace(slot=slot, body=body, **{"proposer_index": 3, **fields})
    record = types.BlockContents.default().replace(block=inner) if contents else inner
    return Proposal.from_ssz(fork, blinded, record.encode(), preset="minimal")


def attestation_data(slot: int, index: int = 0, head: int = 1) -> AttestationData:
    epoch = slot // 8
    return AttestationData(
        slot=slot,
        index=index,
        beacon_block_root=bytes([head]) * 32,
        source=Checkpoint(epoch=max(epoch - 1, 0), root=b"s" * 32),
        target=Checkpoint(epoch=epoch, root=b"t" * 32),
    )
