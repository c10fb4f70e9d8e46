"""Values and small in-memory ports that the workflow's tests share."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from tetrarch.clock import Clock
from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.threshold import split
from tetrarch.duties.keys import ClusterKeys
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyType,
    PartialSet,
    PartialSignature,
    ProposalPayload,
    ProposerDefinition,
    PubKey,
    RandaoPayload,
    ShareIndex,
    SignedData,
    SignedDataSet,
    UnsignedAttestation,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.ethereum.beacon_node.ports import (
    AttesterDuties,
    AttesterDuty,
    BlockRequest,
    BlockSummary,
    ProposerDuties,
    ProposerDuty,
    SyncDuties,
    SyncDuty,
    ValidatorRecord,
    ValidatorStatus,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH, ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork
from tetrarch.node import SCHEMAS
from tetrarch.observability.logs import LogLevel, build_log
from tetrarch.storage.inline import InlineDatabase

R = TypeVar("R")
GENESIS_S = 1_700_000_000

CHAIN = ChainSpec(
    preset="minimal",
    genesis_time_s=GENESIS_S,
    slot_duration_ms=12_000,
    slots_per_epoch=8,
    forks=ForkSchedule(
        genesis_fork_version=bytes.fromhex("10000000"),
        genesis_validators_root=b"g" * 32,
        activations=(
            ForkActivation(fork=Fork.ELECTRA, version=bytes.fromhex("15000000"), epoch=0),
        ),
    ),
)


class FixedClock:
    """A wall clock that stands until it is set."""

    def __init__(self, wall_s: float = GENESIS_S) -> None:
        self.now_s = wall_s

    def wall_s(self) -> float:
        return self.now_s


class InlineCompute:
    """Runs at once, on the loop."""

    async def run(self, function: Callable[[], R], /, *, cost_ms: float = 0.0) -> R:
        del cost_ms
        return function()


class TaskSpawner:
    """Keeps started work so that a test can wait for it."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None], /, *, name: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def settle(self) -> None:
        while any(not task.done() for task in self.tasks):
            await asyncio.gather(*self.tasks)


class Bus:
    """Records what is sent; ``deliver`` plays a peer."""

    def __init__(self, *, own_index: int = 0, peers: tuple[int, ...] = (1, 2, 3)) -> None:
        self.own_index = own_index
        self.peers = peers
        self.sent: list[tuple[int | None, int, bytes]] = []
        self._handlers: dict[int, Any] = {}

    def send(self, peer: int, topic: int, payload: bytes) -> bool:
        self.sent.append((peer, topic, payload))
        return True

    def broadcast(self, topic: int, payload: bytes) -> None:
        self.sent.append((None, topic, payload))

    def subscribe(self, topic: int, handler: Any) -> None:
        self._handlers[topic] = handler

    async def deliver(self, peer: int, topic: int, payload: bytes) -> None:
        await self._handlers[topic](peer, payload)


def log() -> Any:
    return build_log(io.StringIO(), clock=FixedClock(), level=LogLevel.CRITICAL)


def database() -> InlineDatabase:
    return InlineDatabase.open(SCHEMAS)


