"""Exchange of partials: what a peer may say, what it gets back, and what gets lost is repaired."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.duties.duty_world import (
    CHAIN,
    GENESIS_S,
    Bus,
    FixedClock,
    RecordingLog,
    Validators,
    attestation_data,
    block,
    database,
    log,
    recorded,
)
from tests.duties.other_duties import registration

from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.parsigdb import ParSigDB
from tetrarch.duties.parsigex import ANSWERS_MAX, HEARD_MAX, ParSigEx
from tetrarch.duties.partials_codec import decode_partials, encode_partials
from tetrarch.duties.types import (
    AttestationPayload,
    Duty,
    DutyType,
    ExitPayload,
    PartialSet,
    Payload,
    ProposalPayload,
    PubKey,
    RandaoPayload,
    RegistrationPayload,
    ShareIndex,
    SignedData,
    SignedDataSet,
)
from tetrarch.errors import PeerFault
from tetrarch.ethereum.spec.messages import VoluntaryExit
from tetrarch.ethereum.spec.values import Fork
from tetrarch.network.ports import Topic

VALIDATORS = Validators(2)
DUTY = Duty(9, DutyType.ATTESTER)


class World:
    """Node 0's exchange, with the real ParSigDB behind it."""

    def __init__(self) -> None:
        self.clock = FixedClock(GENESIS_S + 12 * 9 + 4)
        self.bus = Bus()
        deadlines = Deadlines(chain=CHAIN, clock=self.clock)
        self.partials = ParSigDB(
            storage=database(),
            threshold=3,
            clock=self.clock,
            is_open=deadlines.is_open,
            log=log(),
        )
        self.log = RecordingLog()
        self.exchange = ParSigEx(
            bus=self.bus,
            keys=VALIDATORS.keys,
            chain=CHAIN,
            clock=self.clock,
            own=self.partials,
            log=self.log,
        )
        self.received: list[PartialSet] = recorded(self.exchange.received)
        self.faults: list[tuple[int, PeerFault]] = recorded(self.exchange.faults)

    async def hear(self, peer: int, partial_set: PartialSet, *, answer: bool = False) -> None:
        payload = encode_partials(partial_set, answer=answer)
        await self.bus.deliver(peer, Topic.PARTIAL_SIGNATURES, payload)

    def sent(self) -> list[tuple[int | None, PartialSet, bool]]:
        """What left since the last look: to whom (None: all), what, and whether as an answer."""
        sent, self.bus.sent = self.bus.sent, []
        return [
            (peer, *decode_partials(payload, share_index=ShareIndex(1)))
            for peer, topic, payload in sent
            if topic == Topic.PARTIAL_SIGNATURES
        ]


