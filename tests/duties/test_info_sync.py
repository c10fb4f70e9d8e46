"""Nodes exchange what they can do, propose and judge ballots, and keep what was decided.

The network is simulated; consensus between nodes is the simulator's matter (``tests/sim``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from tests.duties.duty_world import CHAIN, database
from tests.network.mesh_world import RecordingLog

from tetrarch.consensus.events import Verdict
from tetrarch.consensus.messages import faulty_max, quorum
from tetrarch.consensus.ports import Decided
from tetrarch.consensus.priority import PriorityCodec, SignedStatement, Statement, Topic
from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.features import topics_of
from tetrarch.duties.info_sync import (
    OPEN_MAX,
    Agenda,
    Ballot,
    InfoSync,
    OwnAbilities,
    TooFewStatements,
)
from tetrarch.duties.types import DefinitionSet, Duty, DutyType
from tetrarch.network.requests import PeerSilent, Requests, Subject
from tetrarch.network.versions import Versions
from tetrarch.sim.identities import ModelIdentity
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.sim.network import Faults, SimNetwork
from tetrarch.sim.trace import Trace
from tetrarch.storage.inline import InlineDatabase

LAST = CHAIN.slots_per_epoch - 1
DUTY = Duty(LAST, DutyType.INFO_SYNC)
NEXT = Duty(LAST + CHAIN.slots_per_epoch, DutyType.INFO_SYNC)
SLOT_S = CHAIN.slot_duration_ms / 1000
OLD = Versions(protocol_min=1, protocol=1)
NEW = Versions(protocol_min=1, protocol=2, features=("shiny",))


def codec(own: int, node_count: int = 4) -> PriorityCodec:
    return PriorityCodec(
        identity=ModelIdentity(seed=1, own_index=own), cluster_id=bytes(32), node_count=node_count
    )


class Member:
    """One node's info sync on the network; ``storage`` outlives it."""

    def __init__(
        self,
        network: SimNetwork,
        index: int,
        *,
        versions: Versions = NEW,
        builder_api: bool = False,
        storage: InlineDatabase | None = None,
        offset_s: float = LAST * SLOT_S,
    ) -> None:
        self.bus = network.bus(index)
        self.log = RecordingLog()
        self.storage = storage or database()
        self.clock = SimClock(asyncio.get_running_loop(), offset_s=offset_s)
        self.lacking: set[str] = set()
        self.requests = Requests(self.bus, entropy=bytes, log=self.log)
        self.sync = InfoSync(
            own=OwnAbilities(
                versions=versions,
                builder_api=builder_api,
                own_index=index,
                node_count=4,
                needed=quorum(4),
                complete_rounds=faulty_max(4),
            ),
            codec=codec(index),
            requests=self.requests,
            storage=self.storage,
            agenda=Agenda(chain=CHAIN, clock=self.clock),
            log=self.log,
            lacks=self.lacking.__contains__,
        )
        self.proposed: list[Ballot] = []
        self.sync.proposed.subscribe(self._note)

    async def _note(self, ballot: Ballot) -> None:
        self.proposed.append(ballot)

    async def negotiate(self, duty: Duty = DUTY) -> None:
        await self.sync.negotiate(DefinitionSet(duty=duty, definitions=()))

    def sources(self, ballot: Ballot) -> list[int]:
        return [s.statement.source for s in codec(0).decode_ballot(ballot.duty, ballot.value)]


class World:
    def __init__(self) -> None:
        self.trace = Trace()
        self.network = SimNetwork(
            node_count=4,
            faults=Faults(),
            rng=Random(1),
            trace=self.trace,
            messages_max=10_000,
        )

    def member(self, index: int, **settings: Any) -> Member:
        return Member(self.network, index, **settings)


def play(
    scenario: Callable[[World], Awaitable[None]],
) -> None:
    async def main() -> None:
        await scenario(World())

    simulate(main, seed="info-sync")


