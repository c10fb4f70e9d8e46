"""Beacon nodes that answer as a test says, on virtual time, and the composite over them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast

from tests.ethereum.beacon_node.support import block
from tests.ethereum.beacon_nodes.test_voting import EPOCH, SLOT, data, root

from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import (
    AttesterDuties,
    AttesterDuty,
    BeaconEvent,
    BeaconNode,
    BlockRequest,
    FinalityCheckpoints,
    Genesis,
    ProxyRequest,
    ProxyResponse,
    SyncStatus,
)
from tetrarch.ethereum.beacon_nodes.several import SeveralBeaconNodes
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork
from tetrarch.sim.loop import EPOCH_S, SimClock, simulate
from tetrarch.supervision import Supervisor

__all__ = ["EPOCH", "SLOT", "World", "data", "refusal", "root", "run", "unreachable"]

R = TypeVar("R")
SLOT_S = 12
CHAIN = ChainSpec(
    preset="minimal",
    genesis_time_s=int(EPOCH_S) - SLOT * SLOT_S,  # SLOT begins with the run
    slot_duration_ms=SLOT_S * 1000,
    slots_per_epoch=8,
    forks=ForkSchedule(
        genesis_fork_version=bytes(4),
        genesis_validators_root=root("validators"),
        activations=(ForkActivation(fork=Fork.ELECTRA, version=bytes(4), epoch=0),),
    ),
)
GENESIS = Genesis(
    time_s=CHAIN.genesis_time_s, validators_root=root("validators"), fork_version=bytes(4)
)
SYNCED = SyncStatus(
    head_slot=SLOT, sync_distance=0, is_syncing=False, is_optimistic=False, el_offline=False
)
SYNCING = SyncStatus(
    head_slot=1, sync_distance=SLOT, is_syncing=True, is_optimistic=False, el_offline=False
)
_SOURCE = Checkpoint(epoch=EPOCH - 1, root=root("source"))
FINALITY = FinalityCheckpoints(
    previous_justified=_SOURCE, current_justified=_SOURCE, finalized=_SOURCE
)


def honest(slot: int) -> AttestationData:
    epoch = slot // CHAIN.slots_per_epoch
    return data(slot=slot, source=(epoch - 1, "source"), target=(epoch, "target"))


HONEST = data()
REQUEST = BlockRequest(slot=SLOT, randao_reveal=bytes(96))


def proposal(parent: str, *, proposer_index: int = 3) -> Proposal:
    return block(Fork.ELECTRA, SLOT, parent_root=root(parent), proposer_index=proposer_index)


def unreachable(text: str = "down") -> BeaconNodeUnreachable:
    return BeaconNodeUnreachable("ask beacon node", reason=text)


def refusal(status: int = 400) -> BeaconNodeRefused:
    return BeaconNodeRefused("ask beacon node", status=status, message="no")


def attester_duties(*slots: int, epoch: int = EPOCH) -> AttesterDuties:
    return AttesterDuties(
        epoch=epoch,
        dependent_root=root("dependent"),
        duties=tuple(
            AttesterDuty(
                pubkey=bytes([number]) * 48,
                slot=slot,
                validator_index=number,
                committee_index=0,
                committee_length=4,
                committees_at_slot=1,
                validator_committee_index=0,
            )
            for number, slot in enumerate(slots)
        ),
    )


class ScriptedNode:
    """Answers each method of the port with what ``answers`` holds for it: a value, an error to
    raise, or a function of the arguments (which may be async)."""

    def __init__(self, name: str, **answers: Any) -> None:
        self.name = name
        self.delay_s = 0.01
        self.delays_s: dict[str, float] = {}
        self.down = False
        self.asked: list[str] = []
        self.finished: list[str] = []
        self.answers: dict[str, Any] = {
            "genesis": GENESIS,
            "chain_spec": CHAIN,
            "syncing": SYNCED,
            "attestation_data": lambda slot, _index: honest(slot),
            "attester_duties": lambda epoch, _indices: attester_duties(SLOT, epoch=epoch),
            "finality_checkpoints": FINALITY,
            "submit_attestations": None,
            "publish_block": None,
            **answers,
        }
        self._told: list[BeaconEvent | None] = []
        self._heard: dict[tuple[str, ...], int] = {}
        self._news = asyncio.Event()

    def __getattr__(self, what: str) -> Callable[..., Awaitable[Any]]:
        if what.startswith("_"):
            raise AttributeError(what)

        async def ask(*args: Any, **kwargs: Any) -> Any:
            self.asked.append(what)
            await asyncio.sleep(self.delays_s.get(what, self.delay_s))
            self.finished.append(what)
            if self.down:
                raise unreachable()
            answer = self.answers[what]
            if isinstance(answer, Exception):
                raise answer
            if not callable(answer):
                return answer
            made = answer(*args, **kwargs)
            return await made if isinstance(made, Awaitable) else made

        return ask

    async def events(self, topics: tuple[str, ...]) -> AsyncGenerator[BeaconEvent, None]:
        """What the test told since the last connection for these topics."""
        self.asked.append("events")
        while True:
            if self.down:
                raise unreachable()
            at = self._heard.get(topics, 0)
            self._heard[topics] = at + 1
            while len(self._told) <= at:
                try:
                    await self._news.wait()
                except asyncio.CancelledError:
                    self._heard[topics] = at
                    raise
            event = self._told[at]
            if event is None:
                return
            if event.topic in topics:
                yield event

    def tell(self, topic: str, **fields: object) -> None:
        self._say(BeaconEvent(topic=topic, data=fields))

    def end_events(self) -> None:
        self._say(None)

    def _say(self, event: BeaconEvent | None) -> None:
        self._told.append(event)
        self._news.set()
        self._news = asyncio.Event()

    def proxy(self, request: ProxyRequest) -> AbstractAsyncContextManager[ProxyResponse]:
        @asynccontextmanager
        async def answer() -> Any:
            self.asked.append(f"proxy {request.method}")
            await asyncio.sleep(self.delay_s)
            if self.down:
                raise self.answers.get("proxy", unreachable("ClientConnectorError"))
            yield Answer(status=self.answers.get("proxy_status", 200), text=self.name)

        return answer()

    @property
    def port(self) -> BeaconNode:
        """As its users see it."""
        return cast("BeaconNode", self)


@dataclass
class Answer:
    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    async def chunks(self) -> Any:
        yield self.text.encode()


class Notes:
    """A log and an observer that remember."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self.conditions: list[tuple[str, str]] = []
        self.fallback: list[bool] = []
        self.distances: dict[str, int] = {}
        self.votes: list[tuple[str, tuple[str, ...]]] = []
        self.losers: list[tuple[str, str, str]] = []
        self.outcomes: list[tuple[str, str, str]] = []
        self._bound: dict[str, Any] = {}

    def bind(self, **fields: Any) -> Self:
        bound = type(self)()
        bound.lines = self.lines
        bound._bound = {**self._bound, **fields}
        return bound

    def _line(self, level: str) -> Callable[..., None]:
        def note(event: str, **fields: Any) -> None:
            self.lines.append((level, event, {**self._bound, **fields}))

        return note

    def __getattr__(self, level: str) -> Any:
        if level in {"debug", "info", "warning", "error", "critical"}:
            return self._line(level)
        raise AttributeError(level)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, name, fields in self.lines if name == event]

    def answered(self, node: str, what: str, outcome: str, duration_s: float) -> None:
        self.outcomes.append((node, what, outcome))

    def condition_changed(self, node: str, condition: str) -> None:
        self.conditions.append((node, condition))

    def scored(self, node: str, score: float) -> None:
        assert 0 < score <= 1

    def synced(self, node: str, distance: int) -> None:
        self.distances[node] = distance

    def fallback_used(self, used: bool) -> None:
        self.fallback.append(used)

    def voted(self, basis: str, supporters: tuple[str, ...]) -> None:
        self.votes.append((basis, supporters))

    def outvoted(self, node: str, what: str, reason: str) -> None:
        self.losers.append((node, what, reason))

    def head_told(self, node: str, slot: int, delay_s: float) -> None:
        assert delay_s >= 0

    def reorg_told(self, node: str, depth: int) -> None:
        assert depth >= 0


