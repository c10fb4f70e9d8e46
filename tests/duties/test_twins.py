"""Who runs twice learns it from more peers than can lie, and is told once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from tests.duties.duty_world import RecordingLog

from tetrarch.duties.twins import STATE_KEPT_S, TWIN_MEND, Twins
from tetrarch.duties.witnesses import PeerState, Witnesses
from tetrarch.network.requests import PeerSilent
from tetrarch.sim.loop import simulate

ALONE = PeerState(held=False, first_epoch=0)
OLDER = PeerState(held=False, first_epoch=0, has_twin=True, twin_is_older=True)
NEWER = PeerState(held=False, first_epoch=0, has_twin=True, twin_is_older=False)
SLOT_S = 12.0


class Peers:
    """Answer what they are set to; a peer that is not set is silent."""

    def __init__(self) -> None:
        self.says: dict[int, PeerState] = {}
        self.rounds = 0
        self.log = RecordingLog()

    async def ask_state(self, peer: int) -> PeerState:
        if peer not in self.says:
            raise PeerSilent("ask peer")
        return self.says[peer]

    def heard(self) -> None:
        self.rounds += 1


def watch(scenario: Callable[[Peers, Twins], Awaitable[None]]) -> None:
    async def run() -> None:
        peers = Peers()
        twins = Twins(
            witnesses=cast("Witnesses", peers),
            peers=(1, 2, 3),
            faulty_max=1,
            slot_s=SLOT_S,
            on_heard=peers.heard,
            log=peers.log,
        )
        task = asyncio.create_task(twins.watch())
        await scenario(peers, twins)
        task.cancel()

    simulate(run, seed=0)


def test_two_peers_are_believed_and_one_is_not() -> None:
    async def scenario(peers: Peers, twins: Twins) -> None:
        peers.says = {1: OLDER, 2: ALONE, 3: ALONE}
        await asyncio.sleep(1)
        assert not twins.seen
        peers.says[2] = NEWER  # that we run twice is said by two, that we are newer by one
        await asyncio.sleep(SLOT_S)
        assert twins.seen
        assert not twins.one_is_older
        peers.says[2] = OLDER
        await asyncio.sleep(SLOT_S)
        assert twins.one_is_older

    watch(scenario)


def test_it_is_told_once_for_as_long_as_it_lasts() -> None:
    async def scenario(peers: Peers, twins: Twins) -> None:
        peers.says = {1: OLDER, 2: OLDER, 3: OLDER}
        await asyncio.sleep(5 * SLOT_S)
        assert len(peers.log.find("node_runs_twice")) == 1
        assert TWIN_MEND in str(peers.log.find("node_runs_twice"))
        peers.says = {1: ALONE, 2: ALONE, 3: ALONE}
        await asyncio.sleep(SLOT_S)
        assert not twins.seen
        peers.says = {1: OLDER, 2: OLDER, 3: OLDER}
        await asyncio.sleep(SLOT_S)
        assert len(peers.log.find("node_runs_twice")) == 2

    watch(scenario)


def test_what_a_peer_said_is_kept_while_it_is_silent_but_not_for_ever() -> None:
    async def scenario(peers: Peers, twins: Twins) -> None:
        twins.note(1, OLDER)
        twins.note(2, OLDER)
        await asyncio.sleep(STATE_KEPT_S - 1)
        assert twins.one_is_older
        await asyncio.sleep(SLOT_S + 2)
        assert not twins.seen

    watch(scenario)


def test_caller_is_told_after_every_round() -> None:
    async def scenario(peers: Peers, _twins: Twins) -> None:
        await asyncio.sleep(4 * SLOT_S + 1)
        assert peers.rounds == 5

    watch(scenario)