async def serving(members: list[Member], *works: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as tasks:
        buses = [tasks.create_task(member.bus.run()) for member in members]
        try:
            async with asyncio.TaskGroup() as inner:
                for work in works:
                    inner.create_task(work)
        finally:
            for bus in buses:
                bus.cancel()


def signed(
    source: int, versions: Versions = NEW, *, builder: bool = False, duty: Duty = DUTY
) -> SignedStatement:
    return codec(source).sign(Statement(duty, source, topics_of(versions, builder_api=builder)))


def ballot(*statements: SignedStatement, duty: Duty = DUTY) -> bytes:
    return codec(0).encode_ballot(duty, statements)


def decided(*statements: SignedStatement, duty: Duty = DUTY) -> Decided:
    value = ballot(*statements, duty=duty)
    return Decided(duty=duty, value=value, round=1, leader=0, started_s=0.0, decided_s=0.0)


ALL = [signed(source) for source in range(4)]


# Exchange


def test_all_nodes_propose_the_same_ballot_of_all_at_once() -> None:
    async def scenario(world: World) -> None:
        members = [world.member(i) for i in range(4)]
        await serving(members, *(member.negotiate() for member in members))
        assert {len(member.proposed) for member in members} == {1}
        assert {member.proposed[0].value for member in members} == {ballot(*ALL)}
        assert asyncio.get_running_loop().time() < 1

    play(scenario)


def test_node_that_is_silent_is_waited_for_half_a_slot_and_left_out() -> None:
    async def scenario(world: World) -> None:
        members = [world.member(i) for i in range(3)]
        await serving(members, *(member.negotiate() for member in members))
        for member in members:
            assert member.sources(member.proposed[0]) == [0, 1, 2]
        assert SLOT_S / 2 <= asyncio.get_running_loop().time() < SLOT_S

    play(scenario)


def test_lost_question_is_asked_again() -> None:
    async def scenario(world: World) -> None:
        members = [world.member(i) for i in range(4)]
        world.network.block(0, 3)
        asyncio.get_running_loop().call_later(1, world.network.heal)
        await serving(members, members[0].negotiate())
        assert members[0].sources(members[0].proposed[0]) == [0, 1, 2, 3]

    play(scenario)


def test_fewer_than_a_quorum_propose_nothing() -> None:
    async def scenario(world: World) -> None:
        members = [world.member(i) for i in range(2)]
        with pytest.raises(TooFewStatements):
            await members[0].negotiate()
        assert members[0].proposed == []

    play(scenario)


def test_clock_a_little_behind_still_answers() -> None:
    async def scenario(world: World) -> None:
        late = [world.member(i, offset_s=(LAST - 0.5) * SLOT_S) for i in (1, 2, 3)]
        first = world.member(0)
        await serving([first, *late], first.negotiate())
        assert first.sources(first.proposed[0]) == [0, 1, 2, 3]

    play(scenario)


@pytest.mark.parametrize(
    "duty",
    [
        Duty(LAST - 1, DutyType.INFO_SYNC),
        NEXT,
        Duty(2**63 - 1, DutyType.INFO_SYNC),
        Duty(LAST, DutyType.ATTESTER),
    ],
    ids=["not last", "far ahead", "at the end of time", "other type"],
)
def test_only_an_agreement_of_now_is_spoken_of(duty: Duty) -> None:
    """The reference once kept whatever a peer spoke of: memory grew without bound."""

    async def scenario(world: World) -> None:
        member, peer = world.member(0), world.member(1)
        assert not member.sync.is_due(duty)
        await member.negotiate(duty)
        assert member.proposed == []
        body = codec(1).encode(signed(1, duty=duty))

        async def ask() -> None:
            with pytest.raises(PeerSilent):
                await peer.requests.ask(0, Subject.PRIORITY, body, timeout_s=1)

        await serving([member, peer], ask())
        assert member.sync._heard == {}

    play(scenario)


def test_statements_of_at_most_a_few_duties_are_kept() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0)
        for epoch in range(1, 10):
            slot = epoch * CHAIN.slots_per_epoch - 1
            member.clock = SimClock(asyncio.get_running_loop(), offset_s=slot * SLOT_S)
            object.__setattr__(member.sync._agenda, "clock", member.clock)
            duty = Duty(slot, DutyType.INFO_SYNC)
            for source in (1, 2, 3):
                member.sync._hear(source, codec(source).encode(signed(source, duty=duty)))
        assert len(member.sync._heard) == OPEN_MAX
        assert max(member.sync._heard).slot == 9 * CHAIN.slots_per_epoch - 1

    play(scenario)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff" * 300,
        codec(1).encode(signed(2)),
        codec(2).encode(signed(2)),
        codec(1).encode(replace(signed(1), signature=bytes(65))),
    ],
    ids=["empty", "garbage", "forged", "relayed", "unsigned"],
)
def test_bad_statement_is_not_answered_and_not_kept(body: bytes) -> None:
    async def scenario(world: World) -> None:
        member, peer = world.member(0), world.member(1)

        async def ask() -> None:
            for _ in range(20):
                with pytest.raises(PeerSilent):
                    await peer.requests.ask(0, Subject.PRIORITY, body, timeout_s=1)

        await serving([member, peer], ask())
        assert member.sync._heard == {}
        assert len(member.log.find("priorities_refused", peer=1)) == 1

    play(scenario)


