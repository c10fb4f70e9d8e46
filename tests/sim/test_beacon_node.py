"""Simulated beacon nodes: the one truth, shown late or wrongly as their faults say."""

import asyncio
from random import Random

import pytest

from tetrarch.duties.types import DutyType, PubKey
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import (
    BUILDER_BOOST_NEVER,
    AttestationSubmission,
    BlockRequest,
)
from tetrarch.ethereum.spec.proposals import sign_proposal
from tetrarch.ethereum.spec.values import Fork
from tetrarch.sim.beacon_node import BeaconFaults, SimBeaconNode
from tetrarch.sim.chain import (
    FIRST_EPOCH,
    MAIN,
    SLOTS_PER_EPOCH,
    SimChain,
    Submission,
)
from tetrarch.sim.loop import SimClock, simulate

PUBKEYS = tuple(PubKey(bytes([number]) * 48) for number in (1, 2, 3))
SLOT = (FIRST_EPOCH + 2) * SLOTS_PER_EPOCH + 3


def beacon_node(chain: SimChain, faults: BeaconFaults | None = None) -> SimBeaconNode:
    clock = SimClock(asyncio.get_running_loop())
    node = SimBeaconNode(chain, node=1, label="1", clock=clock, rng=Random(1))
    node.faults = faults or BeaconFaults()
    return node


def test_answers_agree_with_the_chain_and_may_fail() -> None:
    chain = SimChain(1, PUBKEYS)

    async def main() -> None:
        node = beacon_node(chain)
        duties = await node.attester_duties(FIRST_EPOCH, (10, 11, 12, 99))
        assert [duty.pubkey for duty in duties.duties] == list(PUBKEYS)
        proposers = await node.proposer_duties(FIRST_EPOCH)
        assert all(
            chain.proposer(duty.slot) == duty.validator_index - 10 for duty in proposers.duties
        )
        assert await node.attestation_data(SLOT, 0) == chain.attestation_data(
            SLOT, lag=0, branch=MAIN
        )
        node.faults = BeaconFaults(view_error_rate=1.0)
        with pytest.raises(BeaconNodeUnreachable):
            await node.attestation_data(SLOT, 0)
        assert len(await node.validators(PUBKEYS)) == 3
        node.faults = BeaconFaults(error_rate=1.0)
        with pytest.raises(BeaconNodeUnreachable):
            await node.validators(PUBKEYS)

    simulate(main, seed=1)


def test_submissions_are_seen_with_node_duty_and_time() -> None:
    chain = SimChain(1, PUBKEYS)
    seen: list[Submission] = []
    chain.taps.append(seen.append)
    slot = next(slot for slot in range(SLOT, SLOT + 100) if chain.proposer(slot) == 1)

    async def main() -> None:
        node = beacon_node(chain)
        data = chain.attestation_data(SLOT, lag=0, branch=MAIN)
        submission = AttestationSubmission(
            data=data,
            signature=b"a" * 96,
            validator_index=12,
            committee_index=0,
            committee_length=32,
            validator_committee_index=2,
        )
        await node.submit_attestations(Fork.ELECTRA, (submission,))
        request = BlockRequest(
            slot=slot,
            randao_reveal=bytes(96),
            graffiti=bytes(32),
            builder_boost_factor=BUILDER_BOOST_NEVER,
        )
        first, second = await node.produce_block(request), await node.produce_block(request)
        assert first.header.body_root != second.header.body_root
        await node.publish_block(sign_proposal(first, b"b" * 96))

    simulate(main, seed=1)
    assert seen == chain.submissions
    vote, block = seen
    assert (vote.node, vote.duty.type, vote.pubkey) == (1, DutyType.ATTESTER, PUBKEYS[2])
    assert (block.duty.slot, block.duty.type, block.pubkey) == (slot, DutyType.PROPOSER, PUBKEYS[1])
    assert 0 < vote.at_s < block.at_s
