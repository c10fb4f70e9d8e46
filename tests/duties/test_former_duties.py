"""Goal: a restart leaves no submitted duty without the chain's answer, and changes no other record."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tests.duties.duty_world import (
    CHAIN,
    RecordingLog,
    Validators,
    attestation_data,
    database,
    recorded,
    sleep_until,
)
from tests.duties.test_inclusion import Chain, Known, root_of

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.former_duties import FormerDuties
from tetrarch.duties.inclusion import Inclusion
from tetrarch.duties.report import DutyReport, InclusionReport, Outcome, Step, Verdict
from tetrarch.duties.report_store import ReportStore
from tetrarch.duties.types import (
    AttestationPayload,
    Duty,
    DutyType,
    SignedData,
    SignedDataSet,
)
from tetrarch.sim.loop import SimClock, simulate

VALIDATORS = Validators(2)
DUTY = Duty(9, DutyType.ATTESTER)
SUBMITTED = DutyReport(
    slot=9,
    type="attester",
    outcome=Outcome.DONE,
    validators=2,
    round=1,
    leader=2,
    at_ms={Step.SCHEDULED: 1.0, Step.SUBMITTED: 80.0},
)


class World:
    """What a former life left on disk, and the chain."""

    def __init__(self) -> None:
        self.clock = SimClock(asyncio.get_running_loop(), offset_s=12.0 * 20)
        self.chain = Chain(self.clock)
        storage = database()
        self.reports = ReportStore(storage=storage, report_of=lambda _: None, log=RecordingLog())
        self.aggregated = AggSigDB(storage=storage)
        self.former = FormerDuties(reports=self.reports, aggregated=self.aggregated)
        beacon_node: Any = self.chain
        self.inclusion = Inclusion(
            beacon_node=beacon_node,
            definitions=Known(),
            chain=CHAIN,
            clock=self.clock,
            log=RecordingLog(),
        )
        self.settled: list[InclusionReport] = recorded(self.inclusion.settled)

    async def submitted(self, report: DutyReport, *, head: bytes = b"h" * 32) -> None:
        """Of a former life: signed by the group, taken by the beacon node, noted as such."""
        duty = Duty(report.slot, DutyType[report.type.upper()])
        payload = AttestationPayload(data=attestation_data(duty.slot, head=head))
        items = tuple(
            SignedData(pubkey=pubkey, payload=payload, signature=b"s" * 96)
            for pubkey in VALIDATORS.pubkeys
        )
        await self.aggregated.store(SignedDataSet(duty=duty, items=items))
        await self.aggregated.note_submitted(SignedDataSet(duty=duty, items=items))
        self.reports.add(report)
        await self.reports.flush()

    async def resume(self, slot: int = 20) -> None:
        await self.former.resume(self.inclusion, now_slot=slot)

    async def answer(self, until_slot: int) -> DutyReport:
        for slot in range(20, until_slot):
            await sleep_until(slot, self.clock)
            await self.inclusion.check(slot)
        (answer,) = self.settled
        report = self.former.answered(answer)
        assert report is not None
        assert self.former.answered(answer) is None
        return report


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(World())

    simulate(main, seed="former")


def test_record_of_a_former_life_gets_the_chain_s_answer_and_keeps_the_rest() -> None:
    async def scenario(world: World) -> None:
        await world.submitted(SUBMITTED)
        await world.resume()
        assert world.former.knows(DUTY)
        report = await world.answer(22)
        assert report.inclusion is not None
        assert (report.inclusion.verdict, report.inclusion.included) == (Verdict.INCLUDED, 2)
        assert report == msgspec.structs.replace(SUBMITTED, ended=True, inclusion=report.inclusion)

    play(scenario)


@pytest.mark.parametrize(
    ("head", "reason"),
    [(b"x" * 32, "voted_for_another_head"), (root_of(9), "not_included_onchain")],
)
def test_what_the_chain_left_out_fails_as_it_would_have_without_a_restart(
    head: bytes, reason: str
) -> None:
    async def scenario(world: World) -> None:
        await world.submitted(SUBMITTED, head=head)
        await world.resume()
        report = await world.answer(43)
        assert (report.outcome, report.reason, report.ended) == (Outcome.FAILED, reason, True)

    play(scenario)


FOUND = InclusionReport(slot=9, type="attester", verdict=Verdict.INCLUDED, due=2, included=2)


@pytest.mark.parametrize(
    "report",
    [
        msgspec.structs.replace(SUBMITTED, ended=True),
        msgspec.structs.replace(SUBMITTED, outcome=Outcome.FAILED, reason="no_consensus"),
        msgspec.structs.replace(SUBMITTED, inclusion=FOUND),
        msgspec.structs.replace(SUBMITTED, outcome=Outcome.OPEN),
    ],
)
def test_records_that_need_no_answer_are_left_alone(report: DutyReport) -> None:
    async def scenario(world: World) -> None:
        await world.submitted(report)
        await world.resume()
        assert not world.former.knows(DUTY)
        assert not world.inclusion.is_open(DUTY)

    play(scenario)


def test_what_was_not_submitted_or_is_too_old_is_not_looked_for() -> None:
    async def scenario(world: World) -> None:
        world.reports.add(SUBMITTED)
        await world.reports.flush()
        await world.resume()
        assert not world.former.knows(DUTY)
        await world.submitted(SUBMITTED)
        await world.resume(60)
        assert not world.former.knows(DUTY)

    play(scenario)
