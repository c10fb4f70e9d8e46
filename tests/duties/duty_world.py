"""Values and small in-memory ports that the workflow's tests share."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

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
    PubKey,
    ShareIndex,
    UnsignedAttestation,
    UnsignedDataSet,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import ForkActivation, ForkSchedule
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
