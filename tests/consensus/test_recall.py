"""Goal: a node learns from its peers that it has forgotten its own words, and only from true ones.

Method: four nodes over a simulated network. Node 0 is under test, with the votes it has or has not
kept; its peers answer from what they heard, or lie.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import pytest
from tests.consensus.building import DUTY, PREPARE, ROUND_CHANGE, A, B
from tests.consensus.cluster import LIFE_S, Cluster, cluster, run

from tetrarch.consensus.codec import MessageInvalid, SignatureWrong
from tetrarch.consensus.messages import Envelope, Message, SignedMessage
from tetrarch.consensus.recall import STATEMENTS_MAX, Recall, RecallInvalid
from tetrarch.consensus.votes import MemoryVoteLog, Vote, VoteLog
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import TetrarchError
from tetrarch.network.ports import Topic
from tetrarch.network.requests import PeerSilent, Requests, Subject
from tetrarch.observability.logs import SilentLog
from tetrarch.sim.loop import EPOCH_S, SimClock
from tetrarch.sim.network import SimBus

LATER = Duty(DUTY.slot + 1, DutyType.ATTESTER)


def requests_on(bus: SimBus) -> Requests:
    return Requests(bus, entropy=Random(bus.own_index).randbytes, log=SilentLog())


def recall_on(
    world: Cluster,
    bus: SimBus,
    requests: Requests,
    *,
    votes: VoteLog | None = None,
    heard_from: Callable[[int], Sequence[SignedMessage]] = lambda _peer: (),
) -> Recall:
    return Recall(
        requests=requests,
        codec=world.codec(bus.own_index),
        votes=votes or MemoryVoteLog(),
        own_index=bus.own_index,
        clock=SimClock(asyncio.get_running_loop()),
        ends_s=lambda duty: world.end_s,
        heard_from=heard_from,
    )


def said(world: Cluster, *, duty: Duty = DUTY, round_: int = 2, source: int = 0) -> SignedMessage:
    return world.codec(source).sign(Message(ROUND_CHANGE, duty, source, round_))


async def kept(world: Cluster, *statements: SignedMessage) -> MemoryVoteLog:
    votes = MemoryVoteLog()
    codec = world.codec(0)
    for signed in statements:
        message = signed.message
        content = codec.encode_envelope(Envelope(signed))
        vote = Vote(
            duty=message.duty,
            round=message.round,
            type=message.type,
            value_hash=message.value_hash,
            content=content,
        )
        await votes.record((vote,))
    return votes


async def asked(
    world: Cluster, answers: Sequence[SignedMessage] | bytes | None, *known: SignedMessage
) -> tuple[Duty, ...]:
    """What node 0, who kept ``known``, learns from node 1, who answers so."""
    buses = [world.network.bus(node) for node in (0, 1)]
    ours, theirs = map(requests_on, buses)
    if isinstance(answers, bytes | None):

        async def answer(_peer: int, _question: bytes) -> bytes | None:
            return answers

        theirs.serve(Subject.OWN_STATEMENTS, answer)
    else:
        recall_on(world, buses[1], theirs, heard_from=lambda peer: answers if peer == 0 else ())
    recall = recall_on(world, buses[0], ours, votes=await kept(world, *known))
    running = [asyncio.ensure_future(bus.run()) for bus in buses]
    try:
        return await recall.forgotten(1)
    finally:
        for task in running:
            task.cancel()


def play(scenario: Callable[[Cluster], Awaitable[None]]) -> None:
    async def main() -> None:
        async with cluster(started=()) as world:
            await scenario(world)

    run(main)


def test_who_forgot_nothing_is_told_so() -> None:
    async def scenario(world: Cluster) -> None:
        assert await asked(world, ()) == ()
        assert await asked(world, (said(world),), said(world)) == ()

    play(scenario)


def test_forgotten_statement_is_proven_also_where_earlier_ones_are_known() -> None:
    async def scenario(world: Cluster) -> None:
        statements = (said(world, duty=LATER), said(world, round_=9))
        assert await asked(world, statements, said(world, round_=2)) == (LATER, DUTY)

    play(scenario)


def test_another_statement_in_the_same_round_is_a_forgotten_one() -> None:
    async def scenario(world: Cluster) -> None:
        ours, theirs = (
            world.codec(0).sign(Message(PREPARE, DUTY, 0, 1, value)) for value in (A, B)
        )
        assert await asked(world, (theirs,), ours) == (DUTY,)

    play(scenario)


def test_duty_that_is_over_does_not_count() -> None:
    """Its votes are dropped, and its deadline keeps the node silent anyway."""

    async def scenario(world: Cluster) -> None:
        world.end_s = EPOCH_S - 1
        assert await asked(world, (said(world),)) == ()

    play(scenario)


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        ("invented", SignatureWrong),
        ("another node's", RecallInvalid),
        ("cut off", RecallInvalid),
        ("too many", RecallInvalid),
        ("rubbish", MessageInvalid),
        ("nothing", PeerSilent),
    ],
)
def test_lies_are_not_believed(lie: str, error: type[TetrarchError]) -> None:
    async def scenario(world: Cluster) -> None:
        true = said(world)
        codec = world.codec(0)
        one = codec.encode_envelope(Envelope(true))
        answers: dict[str, Sequence[SignedMessage] | bytes | None] = {
            "invented": (SignedMessage(true.message, b"x" * 65),),
            "another node's": (said(world, source=1),),
            "cut off": one[:-1],
            "too many": one * (STATEMENTS_MAX + 1),
            "rubbish": b"\xff" * len(one),
            "nothing": None,
        }
        with pytest.raises(error):
            await asked(world, answers[lie])

    play(scenario)


def test_peers_keep_the_newest_statement_of_each_duty_in_any_order_of_arrival() -> None:
    async def scenario() -> None:
        async with cluster(started=(1,)) as world:
            speaker = world.network.bus(0)
            for signed in (said(world, round_=3), said(world, round_=2), said(world, duty=LATER)):
                payload = world.codec(0).encode([Envelope(signed)])
                speaker.send(1, Topic.CONSENSUS, payload)
                await asyncio.sleep(0.1)
            relayed = said(world, source=2, round_=5)
            speaker.send(1, Topic.CONSENSUS, world.codec(0).encode([Envelope(relayed)]))
            await asyncio.sleep(0.1)
            heard = world.nodes[1].component.heard_from(0)
            assert heard == (said(world, duty=LATER), said(world, round_=3))
            assert world.nodes[1].component.heard_from(2) == ()
            await asyncio.sleep(LIFE_S + 1)
            assert world.nodes[1].component.heard_from(0) == ()

    run(scenario)
