"""The validator API on a real socket, before a fake beacon node, over ports in memory.

Cluster of four operators, three validators; this node is operator 2. Slot 20 is in progress:
validators 1 and 2 attest in it (committees 0 and 1), validator 3 proposes. Nothing is due in 21.
Validators 1 and 2 are in the sync committee: 1 in subcommittees 0, 1 and 3, 2 in subcommittee 0.
Every answer of the API is judged by the beacon API's description.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from tests.ethereum.beacon_node.fake_node import FakeBeaconNode, config, genesis
from tests.ethereum.beacon_node.support import attestation_data
from tests.openapi import BeaconApi

from tetrarch.crypto.bls import SecretKey
from tetrarch.duties.errors import DutyNotFound, DutyNotResolved
from tetrarch.duties.keys import ClusterKeys
from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyDefinition,
    DutyType,
    PartialSet,
    ProposerDefinition,
    PubKey,
    SelectionPayload,
    ShareIndex,
    SignedData,
    SyncCommitteeDefinition,
    SyncSelectionPayload,
    UnsignedAggregate,
    UnsignedContribution,
    UnsignedData,
    UnsignedDataSet,
)
from tetrarch.duties.waiting import Waiters
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.beacon_node.client import connect_beacon_node
from tetrarch.ethereum.beacon_node.http import Timeouts
from tetrarch.ethereum.spec.aggregates import Aggregate, SyncCommitteeContribution
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import DomainType, ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.observability.logs import LogLevel, build_log
from tetrarch.validator_api.api import Limits, ValidatorApi
from tetrarch.validator_api.ports import Ports
from tetrarch.validator_api.server import ValidatorApiServer

SLOT = 20
IDLE_SLOT = 21
SLOTS_PER_EPOCH = 8
SLOT_MS = 12_000
GENESIS_S = 1_000_000
OPERATORS = 4
OWN = ShareIndex(2)
COMMITTEE_LENGTH = 5
JSON = "application/json"
SSZ = "application/octet-stream"


def root_key(validator: int) -> PubKey:
    return PubKey(SecretKey.from_bytes(bytes([7] * 31 + [validator])).public_key())


def share(validator: int, operator: int = OWN) -> SecretKey:
    return SecretKey.from_bytes(bytes([9] * 30 + [validator, operator]))


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def cluster_keys() -> ClusterKeys:
    operators = range(1, OPERATORS + 1)
    return ClusterKeys(
        threshold=3,
        share_count=OPERATORS,
        own_share_index=OWN,
        shares={
            root_key(each): tuple(share(each, operator).public_key() for operator in operators)
            for each in (1, 2, 3)
        },
    )


class MemoryDuties:
    """The scheduler: epochs up to 3 are resolved."""

    def __init__(self) -> None:
        attesters = tuple(
            AttesterDefinition(
                pubkey=root_key(validator),
                slot=SLOT,
                validator_index=100 + validator,
                committee_index=validator - 1,
                committee_length=COMMITTEE_LENGTH,
                committees_at_slot=2,
                validator_committee_index=validator,
            )
            for validator in (1, 2)
        )
        proposer = ProposerDefinition(pubkey=root_key(3), slot=SLOT, validator_index=3)
        members = tuple(
            SyncCommitteeDefinition(
                pubkey=root_key(validator),
                slot=SLOT,
                validator_index=100 + validator,
                positions=positions,
            )
            for validator, positions in ((1, (1, 9, 30)), (2, (2,)))
        )
        self.known: dict[Duty, tuple[DutyDefinition, ...]] = {
            Duty(SLOT, DutyType.ATTESTER): attesters,
            Duty(SLOT, DutyType.PREPARE_AGGREGATOR): attesters,
            Duty(SLOT, DutyType.AGGREGATOR): attesters,
            Duty(SLOT, DutyType.PROPOSER): (proposer,),
            Duty(SLOT, DutyType.SYNC_MESSAGE): members,
            Duty(SLOT, DutyType.PREPARE_SYNC_CONTRIBUTION): members,
            Duty(SLOT, DutyType.SYNC_CONTRIBUTION): members,
        }

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        if duty.slot >= 4 * SLOTS_PER_EPOCH:
            raise DutyNotResolved("look up duty", duty=duty)
        if duty not in self.known:
            raise DutyNotFound("look up duty", duty=duty)
        return DefinitionSet(duty=duty, definitions=self.known[duty])

    def pubkey_of(self, validator_index: int) -> PubKey | None:
        return {101: root_key(1), 102: root_key(2), 103: root_key(3)}.get(validator_index)


class MemoryDecided:
    """DutyDB: what a test decides."""

    def __init__(self) -> None:
        self._values: dict[DutyType, Any] = {}
        self._waiters = Waiters[DutyType, Any]()
        self.asked = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many kinds of data somebody waits for."""
        return len(self._waiters.keys)

    def decide_block(self, proposal: Proposal) -> None:
        self._decide(DutyType.PROPOSER, (root_key(3), proposal))

    def decide_attestation(self, data: dict[int, AttestationData]) -> None:
        """The agreed data by committee index."""
        self._decide(DutyType.ATTESTER, data)

    def decide(self, duty_type: DutyType, *items: UnsignedData) -> None:
        """The agreed aggregates or contributions of ``SLOT``."""
        self._decide(duty_type, UnsignedDataSet(duty=Duty(SLOT, duty_type), items=items))

    def _decide(self, duty_type: DutyType, value: object) -> None:
        self._values[duty_type] = value
        self._waiters.announce(duty_type, value)

    async def await_beacon_block(self, slot: int) -> tuple[PubKey, Proposal]:
        value: tuple[PubKey, Proposal] = await self._wait(DutyType.PROPOSER)
        return value

    async def await_attestation(self, slot: int, committee_index: int) -> AttestationData:
        data = await self._wait(DutyType.ATTESTER)
        found: AttestationData = data.get(committee_index, data[0])
        return found

    async def pub_key_by_attestation(
        self, slot: int, committee_index: int, validator_committee_index: int
    ) -> PubKey:
        places = {(SLOT, 0, 1): root_key(1), (SLOT, 1, 2): root_key(2)}
        place = (slot, committee_index, validator_committee_index)
        if place not in places:
            raise DutyNotFound("find validator")
        return places[place]

    async def await_decided(self, duty: Duty) -> UnsignedDataSet:
        found: UnsignedDataSet = await self._wait(duty.type)
        return found

    async def await_agg_attestation(
        self, slot: int, data_root: bytes, committee_index: int | None = None
    ) -> Aggregate:
        for item in (await self.await_decided(Duty(slot, DutyType.AGGREGATOR))).items:
            assert isinstance(item, UnsignedAggregate)
            aggregate = item.message.aggregate
            is_of = committee_index in (None, aggregate.committee_index)
            if is_of and aggregate.data.hash_tree_root() == data_root:
                return aggregate
        raise DutyNotFound("await aggregate")

    async def await_sync_contribution(
        self, slot: int, subcommittee_index: int, beacon_block_root: bytes
    ) -> SyncCommitteeContribution:
        for item in (await self.await_decided(Duty(slot, DutyType.SYNC_CONTRIBUTION))).items:
            assert isinstance(item, UnsignedContribution)
            contribution = item.message.contribution
            key = (contribution.subcommittee_index, contribution.beacon_block_root)
            if key == (subcommittee_index, beacon_block_root):
                return contribution
        raise DutyNotFound("await contribution")

    async def _wait(self, duty_type: DutyType) -> Any:
        async def present() -> Any:
            self.asked.set()
            return self._values.get(duty_type)

        return await self._waiters.wait(duty_type, present)


