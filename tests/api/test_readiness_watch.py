"""What readiness asks of the beacon node, of the mesh and of the validator API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.duties.duty_world import CHAIN, GENESIS_S, FixedClock, RecordingLog

from tetrarch.api.readiness import Cause, Readiness
from tetrarch.api.readiness_watch import ReadinessWatch, Sources
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import SyncStatus
from tetrarch.observability.metrics import Metrics

EPOCH_S = CHAIN.slots_per_epoch * CHAIN.slot_duration_ms / 1000


class Answer:
    def __init__(self, status: int, body: bytes) -> None:
        self.status, self._body = status, body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


class Beacon:
    name = "http://beacon:5052"
    version = "client/1"
    down = False
    syncing_now = False
    answer = Answer(200, b'{"data":{"connected":"7","disconnected":"1"}}')

    async def node_version(self) -> str:
        return self.version

    async def syncing(self) -> SyncStatus:
        if self.down:
            raise BeaconNodeUnreachable("ask beacon node", reason="time out")
        return SyncStatus(
            head_slot=1,
            sync_distance=0,
            is_syncing=self.syncing_now,
            is_optimistic=False,
            el_offline=False,
        )

    @asynccontextmanager
    async def proxy(self, request: Any) -> AsyncIterator[Answer]:
        assert request.path == "/eth/v1/node/peer_count"
        yield self.answer


class World:
    def __init__(self, *, by_client: bool = False) -> None:
        self.beacon, self.metrics, self.log = Beacon(), Metrics(), RecordingLog()
        self.clock = FixedClock(GENESIS_S + 10 * EPOCH_S)
        self.readiness = Readiness(peers_needed=2)
        self.last_request_s: float | None = None
        beacon: Any = self.beacon
        self.watch = ReadinessWatch(
            self.readiness,
            Sources(
                beacon_node=beacon,
                connected_count=lambda: 3,
                last_request_s=(lambda: self.last_request_s) if by_client else None,
            ),
            chain=CHAIN,
            clock=self.clock,
            metrics=self.metrics,
            log=self.log,
        )

    def check(self) -> Cause:
        asyncio.run(self.watch.check())
        first = self.readiness.first()
        assert self.metrics.registry.get_sample_value("app_monitoring_readyz") == first
        return first


def test_changes_are_told_once_each_with_their_reason() -> None:
    world = World()
    assert world.check() is Cause.READY
    world.beacon.down = True
    assert world.check() is Cause.BEACON_NODE_DOWN
    assert world.check() is Cause.BEACON_NODE_DOWN
    world.beacon.down, world.beacon.syncing_now = False, True
    assert world.check() is Cause.BEACON_NODE_SYNCING
    reasons = [line["reason"] for line in world.log.find("node_not_ready")]
    assert reasons == ["beacon_node_down", "beacon_node_syncing"]
    assert len(world.log.find("node_ready")) == 1


def test_beacon_node_that_comes_back_is_asked_for_its_version_again() -> None:
    world, shown = World(), "app_beacon_node_version"
    value, beacon_id = world.metrics.registry.get_sample_value, "http://beacon:5052"
    world.check()
    assert value(shown, {"version": "client/1", "beacon_id": beacon_id}) == 1
    world.beacon.down, world.beacon.version = True, "client/2"
    world.check()
    world.beacon.down = False
    world.check()
    assert value(shown, {"version": "client/2", "beacon_id": beacon_id}) == 1
    assert value(shown, {"version": "client/1", "beacon_id": beacon_id}) is None


@pytest.mark.parametrize(
    ("answer", "cause", "peers"),
    [
        (Answer(200, b'{"data":{"connected":"7"}}'), Cause.READY, 7),
        (Answer(200, b'{"data":{"connected":"0"}}'), Cause.BEACON_NODE_ZERO_PEERS, 0),
        (Answer(200, b'{"data":{"connected":"-1"}}'), Cause.READY, None),
        (Answer(200, b"no JSON"), Cause.READY, None),
        (Answer(200, b'{"data":{"connected":"\xff"}}'), Cause.READY, None),
        (Answer(200, b"[" * 10_000), Cause.READY, None),
        (Answer(200, b"x" * 10_000), Cause.READY, None),
        (Answer(404, b"{}"), Cause.READY, None),
    ],
)
def test_peers_are_believed_only_where_the_beacon_node_tells_them(
    answer: Answer, cause: Cause, peers: int | None
) -> None:
    world = World()
    world.beacon.answer = answer
    assert world.check() is cause
    shown = world.metrics.registry.get_sample_value("app_beacon_node_peers")
    assert shown == pytest.approx(float("nan") if peers is None else peers, nan_ok=True)


def test_validator_client_has_until_the_end_of_the_next_epoch() -> None:
    world = World(by_client=True)
    assert world.check() is Cause.READY  # the node has only just started
    world.clock.now_s += 2 * EPOCH_S
    assert world.check() is Cause.VC_NOT_CONNECTED
    world.last_request_s = world.clock.now_s
    assert world.check() is Cause.READY
    world.clock.now_s += 2 * EPOCH_S
    assert world.check() is Cause.VC_NOT_CONNECTED