def test_liar_that_answers_each_peer_differently_only_speaks_for_itself() -> None:
    async def scenario(world: World) -> None:
        members = [world.member(i) for i in range(3)]
        liar = world.network.bus(3)
        requests = Requests(liar, entropy=bytes, log=RecordingLog())

        async def lie(peer: int, _body: bytes) -> bytes:
            told = (Topic("features", (f"for-{peer}",)), Topic("version", ("9", f"{peer}")))
            return codec(3).encode(codec(3).sign(Statement(DUTY, 3, told)))

        requests.serve(Subject.PRIORITY, lie)
        async with asyncio.TaskGroup() as tasks:
            serve = tasks.create_task(liar.run())
            await serving(members, *(member.negotiate() for member in members))
            serve.cancel()
        ballots = [member.proposed[0] for member in members]
        assert len({each.value for each in ballots}) == 3
        for member in members:
            for each in ballots:  # whichever is decided, it is a right one, and the same for all
                assert await member.sync.check(DUTY, each.value, 1) is Verdict.OK
            await member.sync.store(
                Decided(
                    duty=DUTY,
                    value=ballots[0].value,
                    round=1,
                    leader=0,
                    started_s=0.0,
                    decided_s=0.0,
                )
            )
        results = [member.sync.agreed for member in members]
        assert results[0] == results[1] == results[2]
        assert (results[0].version, results[0].features) == ("2", ())

    play(scenario)


# The check


def test_ballot_that_leaves_out_a_node_that_spoke_gets_no_vote_in_the_first_rounds() -> None:
    async def scenario(world: World) -> None:
        members = [world.member(i) for i in range(4)]
        await serving(members, members[0].negotiate())
        check = members[0].sync.check
        assert await check(DUTY, ballot(*ALL), 1) is Verdict.OK
        assert await check(DUTY, ballot(*ALL[1:]), 1) is Verdict.UNKNOWN
        assert await check(DUTY, ballot(*ALL[:3]), faulty_max(4)) is Verdict.UNKNOWN
        assert await check(DUTY, ballot(*ALL[1:]), faulty_max(4) + 1) is Verdict.OK

    play(scenario)


def test_ballot_of_fewer_than_a_quorum_or_forged_is_refused() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0)
        for value in (ballot(*ALL[:2]), b"", ballot(*ALL)[:-1], ballot(*ALL[:3], duty=DUTY) + b"x"):
            assert await member.sync.check(DUTY, value, 9) is Verdict.REFUSED
        forged = replace(ALL[2], statement=signed(2, OLD).statement)
        assert await member.sync.check(DUTY, ballot(*ALL[:2], forged), 9) is Verdict.REFUSED
        other = ballot(*(signed(i, duty=NEXT) for i in range(3)), duty=NEXT)
        assert await member.sync.check(DUTY, other, 9) is Verdict.REFUSED
        assert len(member.log.find("value_refused")) == 6

    play(scenario)


# What is agreed


def test_nothing_new_is_done_before_the_first_agreement() -> None:
    async def scenario(world: World) -> None:
        sync = world.member(0, builder_api=True).sync
        await sync.load()
        assert (sync.builder_api, sync.may_send("shiny"), sync.takes("shiny")) == (
            False,
            False,
            True,
        )
        assert not sync.takes("unheard-of")

    play(scenario)


