"""Asks beacon node, mesh and validator API how they are, and shows the verdict as metrics."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tetrarch.api.readiness import BeaconState, Cause, Facts, Readiness
from tetrarch.clock import Clock
from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid, TetrarchError
from tetrarch.ethereum.beacon_node.ports import BeaconNode, ProxyRequest
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

INTERVAL_MAX_S = 10.0
ANSWER_SIZE_MAX = 4096
PEER_COUNT_PATH = "/eth/v1/node/peer_count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Whom to ask. ``last_request_s`` is None where no validator client is expected."""

    beacon_node: BeaconNode
    connected_count: Callable[[], int]
    last_request_s: Callable[[], float | None] | None


class ReadinessWatch:
    """Checks once a slot, at most every ``INTERVAL_MAX_S``."""

    def __init__(
        self,
        readiness: Readiness,
        sources: Sources,
        *,
        chain: ChainSpec,
        clock: Clock,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._readiness = readiness
        self._beacon_node = sources.beacon_node
        self._connected_count = sources.connected_count
        self._last_request_s = sources.last_request_s
        self._chain = chain
        self._clock = clock
        self._metrics = metrics
        self._log = log.bind(topic="readyz")
        self._started_s = clock.wall_s()
        self._version: str | None = None  # of the beacon node; asked anew after an outage
        self._told = Cause.UNINITIALISED
        metrics.gauge("app_beacon_node_peers").set(float("nan"))  # 0 would be an alarm

    async def run(self) -> None:
        """Check until cancelled."""
        slot_s = self._chain.slot_duration_ms / 1000
        while True:
            await self.check()
            await asyncio.sleep(min(slot_s, INTERVAL_MAX_S))

    async def check(self) -> None:
        """Check once: note, show and tell."""
        beacon = await self._ask_beacon_node()
        self._readiness.note(
            Facts(
                beacon=beacon,
                connected=self._connected_count(),
                client_missing=self._client_missing(),
            )
        )
        cause = self._readiness.first()
        self._metrics.gauge("app_monitoring_readyz").set(cause)
        if beacon.peers is not None:
            self._metrics.gauge("app_beacon_node_peers").set(beacon.peers)
        if cause is not self._told:
            self._tell(cause)

    def _tell(self, cause: Cause) -> None:
        was, self._told = self._told, cause
        if cause is Cause.READY:
            self._log.info("node_ready", after=was.name.lower())
        else:
            self._log.warning("node_not_ready", reason=cause.name.lower())

    def _client_missing(self) -> bool:
        """No request since the previous epoch began; a fresh node waits that long first."""
        if self._last_request_s is None:
            return False
        now_s = self._clock.wall_s()
        epoch = self._chain.epoch_of(max(self._chain.slot_at(now_s), 0))
        since_s = self._chain.slot_start_s(self._chain.first_slot(max(epoch - 1, 0)))
        last_s = self._last_request_s()
        return (self._started_s if last_s is None else last_s) < since_s

    async def _ask_beacon_node(self) -> BeaconState:
        try:
            status = await self._beacon_node.syncing()
        except TetrarchError as error:
            self._log.debug("beacon_node_silent", reason=str(error))
            self._version = None
            return BeaconState(is_down=True)
        await self._ask_version()
        return BeaconState(
            is_syncing=status.is_syncing,
            sync_distance=status.sync_distance,
            peers=await self._peers(),
        )

    async def _ask_version(self) -> None:
        if self._version is None:
            with contextlib.suppress(TetrarchError):
                self._version = await self._beacon_node.node_version()
                name = self._beacon_node.name
                self._metrics.set_only("app_beacon_node_version", self._version[:128], name)

    async def _peers(self) -> int | None:
        """None where the beacon node does not tell: no reason to call it lonely."""
        request = ProxyRequest(method="GET", path=PEER_COUNT_PATH, headers={}, body=b"")
        try:
            async with self._beacon_node.proxy(request) as answer:
                body = b""
                async for chunk in answer.chunks():
                    body += chunk
                    if len(body) > ANSWER_SIZE_MAX:
                        return None
                return _connected(body) if answer.status == 200 else None
        except TetrarchError:
            return None


def _connected(body: bytes) -> int | None:
    try:
        decoded = msgspec.json.decode(body, type=_Answer)
    except (*UNDECODABLE, InputInvalid):
        return None
    text = decoded.data.connected
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


class _PeerCount(msgspec.Struct):
    connected: str


class _Answer(msgspec.Struct):
    data: _PeerCount