class MemoryAggregated:
    """AggSigDB: the group's signature is 96 bytes that tell what it is for."""

    def __init__(self) -> None:
        self.is_complete = asyncio.Event()
        self.asked: list[tuple[Duty, PubKey, int]] = []
        self.present: dict[tuple[PubKey, int], SignedData] = {}

    def hold(self, payload: SelectionPayload | SyncSelectionPayload, pubkey: PubKey) -> None:
        """The group's proof is there."""
        self.present[pubkey, payload.sub_index] = SignedData(
            pubkey=pubkey,
            payload=payload,
            signature=group_proof(payload.slot, pubkey, payload.sub_index),
        )

    async def signed_of(self, duty: Duty) -> dict[tuple[PubKey, int], SignedData]:
        del duty
        return self.present

    async def await_signed(self, duty: Duty, pubkey: PubKey, *, sub_index: int = 0) -> SignedData:
        self.asked.append((duty, pubkey, sub_index))
        await self.is_complete.wait()
        payload: SelectionPayload | SyncSelectionPayload = SelectionPayload(slot=duty.slot)
        if duty.type is DutyType.PREPARE_SYNC_CONTRIBUTION:
            payload = SyncSelectionPayload(slot=duty.slot, subcommittee_index=sub_index)
        signature = group_proof(duty.slot, pubkey, sub_index)
        return SignedData(pubkey=pubkey, payload=payload, signature=signature)