def test_agreement_holds_over_restarts_until_the_next_one() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0)
        await member.sync.store(decided(*(signed(i, builder=True) for i in range(4))))
        for _ in range(2):
            assert member.sync.may_send("shiny")
            assert member.sync.builder_api
            member = world.member(0, storage=member.storage)
            await member.sync.load()
        await member.sync.store(decided(*(signed(i, OLD, duty=NEXT) for i in range(4)), duty=NEXT))
        assert not member.sync.may_send("shiny")
        assert not member.sync.builder_api
        restarted = world.member(0, storage=member.storage)
        await restarted.sync.load()
        assert restarted.sync.agreed == member.sync.agreed
        assert restarted.sync.agreed.slot == NEXT.slot

    play(scenario)


def test_late_agreement_of_an_older_epoch_changes_nothing() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0)
        await member.sync.store(decided(*(signed(i, duty=NEXT) for i in range(4)), duty=NEXT))
        await member.sync.store(decided(*(signed(i, OLD) for i in range(4))))
        assert member.sync.may_send("shiny")

    play(scenario)


def test_agreement_is_used_only_once_it_is_durable() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0)
        member.storage.full = True
        with pytest.raises(Exception, match="storage_full"):
            await member.sync.store(decided(*ALL))
        assert not member.sync.may_send("shiny")
        member.storage.full = False
        await member.sync.store(decided(*ALL))
        assert member.sync.may_send("shiny")

    play(scenario)


def test_agreement_of_another_cluster_is_none() -> None:
    """Operators were replaced: the old statements are not signed for the new lock."""

    async def scenario(world: World) -> None:
        member = world.member(0)
        await member.sync.store(decided(*ALL))
        await member.storage.write(
            lambda connection: connection.execute("UPDATE info_sync SET ballot = ?", (b"other",))
        )
        restarted = world.member(0, storage=member.storage)
        await restarted.sync.load()
        assert restarted.sync.agreed.slot == -1
        assert restarted.log.find("agreement_unreadable", slot=LAST)

    play(scenario)


def test_feature_that_a_peer_no_longer_takes_is_not_sent_though_agreed() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0)
        await member.sync.store(decided(*ALL))
        member.lacking.add("shiny")
        assert not member.sync.may_send("shiny")
        member.lacking.clear()
        assert member.sync.may_send("shiny")

    play(scenario)


def test_old_program_sends_no_feature_whatever_was_agreed() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0, versions=OLD)
        await member.sync.store(decided(*ALL))
        assert not member.sync.may_send("shiny")

    play(scenario)


def test_differing_builder_flags_are_named_once() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0, builder_api=True)
        for slot in (DUTY, NEXT):
            said = [signed(i, builder=i != 2, duty=slot) for i in range(4)]
            await member.sync.store(decided(*said, duty=slot))
        (line,) = member.log.find("builder_not_agreed")
        assert (line["on"], line["off"]) == ((0, 1, 3), (2,))
        assert not member.sync.builder_api
        assert len(member.log.find("cluster_agreed")) == 1

    play(scenario)


def test_retention_keeps_the_newest_however_old() -> None:
    async def scenario(world: World) -> None:
        member = world.member(0)
        duties = [Duty((e + 1) * CHAIN.slots_per_epoch - 1, DutyType.INFO_SYNC) for e in range(3)]
        for duty in duties:
            await member.sync.store(decided(*(signed(i, duty=duty) for i in range(4)), duty=duty))
        delete = member.sync.delete_before
        assert await delete(DutyType.INFO_SYNC, duties[1].slot) == 1
        assert await delete(DutyType.INFO_SYNC, 10**9) == 1
        assert await delete(DutyType.INFO_SYNC, 10**9) == 0
        restarted = world.member(0, storage=member.storage)
        await restarted.sync.load()
        assert restarted.sync.agreed.slot == duties[2].slot

    play(scenario)


def test_duty_is_due_from_a_slot_before_it_to_its_deadline() -> None:
    async def scenario(world: World) -> None:
        for at, due in ((-1.5, False), (-0.9, True), (0.0, True), (1.05, True), (1.2, False)):
            assert world.member(0, offset_s=(LAST + at) * SLOT_S).sync.is_due(DUTY) == due, at
        Deadlines(chain=CHAIN, clock=world.member(0).clock).watch(DUTY)  # it has a deadline

    play(scenario)
