"""Goal: a duty is told from all nodes' records, and no peer's answer is more than its word.

Method: real trackers, stores and requests over the simulated network; hostile peers answer bytes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.duties.duty_world import CHAIN, FixedClock, RecordingLog, database
from tests.duties.test_report import REPORT

from tetrarch.duties.report import Outcome, Step, encode_report
from tetrarch.duties.report_store import ReportStore
from tetrarch.duties.stories import (
    ANSWER_SIZE_BYTES_MAX,
    ASK_TIMEOUT_S,
    DutyStories,
    NodeStory,
    Story,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)
from tetrarch.duties.tracker import Cluster, Tracker
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import InputInvalid
from tetrarch.network.requests import Requests, Subject
from tetrarch.sim.loop import simulate
from tetrarch.sim.network import Faults, SimNetwork
from tetrarch.sim.trace import Trace

DUTY = Duty(9, DutyType.ATTESTER)
RANDAO, PROPOSER = Duty(9, DutyType.RANDAO), Duty(9, DutyType.PROPOSER)


class Node:
    def __init__(self, requests: Requests, index: int, *, serves: bool) -> None:
        log = RecordingLog()
        self.tracker = Tracker(
            chain=CHAIN, clock=FixedClock(), cluster=Cluster(3, "node{}".format), log=log
        )
        self.store = ReportStore(storage=database(), report_of=self.tracker.report_of, log=log)
        self.requests = requests
        if serves:
            self.stories = DutyStories(
                tracker=self.tracker,
                store=self.store,
                requests=requests,
                own_index=index,
                peers=tuple(peer for peer in range(3) if peer != index),
                name_of="node{}".format,
            )


class World:
    """Three nodes; the last answers whatever ``lie`` says, if anything."""

    def __init__(self, lie: Callable[[int, bytes], Awaitable[bytes | None]] | None = None) -> None:
        network = SimNetwork(
            node_count=3, faults=Faults(), rng=Random(1), trace=Trace(), messages_max=999
        )
        self.buses = [network.bus(node) for node in range(3)]
        self.nodes = [
            Node(
                Requests(bus, entropy=Random(node).randbytes, log=RecordingLog()),
                node,
                serves=node < 2 or lie is None,
            )
            for node, bus in enumerate(self.buses)
        ]
        if lie is not None:
            self.nodes[2].requests.serve(Subject.DUTY_STORY, lie)

    async def explain(self, duty: Duty) -> Story:
        async with asyncio.TaskGroup() as tasks:
            serving = [tasks.create_task(bus.run()) for bus in self.buses]
            story = await self.nodes[0].stories.explain(duty)
            for task in serving:
                task.cancel()
        return story


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    simulate(scenario, seed="stories")  # type: ignore[arg-type]  # a coroutine function


def test_story_has_every_nodes_record_from_memory_or_disk() -> None:
    async def main() -> None:
        world = World()
        world.nodes[0].tracker.passed(DUTY, Step.SCHEDULED)
        world.nodes[1].tracker.passed(DUTY, Step.FETCHED)
        world.nodes[2].store.add(REPORT)
        await world.nodes[2].store.flush()
        story = await world.explain(DUTY)
        assert [node.name for node in story.nodes] == ["node0", "node1", "node2"]
        assert [node.is_own for node in story.nodes] == [True, False, False]
        steps = [set(node.reports[0].at_ms) for node in story.nodes]
        assert steps == [{Step.SCHEDULED}, {Step.FETCHED}, {Step.SCHEDULED, Step.FETCHED}]
        assert story.nodes[2].reports == (REPORT,)

    play(main)


def test_duty_comes_with_those_that_it_rests_on() -> None:
    async def main() -> None:
        world = World()
        for node in world.nodes:
            node.tracker.passed(PROPOSER, Step.SCHEDULED)
            node.tracker.passed(RANDAO, Step.SIGNED)
        story = await world.explain(PROPOSER)
        for told in story.nodes:
            assert [report.name for report in told.reports] == ["9/proposer", "9/randao"]

    play(main)


def test_node_that_knows_nothing_or_is_silent_is_told_apart() -> None:
    async def silent(_peer: int, _body: bytes) -> bytes | None:
        await asyncio.sleep(2 * ASK_TIMEOUT_S)
        return None

    async def main() -> None:
        world = World(silent)
        world.nodes[0].tracker.passed(DUTY, Step.SCHEDULED)
        story = await world.explain(DUTY)
        assert story.nodes[1].trouble == "nothing known"
        assert story.nodes[2].trouble == f"no answer within {ASK_TIMEOUT_S:g} s"
        assert story.nodes[0].reports

    play(main)


OTHER = msgspec.structs.replace(REPORT, slot=10)
LIES = [
    b"",
    b"\xc1",
    b"\x90" * 100,
    bytes(ANSWER_SIZE_BYTES_MAX + 1),
    msgspec.msgpack.encode([b"rubbish"]),
    msgspec.msgpack.encode([encode_report(OTHER)]),  # about another duty
    msgspec.msgpack.encode([encode_report(REPORT)] * 2),
    msgspec.msgpack.encode([encode_report(REPORT)] * 4),
    msgspec.msgpack.encode(["text"]),
    msgspec.msgpack.encode({"reports": []}),
    msgspec.msgpack.encode([msgspec.msgpack.encode({"slot": 9, "type": "attester\x1b[31m"})]),
]


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
def test_answer_that_is_none_costs_its_sender_its_word_alone(lie: bytes) -> None:
    async def lying(_peer: int, _body: bytes) -> bytes | None:
        return lie

    async def main() -> None:
        world = World(lying)
        for node in world.nodes[:2]:
            node.tracker.passed(DUTY, Step.SCHEDULED)
        story = await world.explain(DUTY)
        assert story.nodes[0].reports
        assert story.nodes[1].reports
        assert story.nodes[2].reports == ()
        assert story.nodes[2].trouble.startswith("its answer is not understood")
        assert story.nodes[2].trouble.isprintable()

    play(main)


def test_well_formed_lie_is_shown_as_the_peers_word_and_changes_no_record() -> None:
    flattering = msgspec.structs.replace(REPORT, outcome=Outcome.DONE, reason="")

    async def lying(_peer: int, _body: bytes) -> bytes | None:
        return encode_answer((flattering,))

    async def main() -> None:
        world = World(lying)
        own = world.nodes[0].tracker
        own.passed(DUTY, Step.SCHEDULED)
        before = own.report_of(DUTY)
        story = await world.explain(DUTY)
        assert story.nodes[2].reports == (flattering,)
        assert not story.nodes[2].is_own
        assert own.report_of(DUTY) == before
        assert await world.nodes[0].store.find(DUTY) is None

    play(main)


@pytest.mark.parametrize(
    "body", [b"", b"x" * 8, b"x" * 10, encode_question(DUTY)[:-1] + b"\x63", b"\xff" * 8 + b"\x02"]
)
def test_question_that_is_none_is_not_answered(body: bytes) -> None:
    async def main() -> None:
        assert await World().nodes[0].stories.answer(1, body) is None

    play(main)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_refused(body: bytes) -> None:
    try:
        reports = decode_answer(body, DUTY)
    except InputInvalid:
        return
    assert decode_answer(encode_answer(reports), DUTY) == reports


def test_question_and_story_survive_the_wire() -> None:
    for duty in (DUTY, PROPOSER, Duty(2**63 - 1, DutyType.SYNC_CONTRIBUTION)):
        assert decode_question(encode_question(duty)) == duty
    node = NodeStory(peer=1, name="node1", reports=(REPORT,))
    story = Story(slot=9, type="attester", nodes=(node,))
    decoded: Any = msgspec.json.decode(msgspec.json.encode(story), type=Story)
    assert decoded == story
