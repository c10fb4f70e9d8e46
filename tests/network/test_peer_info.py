"""Each minute nodes say who they are; what a peer says is bounded, and told when it changes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.network.mesh_world import RecordingLog

from tetrarch.network.peer_info import (
    INTERVAL_S,
    PeerInfo,
    PeerInfoInvalid,
    PeerInfos,
    decode_info,
    encode_info,
)
from tetrarch.network.requests import PeerSilent, Requests, Subject
from tetrarch.sim.loop import simulate
from tetrarch.sim.network import Faults, SimNetwork
from tetrarch.sim.trace import Trace

OWN = PeerInfo(
    version="tetrarch/0.1.0",
    git_commit="0123abc",
    started_s=1_700_000_000,
    lock_hash=bytes(32),
    builder_api=False,
    signing="enclave",
    nickname="north",
    protocol_min=1,
    protocol=2,
    features=("shiny",),
)


class World:
    def __init__(self) -> None:
        network = SimNetwork(
            node_count=2, faults=Faults(), rng=Random(1), trace=Trace(), messages_max=10_000
        )
        self.buses = [network.bus(0), network.bus(1)]
        self.log = RecordingLog()
        self.seen: list[tuple[int, PeerInfo]] = []
        self.requests = [Requests(bus, entropy=bytes, log=self.log) for bus in self.buses]
        self.infos = PeerInfos(
            OWN,
            self.requests[0],
            peers=(1,),
            log=self.log,
            on_info=lambda peer, info: self.seen.append((peer, info)),
        )
        self.answer: bytes = encode_info(OWN)
        self.requests[1].serve(Subject.PEER_INFO, self._answer)

    async def _answer(self, _peer: int, _body: bytes) -> bytes:
        return self.answer

    def says(self, **changes: Any) -> None:
        self.answer = encode_info(msgspec.structs.replace(OWN, **changes))


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        async with asyncio.TaskGroup() as tasks:
            buses = [tasks.create_task(bus.run()) for bus in world.buses]
            await scenario(world)
            for bus in buses:
                bus.cancel()

    simulate(main, seed="peer-info")


def test_info_comes_back() -> None:
    assert decode_info(encode_info(OWN)) == OWN


@given(st.binary(max_size=300))
def test_any_bytes_are_an_info_or_a_fault(data: bytes) -> None:
    with contextlib.suppress(PeerInfoInvalid):
        assert isinstance(decode_info(data), PeerInfo)


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "v" * 65},
        {"nickname": "two\nlines"},
        {"features": ("f",) * 17},
        {"features": ("f" * 33,)},
        {"features": ("\x1b",)},
        {"lock_hash": b""},
        {"protocol_min": 3},
        {"protocol_min": 0},
        {"started_s": -1},
    ],
)
def test_info_that_breaks_a_rule_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PeerInfoInvalid):
        decode_info(encode_info(msgspec.structs.replace(OWN, **wrong)))
    with pytest.raises(PeerInfoInvalid):
        decode_info(bytes(5000))


def test_fields_of_a_later_version_are_ignored() -> None:
    longer = msgspec.msgpack.encode([*msgspec.msgpack.decode(encode_info(OWN)), "more"])
    assert decode_info(longer) == OWN


def test_peers_are_asked_each_minute_and_shown() -> None:
    async def scenario(world: World) -> None:
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(world.infos.run())
            await asyncio.sleep(1)
            assert world.infos.newest == {1: OWN}
            world.says(nickname="south")
            await asyncio.sleep(INTERVAL_S)
            assert world.infos.newest[1].nickname == "south"
            assert [peer for peer, _ in world.seen] == [1, 1]
            run.cancel()
        assert world.log.lines == []

    play(scenario)


def test_who_is_asked_learns_who_asks() -> None:
    async def scenario(world: World) -> None:
        body = encode_info(msgspec.structs.replace(OWN, nickname="asker"))
        answer = await world.requests[1].ask(0, Subject.PEER_INFO, body, timeout_s=1)
        assert decode_info(answer) == OWN
        assert world.infos.newest[1].nickname == "asker"
        with pytest.raises(PeerSilent):
            await world.requests[1].ask(0, Subject.PEER_INFO, b"garbage", timeout_s=1)
        with pytest.raises(PeerSilent):
            await world.requests[1].ask(0, Subject.PEER_INFO, b"garbage", timeout_s=1)
        assert len(world.log.find("peer_info_refused", peer=1)) == 1
        assert world.infos.newest[1].nickname == "asker"

    play(scenario)


def test_peer_that_is_away_is_just_asked_again() -> None:
    async def scenario(world: World) -> None:
        world.answer = b""
        await world.infos.ask(1)
        assert world.infos.newest == {}
        world.says()
        await world.infos.ask(1)
        assert 1 in world.infos.newest

    play(scenario)


def test_feature_is_lacking_as_soon_as_one_peer_says_so() -> None:
    async def scenario(world: World) -> None:
        assert not world.infos.lacking("shiny")
        await world.infos.ask(1)
        assert not world.infos.lacking("shiny")
        assert world.infos.lacking("newer")
        world.says(features=())
        await world.infos.ask(1)
        assert world.infos.lacking("shiny")

    play(scenario)


def test_other_lock_and_unsupported_version_are_told_once_for_each_change() -> None:
    async def scenario(world: World) -> None:
        for changes in ({}, {"lock_hash": b"x" * 32}, {"lock_hash": b"x" * 32, "started_s": 5}):
            world.says(**changes)
            await world.infos.ask(1)
        (line,) = world.log.find("lock_differs", peer=1)
        assert line["theirs"] == (b"x" * 7).hex()
        world.says(protocol_min=3, protocol=4)
        await world.infos.ask(1)
        await world.infos.ask(1)
        (line,) = world.log.find("peer_version_unsupported", peer=1)
        assert line["mend"] == "update this node to a release with protocol 3 or newer"
        assert len(world.log.find("lock_differs")) == 1

    play(scenario)
