"""One node of a simulated cluster: its disks, which outlive it, and its program, life by life."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from random import Random
from sqlite3 import Connection
from typing import Any, Self, TypeVar

from tetrarch.consensus.codec import Identity
from tetrarch.consensus.ports import Decided
from tetrarch.duties.enclave_signing import EnclaveSigning
from tetrarch.duties.features import Agreed
from tetrarch.duties.ports import Signed
from tetrarch.duties.report import DutyReport
from tetrarch.duties.types import (
    DutyType,
    PartialSet,
    Payload,
    PubKey,
    SignedDataSet,
    UnsignedDataSet,
)
from tetrarch.enclave.history import SCHEMA as ENCLAVE_SCHEMA
from tetrarch.enclave.inline import InlineEnclave
from tetrarch.enclave.ports import Approved
from tetrarch.errors import Transient
from tetrarch.network.ports import MessageBus
from tetrarch.network.versions import Versions
from tetrarch.node import SCHEMAS, Node
from tetrarch.node_ports import NodePorts, NodeShape
from tetrarch.sim.chain import SimChain
from tetrarch.sim.checkers import require
from tetrarch.sim.feature_checkers import FeatureCheckers
from tetrarch.sim.loop import SimClock
from tetrarch.sim.model_crypto import DealtKeys, SimCompute
from tetrarch.sim.node_beacons import NodeBeacons
from tetrarch.sim.qbft_world import CLUSTER_ID, Blames
from tetrarch.sim.trace import Trace
from tetrarch.sim.workflow_checkers import WorkflowCheckers
from tetrarch.sim.workflow_operator import OLD_RECIPIENT, SimOperator
from tetrarch.sim.workflow_profile import NEW, OLD, Profile
from tetrarch.storage.inline import InlineDatabase
from tetrarch.supervision import Supervisor

R = TypeVar("R")
BuildNode = Callable[..., Node]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all nodes of a world share: the simulator's side, not the nodes'."""

    seed: int
    profile: Profile
    chain: SimChain
    keys: DealtKeys
    identity: Callable[[int], Identity]
    trace: Trace
    checkers: WorkflowCheckers
    features: FeatureCheckers
    build: BuildNode