class World:
    """Three primaries a, b, c (or as many as named), fallbacks, and the composite over them."""

    def __init__(
        self, supervisor: Supervisor, *, primaries: str, fallbacks: str, **options: Any
    ) -> None:
        self.nodes = {name: ScriptedNode(name) for name in primaries + fallbacks}
        self.notes = Notes()
        self.supervisor = supervisor
        self.several = SeveralBeaconNodes(
            [self.nodes[name].port for name in primaries],
            [self.nodes[name].port for name in fallbacks],
            clock=SimClock(asyncio.get_running_loop()),
            spawner=supervisor,
            log=cast("Any", self.notes),
            **{"observer": self.notes, **options},
        )

    @property
    def port(self) -> BeaconNode:
        """The composite has the port of one node: the type checker says so here."""
        return self.several

    def __getitem__(self, name: str) -> ScriptedNode:
        return self.nodes[name]

    def watch(self) -> None:
        self.supervisor.spawn(self.several.watch(), name="watch")

    async def attestation(self, slot: int = SLOT) -> AttestationData:
        return await self.several.attestation_data(slot, 0)

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()


def run(
    scenario: Callable[[World], Awaitable[R]],
    *,
    primaries: str = "abc",
    fallbacks: str = "",
    seed: int = 1,
    **options: Any,
) -> R:
    """Run ``scenario`` on virtual time, with the chain's constants known already."""

    async def main() -> R:
        async with Supervisor(cast("Any", Notes())) as supervisor:
            world = World(supervisor, primaries=primaries, fallbacks=fallbacks, **options)
            await world.several.chain_spec()
            for node in world.nodes.values():
                node.asked.clear()
            result = await scenario(world)
            supervisor.stop()
            return result

    return simulate(main, seed=seed)
