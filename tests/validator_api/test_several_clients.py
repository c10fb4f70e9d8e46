"""Goal: several validator clients at one node, a standby among them, cannot make a share contradict itself.

Method: the API before the real ParSigDB, two clients that hold the same keys. The same data twice
is stored once; of different data for one duty the first stays and the second is told why.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.duties.duty_world import RecordingLog, database
from tests.ethereum.beacon_node.support import attestation_data, block
from tests.validator_api.test_aggregates import aggregate_of, message_of
from tests.validator_api.test_aggregates import decide as decide_aggregates
from tests.validator_api.test_aggregates import sign as sign_aggregate
from tests.validator_api.test_aggregates import submit as submit_aggregates
from tests.validator_api.test_attestations import attest
from tests.validator_api.test_attestations import submit as submit_attestations
from tests.validator_api.test_blocks import publish
from tests.validator_api.test_blocks import sign as sign_block
from tests.validator_api.test_exits import EXITS, leave
from tests.validator_api.test_selections import BEACON, SYNC, beacon, sync
from tests.validator_api.test_sync_committee import (
    CONTRIBUTIONS,
    HEAD,
    MESSAGES,
    OTHER_HEAD,
    vote,
)
from tests.validator_api.test_sync_committee import decide as decide_contributions
from tests.validator_api.test_sync_committee import sign as sign_contribution
from tests.validator_api.test_sync_committee import submit as submit_sync
from tests.validator_api.world import (
    OWN,
    SLOT,
    SLOTS_PER_EPOCH,
    FixedClock,
    Got,
    World,
    root_key,
    run_world,
)

from tetrarch.clock import Clock
from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.parsigdb import ParSigDB
from tetrarch.duties.types import Duty, DutyType, PartialSet, UnsignedAggregate

Submission = Callable[[World], Awaitable[Got]]


async def attested(world: World) -> Got:
    return await submit_attestations(world, attest(world, 1, world.agreed_attestation()[0]))


async def selected(world: World) -> Got:
    world.aggregated.is_complete.set()
    return await world.post(BEACON, [beacon(world, 1)])


async def sync_selected(world: World) -> Got:
    world.aggregated.is_complete.set()
    return await world.post(SYNC, [sync(world, 1, 3), sync(world, 1, 0)])


async def aggregated(world: World) -> Got:
    return await submit_aggregates(world, sign_aggregate(world, 1, decide_aggregates(world, 1)[0]))


async def voted(world: World, head: bytes = HEAD) -> Got:
    return await submit_sync(world, MESSAGES, vote(world, 1, head=head))


async def contributed(world: World) -> Got:
    (message,) = decide_contributions(world, (1, 3))
    return await submit_sync(world, CONTRIBUTIONS, sign_contribution(world, 1, message))


async def proposed(world: World) -> Got:
    agreed = block(world.fork, SLOT)
    world.decided.decide_block(agreed)
    return await publish(world, sign_block(world, agreed), version=2, ssz=False)


async def left(world: World, **changes: Any) -> Got:
    return await world.post(EXITS, leave(world, 3, **changes).to_json())


EVERYTHING: list[tuple[DutyType, Submission]] = [
    (DutyType.ATTESTER, attested),
    (DutyType.PREPARE_AGGREGATOR, selected),
    (DutyType.PREPARE_SYNC_CONTRIBUTION, sync_selected),
    (DutyType.AGGREGATOR, aggregated),
    (DutyType.SYNC_MESSAGE, voted),
    (DutyType.SYNC_CONTRIBUTION, contributed),
    (DutyType.PROPOSER, proposed),
    (DutyType.EXIT, left),
]


class Node:
    """A real ParSigDB behind the API, and what it sends on."""

    def __init__(self, world: World, clock: Clock | None = None) -> None:
        clock = clock or FixedClock()
        deadlines = Deadlines(chain=world.chain, clock=clock)
        self.partials = ParSigDB(
            storage=database(),
            threshold=3,
            clock=clock,
            is_open=deadlines.is_open,
            log=RecordingLog(),
        )
        self.stored: list[PartialSet] = []

        async def note(partial_set: PartialSet) -> None:
            self.stored.append(partial_set)

        self.partials.accepted.subscribe(note)
        world.api.submitted.subscribe(self.partials.store_internal)

    def own(self, duty_type: DutyType, slot: int = SLOT) -> PartialSet:
        if duty_type is DutyType.EXIT:
            slot = SLOT // SLOTS_PER_EPOCH * SLOTS_PER_EPOCH
        found = self.partials.own_partials(Duty(slot, duty_type), OWN)
        assert found is not None
        return found


@pytest.mark.parametrize(("duty_type", "submit"), EVERYTHING, ids=[str(e[0]) for e in EVERYTHING])
def test_the_same_from_two_clients_is_stored_once(duty_type: DutyType, submit: Submission) -> None:
    async def scenario(world: World) -> None:
        node = Node(world)
        first = await submit(world)
        known = node.own(duty_type)
        second = await submit(world)
        assert (first.status, second.status) == (200, 200)
        assert first.body == second.body
        assert len(node.stored) == 1
        assert node.own(duty_type) == known

    run_world(scenario)


async def attested_otherwise(world: World) -> Got:
    # What the cluster agreed on never changes; here it does, to reach ParSigDB.
    other = attestation_data(SLOT, 0, 9)
    world.decided.decide_attestation({0: other, 1: other})
    return await submit_attestations(world, attest(world, 1, other))


async def aggregated_otherwise(world: World) -> Got:
    message = replace(message_of(world.fork, 1), aggregate=aggregate_of(world.fork, 0, head=9))
    world.decided.decide(
        DutyType.AGGREGATOR, UnsignedAggregate(pubkey=root_key(1), message=message)
    )
    return await submit_aggregates(world, sign_aggregate(world, 1, message))


async def voted_otherwise(world: World) -> Got:
    return await voted(world, OTHER_HEAD)


async def proposed_otherwise(world: World) -> Got:
    other = block(world.fork, SLOT, proposer_index=4)
    world.decided.decide_block(other)
    return await publish(world, sign_block(world, other), version=2, ssz=False)


OTHERWISE: list[tuple[DutyType, Submission, Submission]] = [
    (DutyType.ATTESTER, attested, attested_otherwise),
    (DutyType.AGGREGATOR, aggregated, aggregated_otherwise),
    (DutyType.SYNC_MESSAGE, voted, voted_otherwise),
    (DutyType.PROPOSER, proposed, proposed_otherwise),
]


@pytest.mark.parametrize(
    ("duty_type", "first", "second"), OTHERWISE, ids=[str(e[0]) for e in OTHERWISE]
)
def test_of_different_data_for_one_duty_the_first_stays(
    duty_type: DutyType, first: Submission, second: Submission
) -> None:
    async def scenario(world: World) -> None:
        node = Node(world)
        assert (await first(world)).status == 200
        known = node.own(duty_type)
        got = await second(world)
        assert got.status == 400
        told = [got.message, *(each["message"] for each in got.value.get("failures", []))]
        assert "the key share has signed something else for duty" in "; ".join(told)
        assert node.own(duty_type) == known
        assert len(node.stored) == 1

    run_world(scenario)


def test_other_data_than_agreed_never_reaches_the_store() -> None:
    """A standby that asks a beacon node of its own signs what nobody agreed on."""

    async def scenario(world: World) -> None:
        node = Node(world)
        world.agreed_attestation()
        got = await submit_attestations(world, attest(world, 1, attestation_data(SLOT, 0, 9)))
        assert "not what the cluster agreed to attest" in got.value["failures"][0]["message"]
        assert node.stored == []

    run_world(scenario)