def group_proof(slot: int, pubkey: PubKey, sub_index: int = 0) -> bytes:
    """What ``MemoryAggregated`` has."""
    return pubkey + slot.to_bytes(24, "little") + sub_index.to_bytes(24, "little")


class MemoryProofs:
    """ParSigDB: whether a client has handed in its part of the selection proofs."""

    def __init__(self) -> None:
        self.handed_in = True

    def has_proofs(self, duty: Duty) -> bool:
        assert duty.type in (DutyType.AGGREGATOR, DutyType.SYNC_CONTRIBUTION)
        return self.handed_in


class Threads:
    """The compute port on real threads."""

    async def run(self, function: Callable[[], Any], /, *, cost_ms: float = 0.0) -> Any:
        del cost_ms
        return await asyncio.to_thread(function)


class FixedClock:
    """One second into ``SLOT``, for ever."""

    def wall_s(self) -> float:
        return GENESIS_S + SLOT * SLOT_MS / 1000 + 1


class MovableClock:
    """The time that a test says."""

    now_s = FixedClock().wall_s()

    def wall_s(self) -> float:
        return self.now_s


def chain_of(fork: Fork) -> ChainSpec:
    """A chain that is in ``fork`` from its start."""
    activations = tuple(
        ForkActivation(fork=each, version=bytes([each.order, 0, 0, 1]), epoch=0)
        for each in Fork
        if fork.at_least(each)
    )
    return ChainSpec(
        preset="minimal",
        genesis_time_s=GENESIS_S,
        slot_duration_ms=SLOT_MS,
        slots_per_epoch=SLOTS_PER_EPOCH,
        forks=ForkSchedule(
            genesis_fork_version=bytes([0, 0, 0, 1]),
            genesis_validators_root=b"g" * 32,
            activations=activations,
        ),
    )


