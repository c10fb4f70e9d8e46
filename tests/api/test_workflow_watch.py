"""What the workflow tells at once under the reference's names."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.duties.duty_world import CHAIN, FixedClock, Validators

from tetrarch.api.workflow_watch import PROTOCOL, TIMER, WorkflowWatch
from tetrarch.consensus.ports import Decided
from tetrarch.duties.errors import FeeRecipientWrong
from tetrarch.duties.timing import start_s
from tetrarch.duties.types import Duty, DutyType, PartialSet
from tetrarch.observability.metrics import Metrics
from tetrarch.output import Handler

DUTY = Duty(9, DutyType.ATTESTER)
LABELS = {"duty": "attester"}
VALIDATORS = Validators(2)


class World:
    def __init__(self, *, late_s: float = 0.0) -> None:
        self.metrics = Metrics()
        clock = FixedClock(start_s(DUTY, CHAIN) + late_s)
        self.watch = WorkflowWatch(self.metrics, chain=CHAIN, clock=clock)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


async def emit(handlers: Sequence[Handler[PartialSet]], value: PartialSet) -> None:
    for handler in handlers:
        await handler(value)


def test_slots_are_shown_and_skipped_ones_counted() -> None:
    world = World()
    for slot in (9, 10, 13):
        asyncio.run(world.watch.slot_began(slot))
    assert world.value("core_scheduler_current_slot") == 13
    assert world.value("core_scheduler_current_epoch") == 13 // CHAIN.slots_per_epoch
    assert world.value("core_scheduler_skipped_slots_total") == 2


def test_decision_is_shown_with_round_leader_and_duration() -> None:
    world = World()
    decided = Decided(duty=DUTY, value=b"v", round=2, leader=3, started_s=5.0, decided_s=5.25)
    asyncio.run(world.watch.decided(decided))
    name = {"protocol": PROTOCOL, "duty": "attester"}
    assert world.value("core_consensus_decided_leader_index", **name) == 3
    name["timer"] = TIMER
    assert world.value("core_consensus_decided_rounds", **name) == 2
    assert world.value("core_consensus_duration_seconds_sum", **name) == 0.25


def test_partials_and_submissions_are_timed_from_the_start_of_the_duty() -> None:
    world = World(late_s=1.5)
    partials = VALIDATORS.partials(3)
    asyncio.run(world.watch.partials_accepted(partials))
    asyncio.run(world.watch.submitted(partials))
    stored = world.value("core_parsigdb_store_sum", duty="attester", peer_idx="3")
    assert stored == pytest.approx(1.5)
    assert world.value("core_bcast_broadcast_delay_seconds_sum", **LABELS) == pytest.approx(1.5)
    assert world.value("core_bcast_broadcast_total", **LABELS) == 1


def test_combining_is_timed_and_other_edges_are_left_alone() -> None:
    world, partials = World(), VALIDATORS.partials(3)
    seen = []

    async def handle(value: object) -> None:
        seen.append(value)

    handlers = [world.watch.around("parsigdb>sigagg.aggregate", handle)]
    asyncio.run(emit(handlers, partials))
    assert world.value("core_sigagg_slot_aggregation_seconds_count", **LABELS) == 1
    assert world.watch.around("consensus>dutydb.store", handle) is handle
    assert seen == [partials]


def test_block_that_would_pay_another_is_shown_until_one_is_right() -> None:
    world, partials = World(), VALIDATORS.partials(3)

    async def refuse(_value: object) -> None:
        raise FeeRecipientWrong("produce block", slot=9)

    with pytest.raises(FeeRecipientWrong):
        asyncio.run(emit([world.watch.around("scheduler>fetcher.fetch", refuse)], partials))
    assert world.value("core_fetcher_proposal_local_mismatch_fee_recipient") == 1
