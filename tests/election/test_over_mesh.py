"""Members that meet over a cluster's mesh: met, heard, attested again, and not kept busy."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.election.enclaves import MEASUREMENT, InlineEnclave, opened
from tests.election.support import configuration
from tests.network.mesh_world import RecordingLog

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.election import codec
from tetrarch.election import over_mesh as module
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import Hello
from tetrarch.election.messages import Heartbeat, Message
from tetrarch.election.over_mesh import GREET_AGAIN_S, RECEIVED_AT_ONCE, MeshLinks
from tetrarch.network.ports import Topic
from tetrarch.sim.loop import simulate
from tetrarch.sim.network import Faults, SimNetwork
from tetrarch.sim.trace import Trace

C = configuration(3)
ATTESTED = replace(
    C, attestation=Demand.REQUIRE, allowed=(Allowed(BackEnd.SOFTWARE, MEASUREMENT, 1),)
)
ATTESTED_FOR_S = 60.0
MESSAGE = bytes((3,)) + codec.encode(Heartbeat(1))
Scenario = Callable[["World"], Awaitable[None]]


class One:
    """A member with links, and what it heard."""

    def __init__(self, world: "World", folder: Path, own: int, c: Configuration) -> None:
        self.bus = world.network.bus(own)
        self.enclave = InlineEnclave(opened(folder, c, own), c)
        self.log = RecordingLog()
        self.heard: list[tuple[int, Message]] = []
        self.met: list[Hello] = []
        self.links = MeshLinks(
            c,
            self.bus,
            enclave=self.enclave,
            on_message=lambda source, message: self.heard.append((source, message)),
            on_met=self.met.append,
            attested_for_s=ATTESTED_FOR_S,
            log=self.log,
        )


class World:
    """Members over a simulated network."""

    def __init__(self, folder: Path, configurations: tuple[Configuration, ...]) -> None:
        self.network = SimNetwork(
            node_count=len(configurations),
            faults=Faults(),
            rng=Random(1),
            trace=Trace(),
            messages_max=99_999,
        )
        self.members = [
            One(self, folder / str(own), own, c) for own, c in enumerate(configurations)
        ]


def run(
    folder: Path, scenario: Scenario, *configurations: Configuration, connects: bool = True
) -> None:
    async def main() -> None:
        world = World(folder, configurations or (C, C, C))
        async with asyncio.TaskGroup() as tasks:
            serving = [tasks.create_task(each.bus.run()) for each in world.members]
            serving += [tasks.create_task(each.links.run()) for each in world.members]
            if connects:
                for member in world.members:
                    for peer in member.bus.peers:
                        member.links.connected(peer)
            await scenario(world)
            for task in serving:
                task.cancel()

    simulate(main, seed=1)


def test_all_meet_and_hear_each_other(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await asyncio.sleep(0.5)
        first, second, third = world.members
        assert [one.links.met for one in world.members] == [(1, 2), (0, 2), (0, 1)]
        first.links.send(None, Heartbeat(1))
        third.links.send(1, Heartbeat(2))
        await asyncio.sleep(0.5)
        assert sorted(second.heard, key=str) == [(0, Heartbeat(1)), (2, Heartbeat(2))]
        assert (first.heard, third.heard) == ([], [(0, Heartbeat(1))])
        keys = [hello.signing_key for hello in second.met]
        assert set(keys) == {first.enclave.signing_key, third.enclave.signing_key}

    run(tmp_path, scenario)


def test_lost_greetings_are_repeated(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await asyncio.sleep(GREET_AGAIN_S + 0.5)
        assert [one.links.met for one in world.members] == [(1, 2), (0, 2), (0, 1)]

    run(tmp_path, scenario, connects=False)


def test_message_of_a_member_that_was_not_met_is_passed_over(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        first, second, _ = world.members
        first.bus.send(1, Topic.ELECTION, MESSAGE)
        await asyncio.sleep(0.5)
        assert second.heard == []
        second.links.connected(0)  # its stream has opened again: it may be another start
        first.bus.send(1, Topic.ELECTION, MESSAGE)
        await asyncio.sleep(0.2)
        first.bus.send(1, Topic.ELECTION, MESSAGE)
        await asyncio.sleep(0.2)
        assert second.heard == [(0, Heartbeat(1))] * len(second.heard) != []

    run(tmp_path, scenario, connects=False)


def test_nothing_is_said_to_a_member_that_was_not_met(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        first, second, _ = world.members
        second.links.connected(0)  # the second meets the first, and not the other way round
        await asyncio.sleep(0.5)
        assert (first.links.met, second.links.met) == ((), (0,))
        first.links.send(None, Heartbeat(1))
        first.links.send(1, Heartbeat(1))
        await asyncio.sleep(0.2)
        assert second.heard == []

    run(tmp_path, scenario, connects=False)


def test_another_configuration_is_refused_once_with_both_hashes(tmp_path: Path) -> None:
    other = configuration(3, lease_ms=1000)

    async def scenario(world: World) -> None:
        await asyncio.sleep(5 * GREET_AGAIN_S)
        first, _second, third = world.members
        assert [one.links.met for one in world.members] == [(1,), (0,), ()]
        told = first.log.find("election_member_refused")
        assert len(told) == 1
        assert C.hash.hex() in str(told)
        assert other.hash.hex() in str(told)
        assert "start all members with the same" in str(told)
        assert len(third.log.find("election_member_refused")) == 2

    run(tmp_path, scenario, C, C, other)


def test_node_with_other_settings_is_attested_and_not_met(tmp_path: Path) -> None:
    """So that settings can be changed on one node after the other."""
    other = replace(ATTESTED, lease_ms=1000)

    async def scenario(world: World) -> None:
        await asyncio.sleep(5 * GREET_AGAIN_S)
        first, _second, third = world.members
        assert [one.links.met for one in world.members] == [(1,), (0,), ()]
        for one in world.members:
            assert list(one.links.shown) == list(one.bus.peers)
            assert all(one.links.has_shown(peer) for peer in one.bus.peers)
            assert {each.measurement for each in one.links.shown.values()} == {MEASUREMENT.hex()}
        assert len(first.log.find("election_member_refused")) == 1
        greetings = len(first.log.find("election_member_attested"))
        await asyncio.sleep(2.5 * ATTESTED_FOR_S)
        assert third.links.has_shown(0), "evidence is renewed"
        assert len(first.log.find("election_member_attested")) == greetings

    run(tmp_path, scenario, ATTESTED, ATTESTED, other)


def test_node_whose_evidence_is_not_allowed_has_shown_nothing(tmp_path: Path) -> None:
    strict = replace(ATTESTED, allowed=(Allowed(BackEnd.SOFTWARE, b"x" * 32, 1),))

    async def scenario(world: World) -> None:
        await asyncio.sleep(3 * GREET_AGAIN_S)
        first, _, third = world.members
        assert third.links.shown == {}
        assert list(first.links.shown) == [1, 2], "by its own list"
        assert "election_member_unattested" in str(third.log.find("election_member_refused"))

    run(tmp_path, scenario, ATTESTED, ATTESTED, strict)


def test_evidence_is_asked_for_again_and_who_has_none_is_no_longer_heard(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        first, second, _third = world.members
        await asyncio.sleep(2.5 * ATTESTED_FOR_S)
        assert [one.links.met for one in world.members] == [(1, 2), (0, 2), (0, 1)]
        assert len(first.met) == 2, "new evidence is no new meeting"
        assert len(first.log.find("election_member_attested")) == 2

        async def silent(source: int, body: bytes) -> None:
            return None

        second.links._steps[1] = silent  # it answers no greeting any more
        await asyncio.sleep(ATTESTED_FOR_S + module.ATTESTED_LATE_S + 5)
        assert first.links.met == (2,)
        assert "no new evidence" in str(first.log.find("election_member_refused"))

    run(tmp_path, scenario, ATTESTED, ATTESTED, ATTESTED)


def test_member_without_evidence_that_is_allowed_is_refused(tmp_path: Path) -> None:
    other = replace(ATTESTED, allowed=(Allowed(BackEnd.SOFTWARE, b"x" * 32, 1),))

    async def scenario(world: World) -> None:
        await asyncio.sleep(0.5)
        assert [one.links.met for one in world.members] == [(), (), ()]
        assert "election_member_unattested" in str(
            world.members[0].log.find("election_member_refused")
        )

    run(tmp_path, scenario, other, other, other)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x00", b"\x04abc", b"\x01garbage", b"\x02garbage", b"\x03garbage", b"\x03" + b"\x00"],
)
def test_garbage_is_named_and_harms_nothing(tmp_path: Path, payload: bytes) -> None:
    async def scenario(world: World) -> None:
        first, second, _ = world.members
        await asyncio.sleep(0.5)
        for _ in range(3):
            first.bus.send(1, Topic.ELECTION, payload)
        await asyncio.sleep(0.5)
        told = second.log.find("election_member_refused")
        assert len(told) == 1
        assert "member=node0" in str(told).replace("'", "").replace(": ", "=")
        first.links.send(1, Heartbeat(7))
        await asyncio.sleep(0.5)
        assert second.heard == [(0, Heartbeat(7))]

    run(tmp_path, scenario)


def test_hello_of_another_member_is_refused(tmp_path: Path) -> None:
    """A member that passes on what a third one says of itself is not that third one."""

    async def scenario(world: World) -> None:
        first, second, third = world.members
        await asyncio.sleep(0.5)
        nonce = await second.enclave.challenge()
        session = third.links._session(1)
        said = await third.enclave.say_hello(session=session, nonce=nonce)
        first.bus.send(1, Topic.ELECTION, b"\x02" + codec.encode(said))
        await asyncio.sleep(0.5)
        assert "of another member" in str(second.log.find("election_member_refused"))

    run(tmp_path, scenario)


def test_who_sends_too_much_is_heard_no_faster_than_agreed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        first, second, third = world.members
        await asyncio.sleep(0.5)
        for _ in range(1000):
            first.bus.send(1, Topic.ELECTION, MESSAGE)
        third.links.send(1, Heartbeat(2))
        await asyncio.sleep(0.5)
        of_first = [source for source, _ in second.heard if source == 0]
        assert RECEIVED_AT_ONCE - 5 <= len(of_first) <= RECEIVED_AT_ONCE + 30
        assert (2, Heartbeat(2)) in second.heard
        assert "too many messages" in str(second.log.find("election_member_refused"))

    run(tmp_path, scenario)