def attestation_data(slot: int = 9, *, head: bytes = b"h" * 32, index: int = 0) -> AttestationData:
    return AttestationData(
        slot=slot,
        index=index,
        beacon_block_root=head,
        source=Checkpoint(epoch=0, root=b"s" * 32),
        target=Checkpoint(epoch=slot // 8, root=b"t" * 32),
    )


class Validators:
    """Real 3-of-4 keys for ``count`` validators."""

    def __init__(self, count: int = 2, *, threshold: int = 3, shares: int = 4) -> None:
        counter = iter(range(1, 10_000))

        def entropy(size_bytes: int) -> bytes:
            return (next(counter)).to_bytes(4, "big").rjust(size_bytes, b"\1")[:size_bytes]

        self.shares: dict[PubKey, dict[int, SecretKey]] = {}
        for number in range(count):
            secret = SecretKey.from_bytes((number + 7).to_bytes(32, "big"))
            dealing = split(secret, threshold=threshold, share_count=shares, entropy=entropy)
            self.shares[PubKey(secret.public_key())] = dict(dealing.shares)
        self.pubkeys = tuple(sorted(self.shares))
        self.keys = ClusterKeys(
            threshold=threshold,
            share_count=shares,
            own_share_index=ShareIndex(1),
            shares={
                pubkey: tuple(by_index[i].public_key() for i in range(1, shares + 1))
                for pubkey, by_index in self.shares.items()
            },
        )

    def definition(self, number: int, slot: int = 9) -> AttesterDefinition:
        return AttesterDefinition(
            pubkey=self.pubkeys[number],
            slot=slot,
            validator_index=100 + number,
            committee_index=number % 2,
            committee_length=8,
            committees_at_slot=2,
            validator_committee_index=number // 2,
        )

    def unsigned(self, slot: int = 9, **changes: Any) -> UnsignedDataSet:
        data = attestation_data(slot, **changes)
        items = tuple(
            UnsignedAttestation(definition=self.definition(number, slot), data=data)
            for number in range(len(self.pubkeys))
        )
        return UnsignedDataSet(duty=Duty(slot, DutyType.ATTESTER), items=items)

    def definitions(self, slot: int = 9) -> DefinitionSet:
        return DefinitionSet(
            duty=Duty(slot, DutyType.ATTESTER),
            definitions=tuple(self.definition(n, slot) for n in range(len(self.pubkeys))),
        )

    def partials(self, share: int, slot: int = 9, **changes: Any) -> PartialSet:
        payload = AttestationPayload(data=attestation_data(slot, **changes))
        root = signing_root(payload, CHAIN)
        partials = tuple(
            PartialSignature(
                pubkey=pubkey,
                share_index=ShareIndex(share),
                payload=payload,
                signature=self.shares[pubkey][share].sign(root),
            )
            for pubkey in self.pubkeys
        )
        return PartialSet(duty=Duty(slot, DutyType.ATTESTER), partials=partials)


def spoilt(partial_set: PartialSet, other: PartialSet) -> PartialSet:
    """``partial_set`` with the signatures of ``other``: points of the group, but false."""
    partials = tuple(
        replace(mine, signature=theirs.signature)
        for mine, theirs in zip(partial_set.partials, other.partials, strict=True)
    )
    return replace(partial_set, partials=partials)


async def nothing(*_: object) -> None:
    """A handler that does nothing."""


def recorded(output: Any) -> list[Any]:
    """A list that grows with everything ``output`` emits from now on."""
    seen: list[Any] = []

    async def record(value: Any) -> None:
        seen.append(value)

    output.subscribe(record)
    return seen


async def sleep_until(slot: float, clock: Clock) -> None:
    """Sleep until ``slot`` (and a part of it) by ``clock``, which may be set meanwhile."""
    while (left_s := GENESIS_S + 12 * slot - clock.wall_s()) > 0:  # noqa: ASYNC110 - a clock
        await asyncio.sleep(left_s)


def chain_of(fork: Fork) -> ChainSpec:
    """``CHAIN`` with another fork in force from genesis."""
    activation = ForkActivation(fork=fork, version=bytes.fromhex("15000000"), epoch=0)
    return replace(CHAIN, forks=replace(CHAIN.forks, activations=(activation,)))


def block(
    slot: int = 9,
    *,
    proposer: int = 100,
    randao: bytes = b"\xaa" * 96,
    blinded: bool = False,
    pays: bytes = bytes(20),
) -> Proposal:
    """A real, empty Electra block."""
    types = spec_types(Fork.ELECTRA, "minimal")
    contents = types.BlindedBeaconBlock.default() if blinded else types.BlockContents.default()
    empty = contents if blinded else contents.block
    name = "execution_payload_header" if blinded else "execution_payload"
    payload = getattr(empty.body, name).replace(fee_recipient=pays)
    body = empty.body.replace(randao_reveal=randao, **{name: payload})
    made = empty.replace(slot=slot, proposer_index=proposer, body=body)
    ssz = (made if blinded else contents.replace(block=made)).encode()
    return Proposal.from_ssz(Fork.ELECTRA, blinded, ssz, preset="minimal")


def proposal_set(pubkey: PubKey, proposal: Proposal, *, validator_index: int = 100) -> Any:
    """The decided block of a slot."""
    slot = proposal.header.slot
    definition = ProposerDefinition(pubkey=pubkey, slot=slot, validator_index=validator_index)
    item = UnsignedProposal(definition=definition, proposal=proposal)
    return UnsignedDataSet(duty=Duty(slot, DutyType.PROPOSER), items=(item,))


def signed_block(pubkey: PubKey, proposal: Proposal) -> SignedDataSet:
    """A group signature over ``proposal``, of made-up bytes."""
    payload = ProposalPayload(fork=proposal.fork, blinded=proposal.blinded, header=proposal.header)
    item = SignedData(pubkey=pubkey, payload=payload, signature=b"\xbb" * 96)
    return SignedDataSet(duty=Duty(proposal.header.slot, DutyType.PROPOSER), items=(item,))


def signed_randao(pubkey: PubKey, slot: int = 9, *, signature: bytes = b"\xaa" * 96) -> Any:
    """The group's randao reveal for ``slot``, of made-up bytes."""
    payload = RandaoPayload(epoch=CHAIN.epoch_of(slot))
    item = SignedData(pubkey=pubkey, payload=payload, signature=signature)
    return SignedDataSet(duty=Duty(slot, DutyType.RANDAO), items=(item,))


class ScriptedBeaconNode:
    """Answers from its fields, counts its calls, and fails the calls named in ``failing``."""

    def __init__(self, pubkeys: tuple[PubKey, ...] = ()) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.failing: dict[str, BaseException] = {}
        self.statuses = dict.fromkeys(pubkeys, ValidatorStatus.ACTIVE_ONGOING)
        self.indices = {pubkey: 100 + number for number, pubkey in enumerate(pubkeys)}
        self.attesters: list[AttesterDuty] = []
        self.proposers: list[ProposerDuty] = []
        self.members: list[SyncDuty] = []
        self.aggregates: dict[tuple[bytes, int], Any] = {}  # by data root and committee
        self.contributions: dict[tuple[int, bytes], Any] = {}  # by subcommittee and head
        self.head_root = b"n" * 32
        self.dependent_root = bytes(32)
        self.activations: dict[PubKey, int] = {}  # epochs, where the status does not say
        self.exits: dict[PubKey, int] = {}
        self.data: Callable[[int], AttestationData] = attestation_data
        self.pays: Callable[[bool], bytes] = lambda _prepared: bytes(20)
        self.delay_s = 0.0

    async def _called(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *arguments))
        await asyncio.sleep(self.delay_s)
        if name in self.failing:
            raise self.failing[name]

    def called(self, name: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]

    def attests(self, pubkey: PubKey, slot: int, **changes: Any) -> None:
        duty = AttesterDuty(
            pubkey=pubkey,
            slot=slot,
            validator_index=self.indices[pubkey],
            committee_index=0,
            committee_length=8,
            committees_at_slot=2,
            validator_committee_index=0,
        )
        self.attesters.append(replace(duty, **changes))

    def proposes(self, pubkey: PubKey, slot: int) -> None:
        index = self.indices.get(pubkey, 7)
        self.proposers.append(ProposerDuty(pubkey=pubkey, slot=slot, validator_index=index))

    async def validators(self, pubkeys: tuple[bytes, ...], **_: Any) -> tuple[Any, ...]:
        await self._called("validators", pubkeys)
        return tuple(
            ValidatorRecord(
                index=self.indices[pubkey],
                pubkey=pubkey,
                status=status,
                balance_gwei=32 * 10**9,
                activation_epoch=self.activations.get(
                    pubkey, 0 if status.is_active else FAR_FUTURE_EPOCH
                ),
                exit_epoch=self.exits.get(pubkey, FAR_FUTURE_EPOCH),
            )
            for pubkey, status in self.statuses.items()
            if pubkey in pubkeys
        )

    async def attester_duties(self, epoch: int, indices: tuple[int, ...]) -> AttesterDuties:
        await self._called("attester_duties", epoch, indices)
        found = tuple(
            duty
            for duty in self.attesters
            if CHAIN.epoch_of(duty.slot) == epoch and duty.validator_index in indices
        )
        return AttesterDuties(epoch=epoch, dependent_root=self.dependent_root, duties=found)

    async def proposer_duties(self, epoch: int) -> ProposerDuties:
        await self._called("proposer_duties", epoch)
        found = tuple(duty for duty in self.proposers if CHAIN.epoch_of(duty.slot) == epoch)
        return ProposerDuties(epoch=epoch, dependent_root=bytes(32), duties=found)

    async def sync_duties(self, epoch: int, indices: tuple[int, ...]) -> SyncDuties:
        await self._called("sync_duties", epoch, indices)
        found = tuple(each for each in self.members if each.validator_index in indices)
        return SyncDuties(epoch=epoch, duties=found)

    async def aggregate_attestation(
        self, fork: Fork, slot: int, data_root: bytes, committee_index: int
    ) -> Any:
        await self._called("aggregate_attestation", fork, slot, data_root, committee_index)
        return self.aggregates.get((data_root, committee_index))

    async def sync_contribution(self, slot: int, subcommittee: int, root: bytes) -> Any:
        await self._called("sync_contribution", slot, subcommittee, root)
        return self.contributions.get((subcommittee, root))

    async def head(self) -> BlockSummary:
        await self._called("head")
        return BlockSummary(slot=8, root=self.head_root, parent_root=bytes(32), proposer_index=0)

    async def attestation_data(self, slot: int, committee_index: int) -> AttestationData:
        await self._called("attestation_data", slot, committee_index)
        return self.data(slot)

    async def produce_block(self, request: BlockRequest) -> Proposal:
        await self._called("produce_block", request)
        pays = self.pays(bool(self.called("prepare_beacon_proposer")))
        return block(request.slot, randao=request.randao_reveal, pays=pays)

    async def submit_attestations(self, fork: Fork, submissions: tuple[Any, ...]) -> None:
        await self._called("submit_attestations", fork, submissions)

    async def submit_aggregates(self, fork: Fork, aggregates: tuple[Any, ...]) -> None:
        await self._called("submit_aggregates", fork, aggregates)

    async def submit_sync_messages(self, messages: tuple[Any, ...]) -> None:
        await self._called("submit_sync_messages", messages)

    async def submit_contributions(self, contributions: tuple[Any, ...]) -> None:
        await self._called("submit_contributions", contributions)

    async def submit_exit(self, signed: Any) -> None:
        await self._called("submit_exit", signed)

    async def register_validators(self, registrations: tuple[Any, ...]) -> None:
        await self._called("register_validators", registrations)

    async def publish_block(self, signed: Any) -> None:
        await self._called("publish_block", signed)

    async def prepare_beacon_proposer(self, preparations: tuple[Any, ...]) -> None:
        await self._called("prepare_beacon_proposer", preparations)

    async def subscribe_committees(self, subscriptions: tuple[Any, ...]) -> None:
        await self._called("subscribe_committees", subscriptions)

    async def subscribe_sync_committees(self, subscriptions: tuple[Any, ...]) -> None:
        await self._called("subscribe_sync_committees", subscriptions)


class RecordingLog:
    """Keeps the events it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def bind(self, **_: Any) -> "RecordingLog":
        return self

    def find(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, name, fields in self.lines if name == event]

    def debug(self, event: str, **fields: Any) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))

    def critical(self, event: str, **fields: Any) -> None:
        self.lines.append(("critical", event, fields))