def run(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(World())

    asyncio.run(main())


def test_share_index_is_the_senders_whatever_it_says() -> None:
    async def scenario(world: World) -> None:
        await world.hear(2, VALIDATORS.partials(1))
        (partial_set,) = world.received
        assert {p.share_index for p in partial_set.partials} == {3}

    run(scenario)


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\xff" * 50, msgspec.msgpack.encode([1, 2])])
def test_garbage_is_a_fault_of_the_peer_and_goes_no_further(payload: bytes) -> None:
    async def scenario(world: World) -> None:
        await world.bus.deliver(1, Topic.PARTIAL_SIGNATURES, payload)
        assert world.received == []
        ((peer, fault),) = world.faults
        assert peer == 1
        assert isinstance(fault, PeerFault)
        await world.hear(1, VALIDATORS.partials(2))
        assert len(world.received) == 1, "the peer is still heard"

    run(scenario)


def with_payload(duty: Duty, payload: Payload, **changes: Any) -> PartialSet:
    partial = replace(VALIDATORS.partials(2).partials[0], payload=payload, **changes)
    return PartialSet(duty=duty, partials=(partial,))


def attesting(**changes: Any) -> AttestationPayload:
    return AttestationPayload(data=replace(attestation_data(9), **changes))


BLOCK = ProposalPayload(fork=block().fork, blinded=False, header=block().header)
PROPOSAL, RANDAO = Duty(9, DutyType.PROPOSER), Duty(9, DutyType.RANDAO)
REGISTRATION = Duty(9, DutyType.BUILDER_REGISTRATION)


@pytest.mark.parametrize(
    "partial_set",
    [
        with_payload(DUTY, attesting(), pubkey=b"\1" * 48),
        with_payload(REGISTRATION, RegistrationPayload(message=registration(PubKey(b"\1" * 48)))),
        with_payload(DUTY, attesting(slot=10)),
        with_payload(DUTY, attesting(target=replace(attestation_data(9).target, epoch=2))),
        with_payload(DUTY, RandaoPayload(epoch=1)),
        with_payload(PROPOSAL, attesting()),
        with_payload(PROPOSAL, replace(BLOCK, fork=Fork.DENEB)),
        with_payload(PROPOSAL, replace(BLOCK, header=replace(BLOCK.header, slot=8))),
        with_payload(RANDAO, RandaoPayload(epoch=2)),
        with_payload(RANDAO, BLOCK),
        with_payload(Duty(9, DutyType.AGGREGATOR), attesting()),
    ],
    ids=[
        "foreign validator",
        "sub-index",
        "other slot",
        "other target epoch",
        "randao for an attester",
        "attestation for a proposer",
        "other fork",
        "block of another slot",
        "other epoch",
        "block for a randao",
        "type without partials",
    ],
)
def test_implausible_partials_are_a_fault(partial_set: PartialSet) -> None:
    async def scenario(world: World) -> None:
        await world.hear(1, partial_set)
        assert world.received == []
        assert len(world.faults) == 1

    run(scenario)


@pytest.mark.parametrize("payload", [attesting(), BLOCK, RandaoPayload(epoch=1)])
def test_plausible_partials_of_every_kind_are_taken(payload: Payload) -> None:
    async def scenario(world: World) -> None:
        world.clock.now_s = GENESIS_S + 12 * 9 + 1  # blocks end at a third of their slot
        kinds = {AttestationPayload: DUTY, ProposalPayload: PROPOSAL, RandaoPayload: RANDAO}
        await world.hear(1, with_payload(kinds[type(payload)], payload))
        assert len(world.received) == 1
        assert world.faults == []

    run(scenario)


@pytest.mark.parametrize("slot", [0, 9 + 8 * 4, 2**62])
def test_duties_that_ended_or_are_far_ahead_are_passed_over(slot: int) -> None:
    async def scenario(world: World) -> None:
        world.clock.now_s = GENESIS_S + 12 * 9.5
        await world.hear(1, VALIDATORS.partials(2, slot))
        assert world.received == []
        assert world.faults == [], "it may only be slow"

    run(scenario)


def test_own_partials_go_to_all_peers_once() -> None:
    async def scenario(world: World) -> None:
        await world.exchange.broadcast(VALIDATORS.partials(1))
        assert world.sent() == [(None, VALIDATORS.partials(1), False)]

    run(scenario)


def test_repeat_is_answered_with_ours_and_an_answer_never_is() -> None:
    async def scenario(world: World) -> None:
        await world.partials.store_internal(VALIDATORS.partials(1))
        await world.hear(1, VALIDATORS.partials(2))
        assert world.sent() == [], "the first time it lacks nothing"
        await world.hear(1, VALIDATORS.partials(2))
        assert world.sent() == [(1, VALIDATORS.partials(1), True)]
        for _ in range(3):
            await world.hear(1, VALIDATORS.partials(2), answer=True)
        assert world.sent() == []

    run(scenario)


def test_answers_are_bounded_per_peer_duty_and_slot() -> None:
    async def scenario(world: World) -> None:
        await world.partials.store_internal(VALIDATORS.partials(1))
        for _ in range(100):
            await world.hear(1, VALIDATORS.partials(2))
        assert len(world.sent()) == ANSWERS_MAX
        await world.hear(2, VALIDATORS.partials(3))
        await world.hear(2, VALIDATORS.partials(3))
        assert len(world.sent()) == 1, "another peer has its own bound"
        world.clock.now_s += 12
        await world.hear(1, VALIDATORS.partials(2))
        assert len(world.sent()) == 1, "what was answered before may have been lost in a cut"

    run(scenario)


def test_two_nodes_cannot_talk_in_circles() -> None:
    async def main() -> None:
        nodes = [World(), World()]
        await nodes[0].partials.store_internal(VALIDATORS.partials(1))
        await nodes[1].partials.store_internal(VALIDATORS.partials(1))
        for _ in range(2):
            await nodes[1].hear(1, VALIDATORS.partials(2))
        messages = 0
        for turn in range(50):
            sender, receiver = nodes[(turn + 1) % 2], nodes[turn % 2]
            sent, sender.bus.sent = sender.bus.sent, []
            for _, topic, payload in sent:
                messages += 1
                await receiver.bus.deliver(1, topic, payload)
        assert messages == 1

    asyncio.run(main())


def test_peer_that_connects_gets_our_partials_of_open_duties() -> None:
    async def scenario(world: World) -> None:
        world.exchange.greet(3)
        assert world.sent() == []
        await world.partials.store_internal(VALIDATORS.partials(1))
        await world.hear(1, VALIDATORS.partials(2, 8))  # a duty without a partial of ours
        world.exchange.greet(3)
        assert world.sent() == [(3, VALIDATORS.partials(1), False)]

    run(scenario)


def test_incomplete_duties_of_earlier_slots_are_sent_again_until_complete() -> None:
    async def scenario(world: World) -> None:
        await world.partials.store_internal(VALIDATORS.partials(1))
        await world.exchange.resend(9)
        assert world.sent() == [], "its own slot is not over"
        await world.exchange.resend(10)
        assert world.sent() == [(None, VALIDATORS.partials(1), False)]
        items = tuple(
            SignedData(pubkey=p.pubkey, payload=p.payload, signature=bytes(96))
            for p in VALIDATORS.partials(1).partials
        )
        await world.partials.mark_aggregated(SignedDataSet(duty=DUTY, items=items))
        await world.exchange.resend(11)
        assert world.sent() == []

    run(scenario)


def test_exits_are_sent_again_once_an_epoch_and_answered_at_once() -> None:
    """They may wait for other operators for days; whoever asks may have missed ours."""
    payload = ExitPayload(message=VoluntaryExit(epoch=0, validator_index=100))
    duty = Duty(0, DutyType.EXIT)

    def exits(share: int) -> PartialSet:
        (some, _) = VALIDATORS.partials(share).partials
        return PartialSet(duty=duty, partials=(replace(some, payload=payload),))

    async def scenario(world: World) -> None:
        await world.partials.store_internal(exits(1))
        for slot in range(9, 16):
            await world.exchange.resend(slot)
        assert world.sent() == []
        await world.exchange.resend(16)
        assert world.sent() == [(None, exits(1), False)]
        for _ in range(2 * ANSWERS_MAX):
            await world.hear(1, exits(2))
        assert world.sent() == [(1, exits(1), True)] * ANSWERS_MAX
        world.clock.now_s += 12
        await world.hear(1, exits(2))
        assert world.sent() == [(1, exits(1), True)], "a slot later it may ask again"

    run(scenario)


def test_memory_of_repeats_is_bounded() -> None:
    async def scenario(world: World) -> None:
        partial_set = VALIDATORS.partials(2)
        for peer in range(HEARD_MAX + 100):
            world.exchange._answer_repeat(peer, partial_set.duty)
        assert len(world.exchange._heard) == HEARD_MAX

    run(scenario)