@dataclass(frozen=True)
class Got:
    """An answer of the API, already judged."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        message: str = self.value["message"]
        return message


@dataclass
class World:
    """One running API."""

    fork: Fork
    chain: ChainSpec
    node: FakeBeaconNode
    duties: MemoryDuties
    decided: MemoryDecided
    aggregated: MemoryAggregated
    proofs: MemoryProofs
    api: ValidatorApi
    server: ValidatorApiServer
    session: aiohttp.ClientSession
    log: io.StringIO
    submitted: list[PartialSet] = field(default_factory=list)
    judge: BeaconApi = field(default_factory=BeaconApi)
    judges: bool = True  # not where we answer more than the beacon API has
    serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.bound_port}"

    async def get(self, path: str, *, accept: str = JSON) -> Got:
        return await self.ask("GET", path, headers={"Accept": accept})

    async def post(self, path: str, value: object, **headers: str) -> Got:
        """POST ``value``: bytes as SSZ, anything else as JSON."""
        kind, body = SSZ, value
        if not isinstance(value, bytes):
            kind, body = JSON, json.dumps(value).encode()
        assert isinstance(body, bytes)
        # Names as identifiers: Eth_Consensus_Version.
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return await self.ask("POST", path, headers={"Content-Type": kind, **named}, body=body)

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str], body: bytes = b""
    ) -> Got:
        url = self.url + path
        data = io.BytesIO(body)  # large bodies too
        async with self.session.request(method, url, headers=headers, data=data) as response:
            got = Got(response.status, dict(response.headers), await response.read())
        if self.judges and self.judge.knows(method, path):
            self.judge.check_response(
                method, path, status=got.status, headers=response.headers, body=got.body
            )
        return got

    def signed(
        self, domain: DomainType, root: bytes, validator: int, *, operator: int = OWN
    ) -> bytes:
        """A share's signature over an object of ``SLOT``'s epoch."""
        epoch = SLOT // SLOTS_PER_EPOCH
        signing_root = self.chain.forks.signing_root(domain, epoch, root)
        return self.sign_root(signing_root, validator, operator=operator)

    def sign_root(self, signing_root: bytes, validator: int, *, operator: int = OWN) -> bytes:
        """A share's signature over ``signing_root``."""
        return share(validator, operator).sign(signing_root)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the API work until ``condition`` holds."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - the world has no event for it
                await asyncio.sleep(0.01)

    def reveal(self, validator: int = 3, *, operator: int = OWN) -> bytes:
        epoch = SLOT // SLOTS_PER_EPOCH
        root = epoch.to_bytes(32, "little")
        return self.signed(DomainType.RANDAO, root, validator, operator=operator)

    def agreed_attestation(self) -> dict[int, AttestationData]:
        """Decide attestation data as the fork has it, and return it by committee."""
        electra = self.fork.at_least(Fork.ELECTRA)
        data = {index: attestation_data(SLOT, 0 if electra else index) for index in (0, 1)}
        self.decided.decide_attestation(data)
        return data


def run_world(
    scenario: Callable[[World], Awaitable[None]],
    *,
    fork: Fork = Fork.DENEB,
    limits: Limits | None = None,
) -> World:
    """Run ``scenario`` against a fresh world; returns it for the log and what was submitted."""
    worlds: list[World] = []

    async def main() -> None:
        async with _running(fork, limits) as world:
            worlds.append(world)
            await scenario(world)

    asyncio.run(main())
    return worlds[0]


@asynccontextmanager
async def _running(fork: Fork, limits: Limits | None) -> AsyncIterator[World]:
    node = FakeBeaconNode()
    node.answers["GET /eth/v1/beacon/genesis"] = genesis(GENESIS_S)
    node.answers["GET /eth/v1/config/spec"] = config()
    async with (
        node.running(),
        connect_beacon_node(node.url, timeouts=Timeouts(proxy_idle_s=0.5)) as client,
        aiohttp.ClientSession() as session,
    ):
        chain, duties, decided = chain_of(fork), MemoryDuties(), MemoryDecided()
        aggregated, proofs = MemoryAggregated(), MemoryProofs()
        ports = Ports(
            duties=duties,
            decided=decided,
            aggregated=aggregated,
            proofs=proofs,
            keys=cluster_keys(),
            beacon_node=client,
            chain=chain,
            clock=FixedClock(),
            compute=Threads(),
            entropy=system_entropy,
        )
        api = ValidatorApi(ports, version="tetrarch/1.2.3", limits=limits)
        text = io.StringIO()
        log = build_log(text, clock=FixedClock(), level=LogLevel.DEBUG)
        server = ValidatorApiServer(api, host="127.0.0.1", port=0, log=log)
        stores = (duties, decided, aggregated, proofs)
        world = World(fork, chain, node, *stores, api, server, session, text)

        async def note(partial_set: PartialSet) -> None:
            world.submitted.append(partial_set)

        api.submitted.subscribe(note)
        serving = world.serving = asyncio.create_task(server.run())
        try:
            await server.listening.wait()
            yield world
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