class SimNode:
    """``live`` runs the program once; ``crash`` ends it as a power loss does."""

    def __init__(self, setting: Setting, index: int, *, label: str) -> None:
        profile = setting.profile
        self.index = index
        self.label = label
        self.on_write: Callable[[str], None] = _nothing
        self.written: Counter[str] = Counter()  # by kind, in all lives
        self.node: Node | None = None
        self.database = InlineDatabase.open(SCHEMAS, commit_delay_s=profile.commit_s)
        self._enclave_database = InlineDatabase.open(
            (ENCLAVE_SCHEMA,), commit_delay_s=profile.commit_s
        )
        self._setting = setting
        self._honest = setting.checkers.is_honest(index)
        self._clock = SimClock(asyncio.get_running_loop(), offset_s=profile.offsets_s[index])
        self.beacons = NodeBeacons(
            setting.chain,
            node=index,
            label=label,
            clock=self._clock,
            seed=setting.seed,
            liar=profile.beacon_liars[index],
        )
        self.beacons.faults = profile.beacon[index]
        self.operator = SimOperator(
            tuple(ask for ask in profile.asks if ask.node == index), setting.chain.pubkeys
        )
        self._backup: tuple[InlineDatabase, InlineDatabase] | None = None
        self._lives = 0
        self._crashed = False

    @property
    def histories(self) -> tuple[InlineDatabase, InlineDatabase]:
        """The node's disk and its enclave's."""
        return self.database, self._enclave_database

    def fill_disk(self, *, full: bool) -> None:
        """From now on no write succeeds, or all do again."""
        self.database.full = self._enclave_database.full = full

    def crash(self, *, after_commit: bool) -> None:
        """Lose power; whoever runs ``live`` cancels it in the same moment."""
        self._crashed = True
        self.node = None
        self.on_write = _nothing
        for database in (self.database, self._enclave_database):
            database.crash(after_commit=after_commit)

    def note_write(self, kind: str) -> None:
        """The node begins a write to one of its databases."""
        self.written[kind] += 1
        self.on_write(kind)

    def back_up(self) -> None:
        """Copy both disks as they are now."""
        self._backup = self.database.backup(), self._enclave_database.backup()

    def restart(self, *, from_backup: bool = False) -> None:
        """The disks are there again, or what ``back_up`` copied; ``live`` may follow."""
        full = self.database.full
        if from_backup and self._backup is not None:
            self.database, self._enclave_database = self._backup
        self.database = self.database.reopen(SCHEMAS)
        self._enclave_database = self._enclave_database.reopen((ENCLAVE_SCHEMA,))
        self.fill_disk(full=full)
        self._crashed = False

    async def live(
        self, bus: MessageBus, *, serve: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        """One life of the program, until cancelled. ``serve`` runs beside it.

        Any other end than by cancellation breaks a rule: no fault of the world stops a node.
        """
        try:
            async with Supervisor(_TraceLog(self)) as tasks:
                node = await self._load(bus, tasks)
                if serve is not None:
                    tasks.spawn(serve(), name="bus")
                node.start()
                self.node = node
                await asyncio.Event().wait()
        except BaseExceptionGroup as group:
            # What a dying program stumbles over while its disks are gone is no fault of it.
            faults = group.split(Transient)[1] if self._crashed else group
            if faults is not None:
                raise

    def greet(self, peer: int) -> None:
        """``peer`` has connected."""
        if self.node is not None:
            self.node.peer_connected(peer)

    # Inside

    async def _load(self, bus: MessageBus, tasks: Supervisor) -> Node:
        self._lives += 1
        if self._honest:
            self._setting.checkers.starts.note_start(self.index)
        enclave = InlineEnclave(
            storage=self._enclave_database,
            keys=self._setting.keys.rings[self.index],
            clock=self._clock,
        )
        while True:
            try:
                await enclave.configure(self._setting.chain.spec)
                break
            except Transient:  # the disk is full: in production the start fails and is repeated
                await asyncio.sleep(1)
        node = self._build(bus, tasks, enclave)
        await node.load()
        return node

    def _versions(self) -> Versions:
        """The program that is started now; a second twin's is the other one."""
        now_s = asyncio.get_running_loop().time()
        is_new = now_s >= self._setting.profile.upgrade_s[self.index]
        return NEW if is_new != self.label.endswith("b") else OLD

    @property
    def _wants_builders(self) -> bool:
        return self._setting.profile.builders[self.index] != self.label.endswith("b")

    def _build(self, bus: MessageBus, tasks: Supervisor, enclave: InlineEnclave) -> Node:
        setting, index = self._setting, self.index
        asked = bool(setting.profile.asks)
        shape = NodeShape(
            chain=setting.chain.spec,
            keys=setting.keys.public[index],
            cluster_id=CLUSTER_ID,
            fee_recipients=dict.fromkeys(setting.chain.pubkeys, OLD_RECIPIENT) if asked else {},
            builder_api=self._wants_builders,
            versions=self._versions(),
            attest_on_head=setting.profile.attest_on_head,
        )
        beacon_nodes = self.beacons.composed(tasks, _TraceLog(self))
        ports = NodePorts(
            beacon_node=beacon_nodes,
            bus=bus,
            storage=_Watched(self),
            identity=setting.identity(index),
            clock=self._clock,
            compute=SimCompute(),
            crypto=setting.keys.crypto[index],
            entropy=Random(f"{setting.seed}/entropy/{self.label}/{self._lives}").randbytes,
            spawner=tasks,
            observer=Blames(index, setting.profile.honest),
            log=_TraceLog(self),
            looks_on_chain=False,
            on_report=self._note_report,
            operator=self.operator,
        )
        signing = _Signing(self, enclave)
        node = setting.build(
            shape,
            ports,
            signing=signing,
            own_history=signing,
        )
        node.follow(beacon_nodes)
        tasks.spawn(beacon_nodes.watch(), name="beacon-nodes")
        if self._honest:
            node.components.dutydb.stored.subscribe(self._note_stored)
            node.components.agreement.decision.subscribe(self._note_decided)
            node.components.info_sync.agreements.subscribe(self._note_agreed)
            node.components.sigagg.rejected.subscribe(self._note_rejected)
            node.components.sigagg.aggregated.subscribe(self._note_aggregated)
        return node

    async def _note_stored(self, data_set: UnsignedDataSet) -> None:
        self._setting.checkers.note_stored(self.index, data_set)
        self._setting.features.note_stored(self.index, data_set)

    async def _note_decided(self, decided: Decided) -> None:
        if decided.duty.type is DutyType.INFO_SYNC:
            self._setting.features.note_decided(self.index, decided)

    async def _note_agreed(self, agreed: Agreed) -> None:
        self._setting.features.note_agreed(self.index, agreed)

    async def _note_aggregated(self, signed_set: SignedDataSet) -> None:
        self._setting.checkers.note_aggregated(self.index, self._lives, signed_set)

    async def _note_rejected(self, false_set: PartialSet) -> None:
        self._setting.checkers.note_rejected(self.index, false_set)

    def _note_report(self, report: DutyReport) -> None:
        self._setting.checkers.ended.add((self.index, report.slot, report.type))
        self.note(f"report {report.slot}/{report.type} {report.outcome} {report.reason}")

    def note(self, text: str) -> None:
        """Add an event to the trace."""
        self._setting.trace.note(f"{self.label} {text}")

    def note_signed(self, pubkey: PubKey, payload: Payload) -> None:
        """The enclave approved."""
        if self._honest:
            self._setting.checkers.note_signed(self.index, pubkey, payload)

    def judge_line(self, event: str, fields: dict[str, Any]) -> None:
        """Lines by which an honest node would blame another honest node."""
        if not self._honest:
            return
        accused = {
            "partials_refused": fields.get("peer"),
            "priorities_refused": fields.get("peer"),
            "peer_info_refused": fields.get("peer"),
            "partial_equivocation": int(fields.get("share_index", 0)) - 1,
            "false_partials": int(fields.get("share_index", 0)) - 1,
        }.get(event)
        framed = accused is not None and self._setting.checkers.is_honest(accused)
        require(not framed, "no honest node is blamed", by=self.index, line=event, fields=fields)


def _nothing(_kind: str) -> None:
    return


def _name_of(function: Callable[..., Any]) -> str:
    """What a transaction is called: a kind of write, the same in every run."""
    named = function.func if isinstance(function, partial) else function
    return f"{named.__module__.rpartition('.')[2]}.{named.__qualname__}"


class _Watched:
    """The node's database, which tells of each write before it begins."""

    def __init__(self, owner: SimNode) -> None:
        self._owner = owner
        self._database = owner.database

    async def write(self, function: Callable[[Connection], R], /) -> R:
        """See ``duties.ports.Storage``."""
        self._owner.note_write(_name_of(function))
        return await self._database.write(function)

    async def read(self, function: Callable[[Connection], R], /) -> R:
        """See ``duties.ports.Storage``."""
        return await self._database.read(function)


class _Signing:
    """The enclave, whose every approval is noted."""

    def __init__(self, owner: SimNode, enclave: InlineEnclave) -> None:
        self._owner = owner
        self._signing = EnclaveSigning(enclave)

    async def sign(
        self, requests: tuple[tuple[PubKey, Payload], ...]
    ) -> tuple[Approved | str, ...]:
        """See ``duties.signer.SigningService``."""
        self._owner.note_write("enclave.sign")
        answers = await self._signing.sign(requests)
        for (pubkey, payload), answer in zip(requests, answers, strict=True):
            if isinstance(answer, Approved):
                self._owner.note_signed(pubkey, payload)
        return answers

    async def forgotten(self, signed: tuple[Signed, ...]) -> tuple[int, ...]:
        """See ``duties.ports.OwnHistory``."""
        return await self._signing.forgotten(signed)

    async def learn(self, signed: tuple[Signed, ...]) -> None:
        """See ``duties.ports.OwnHistory``."""
        self._owner.note_write("enclave.learn")
        await self._signing.learn(signed)

    async def is_restored(self) -> bool:
        """See ``duties.ports.OwnHistory``."""
        return await self._signing.is_restored()

    async def recover(self) -> None:
        """See ``duties.ports.OwnHistory``."""
        await self._signing.recover()


class _TraceLog:
    """Lines become events of the trace. Satisfies ``observability.logs.Log``."""

    def __init__(self, owner: SimNode) -> None:
        self._owner = owner

    def bind(self, **_fields: Any) -> Self:
        """Itself: a life has one log."""
        return self

    def debug(self, event: str, **fields: Any) -> None:
        """See ``Log``."""
        self._note(event, fields)

    info = warning = error = critical = debug

    def _note(self, event: str, fields: dict[str, Any]) -> None:
        error = fields.pop("exc_info", None)
        detail = " ".join(f"{name}={value}" for name, value in fields.items())
        self._owner.note(f"{event} {detail}" + (f" {error!r}" if error else ""))
        self._owner.judge_line(event, fields)
