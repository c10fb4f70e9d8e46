"""Byzantine nodes of the whole workflow. None of them can sign for another share or identity.

``SpoilingBus`` spoils an honest program's partials and statements on their way out; ``split`` lets two honest
programs share one node; ``WorkflowLiar`` proposes well-formed sets that nobody should sign.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from random import Random

from tetrarch.consensus.codec import Codec
from tetrarch.duties.codec import encode_unsigned
from tetrarch.duties.partials_codec import decode_partials, encode_partials
from tetrarch.duties.types import (
    SIGNATURE_SIZE_BYTES,
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    Duty,
    DutyType,
    ExitPayload,
    PartialSet,
    PartialSignature,
    Payload,
    ProposalPayload,
    ProposerDefinition,
    RandaoPayload,
    RegistrationPayload,
    SelectionPayload,
    ShareIndex,
    SyncMessagePayload,
    SyncSelectionPayload,
    UnsignedAttestation,
    UnsignedData,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.ethereum.beacon_node.ports import BUILDER_BOOST_NEVER, BlockRequest
from tetrarch.ethereum.spec.values import Checkpoint
from tetrarch.network.ports import MessageBus, MessageHandler, Topic
from tetrarch.network.requests import Subject
from tetrarch.network.wrapped_bus import WrappedBus
from tetrarch.sim.adversary import Liar, Nature, TwinBus
from tetrarch.sim.chain import FIRST_INDEX, MAIN, SLOTS_PER_EPOCH, SimChain
from tetrarch.sim.feature_liars import HEADS, FeatureLies, is_about_priority

KEPT_MAX = 32
ANSWER_HEAD_BYTES = 10  # of ``network.requests``
STATE_BYTES = 10  # of ``duties.witnesses``
WELL_FORMED = ("one", "left", "right", "other", "forged")
FORGED_REVEALS = 0.5  # of a liar's blocks
TOPICS = (Topic.CONSENSUS, Topic.PARTIAL_SIGNATURES, Topic.REQUESTS, Topic.ANSWERS)


class SpoilingBus(WrappedBus):
    """A bus whose partials and statements of features are drawn lies; consensus is unharmed."""

    def __init__(self, bus: MessageBus, rng: Random, features: FeatureLies) -> None:
        super().__init__(bus)
        self._features = features
        self._rng = rng
        self._honesty = rng.choice([0.0, 0.3, 0.7])
        self._habit = rng.choice(["", "", "false", "all"])  # one lie for all, or any
        self._old: deque[bytes] = deque(maxlen=KEPT_MAX)

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        """See ``MessageBus``."""
        for peer in self.peers:
            self.send(peer, topic, payload)

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        """See ``MessageBus``."""
        if topic is Topic.ANSWERS and payload[0] == Subject.HIGHEST_SIGNED:
            return self._bus.send(peer, topic, self._false_answer(payload))
        if topic is Topic.PARTIAL_SIGNATURES:
            self._old.append(payload)
            for lie in self._lies(payload):
                self._bus.send(peer, topic, lie)
            return True
        if topic in HEADS and is_about_priority(payload):
            for lie in self._features.spoil(topic, payload):
                self._bus.send(peer, topic, lie)
            return True
        return self._bus.send(peer, topic, payload)

    def _false_answer(self, payload: bytes) -> bytes:
        """To "what did you see my share sign": less, more, or nonsense."""
        head, rest = payload[:ANSWER_HEAD_BYTES], payload[ANSWER_HEAD_BYTES:]
        state, claims = rest[:STATE_BYTES], rest[STATE_BYTES:]
        match self._rng.choice(["nothing", "nothing", "more", "more", "cut", "truth"]):
            case "nothing":
                return head + state
            case "more":
                return head + state + b"".join(_raised(claims, self._rng))
            case "cut":
                return payload[: self._rng.randrange(len(payload) + 1)]
            case _:
                return payload

    def _lies(self, payload: bytes) -> list[bytes]:
        rng = self._rng
        if not self._habit and rng.random() < self._honesty:
            return [payload]
        lies: dict[str, Callable[[], list[bytes]]] = {
            "withhold": list,
            "garbage": lambda: [self._garbage(payload)],
            "false": lambda: [self._false(payload, all_of_them=rng.random() < 0.5)],
            "other": lambda: [self._other(payload)],
            "replay": lambda: [rng.choice(self._old), payload, payload],
            "all": lambda: [self._other(payload), payload, self._false(payload, all_of_them=True)],
        }
        return lies[self._habit or rng.choice(list(lies))]()

    def _garbage(self, payload: bytes) -> bytes:
        at = self._rng.randrange(len(payload))
        return payload[:at] + self._rng.randbytes(self._rng.choice([0, 1, 40]))

    def _false(self, payload: bytes, *, all_of_them: bool) -> bytes:
        """The right form, for all or some validators a wrong signature."""
        partial_set = self._read(payload)
        spoiled = tuple(
            replace(partial, signature=self._rng.randbytes(SIGNATURE_SIZE_BYTES))
            if all_of_them or self._rng.random() < 0.5
            else partial
            for partial in partial_set.partials
        )
        return encode_partials(replace(partial_set, partials=spoiled), answer=False)

    def _other(self, payload: bytes) -> bytes:
        """Another object of the same duty, or the same for a duty that is not due."""
        partial_set = self._read(payload)
        if self._rng.random() < 0.3:
            duty = replace(partial_set.duty, slot=partial_set.duty.slot + self._rng.randint(-9, 20))
            return encode_partials(
                PartialSet(duty=duty, partials=partial_set.partials), answer=True
            )
        others = tuple(_of_another(partial) for partial in partial_set.partials)
        return encode_partials(replace(partial_set, partials=others), answer=False)

    def _read(self, payload: bytes) -> PartialSet:
        return decode_partials(payload, share_index=ShareIndex(self.own_index + 1))[0]


def _raised(claims: bytes, rng: Random) -> Iterator[bytes]:
    """Signatures of the asker's share, for things that it would sign only later, if ever."""
    while claims:
        size = int.from_bytes(claims[:4])
        partial_set, _ = decode_partials(claims[4 : 4 + size], share_index=ShareIndex(1))
        claims = claims[4 + size :]
        later = rng.randint(1, 3) * SLOTS_PER_EPOCH
        partials = tuple(_later(partial, later) for partial in partial_set.partials)
        duty = replace(partial_set.duty, slot=partial_set.duty.slot + later)
        encoded = encode_partials(PartialSet(duty=duty, partials=partials), answer=True)
        yield len(encoded).to_bytes(4) + encoded


def _later(partial: PartialSignature, slots: int) -> PartialSignature:
    match partial.payload:
        case AttestationPayload(data=data):
            epoch = data.target.epoch + slots // SLOTS_PER_EPOCH
            target = replace(data.target, epoch=epoch)
            later = replace(data, slot=data.slot + slots, target=target)
            return replace(partial, payload=AttestationPayload(data=later))
        case ProposalPayload(header=header):
            later_header = replace(header, slot=header.slot + slots)
            return replace(partial, payload=replace(partial.payload, header=later_header))
        case _:
            return partial


def _of_another(partial: PartialSignature) -> PartialSignature:
    return replace(partial, payload=_another(partial.payload))


def _another(payload: Payload) -> Payload:  # noqa: PLR0911 - one line for each kind
    root = sha256(b"another").digest()
    match payload:
        case AttestationPayload(data=data):
            return AttestationPayload(data=replace(data, beacon_block_root=root))
        case ProposalPayload(header=header):
            return replace(payload, header=replace(header, body_root=root))
        case RandaoPayload(epoch=epoch):
            return RandaoPayload(epoch=epoch + 1)
        case SelectionPayload(slot=slot):
            return SelectionPayload(slot=slot + 1)
        case SyncSelectionPayload(subcommittee_index=index):
            return replace(payload, subcommittee_index=index + 1)
        case SyncMessagePayload():
            return replace(payload, beacon_block_root=root)
        case AggregatePayload(message=aggregate):
            other = replace(aggregate, aggregator_index=aggregate.aggregator_index + 1)
            return AggregatePayload(message=other)
        case ContributionPayload(message=contribution):
            changed = replace(contribution, aggregator_index=contribution.aggregator_index + 1)
            return ContributionPayload(message=changed)
        case ExitPayload(message=exit_):
            return ExitPayload(message=replace(exit_, epoch=exit_.epoch + 1))
        case RegistrationPayload(message=registration):
            richer = replace(registration, gas_limit=registration.gas_limit + 1)
            return RegistrationPayload(message=richer)


def split(bus: MessageBus, rng: Random) -> tuple[TwinBus, TwinBus]:
    """Two halves of ``bus``: both hear everything, each peer hears one of them, or both."""
    sides = {peer: rng.choice(["left", "right", "both"]) for peer in bus.peers}
    left, right = (
        TwinBus(bus, tuple(peer for peer in bus.peers if sides[peer] in {side, "both"}))
        for side in ("left", "right")
    )
    for topic in TOPICS:
        bus.subscribe(topic, _to_both(left, right, topic))
    return left, right


def _to_both(left: TwinBus, right: TwinBus, topic: Topic) -> MessageHandler:
    async def hear(peer: int, payload: bytes) -> None:
        for twin in (left, right):
            await twin.handlers[topic](peer, payload)

    return hear


class WorkflowLiar(Liar):
    """Its proposals are well-formed sets with one thing wrong, or differing only in the head."""

    def __init__(
        self,
        bus: MessageBus,
        speech: tuple[Codec, int],
        *,
        rng: Random,
        chain: SimChain,
        lies: FeatureLies,
    ) -> None:
        """``speech``: how to sign as this node, and of how many nodes it is one."""
        codec, node_count = speech
        super().__init__(bus, codec, rng=rng, nature=Nature.drawn(rng), node_count=node_count)
        self._lies_of_features = lies
        bus.subscribe(Topic.REQUESTS, self._hear_request)
        self._chain = chain
        self._values: dict[tuple[Duty, str], bytes] = {}

    def _value(self, duty: Duty, text: str) -> bytes:
        """One value for each text, so that all peers may hear the same lie."""
        if (duty, text) not in self._values:
            items = self._items(duty, text) if text in WELL_FORMED else ()
            plain = super()._value(duty, text)
            if duty.type is DutyType.INFO_SYNC:
                plain = self._lies_of_features.ballot(duty)
            value = encode_unsigned(UnsignedDataSet(duty=duty, items=items)) if items else plain
            self._values[duty, text] = value
        return self._values[duty, text]

    async def _hear_request(self, peer: int, payload: bytes) -> None:
        """Another answer for each peer."""
        duty = self._lies_of_features.hear(peer, Topic.REQUESTS, payload)
        if duty is not None:
            answer = payload[: HEADS[Topic.REQUESTS]] + b"\1"
            said = self._lies_of_features.statement(duty)
            for lie in self._lies_of_features.spoil(Topic.ANSWERS, answer + said):
                self._bus.send(peer, Topic.ANSWERS, lie)

    def _items(self, duty: Duty, text: str) -> tuple[UnsignedData, ...]:
        if duty.type is DutyType.PROPOSER:
            return self._block(duty, text)
        if duty.type is not DutyType.ATTESTER:
            return ()
        epoch = duty.slot // SLOTS_PER_EPOCH
        items = [
            self._vote(duty, position, text)
            for position in range(len(self._chain.pubkeys))
            if self._chain.attester_slot(epoch, position) == duty.slot
        ]
        return tuple(sorted(items, key=lambda item: item.pubkey))

    def _vote(self, duty: Duty, position: int, text: str) -> UnsignedAttestation:
        definition = self._chain.attester(duty.slot // SLOTS_PER_EPOCH, position)
        data = self._chain.attestation_data(duty.slot, lag=0, branch=MAIN)
        data = replace(data, beacon_block_root=sha256(text.encode()).digest())
        match self._rng.choice(["head", "source", "target", "epoch", "member", "slot"]):
            case "source":
                data = replace(data, source=Checkpoint(epoch=0, root=bytes(32)))
            case "target":
                data = replace(data, target=replace(data.target, root=bytes(32)))
            case "epoch":
                data = replace(data, target=replace(data.target, epoch=data.target.epoch + 1))
            case "member":
                definition = replace(definition, validator_committee_index=position + 7)
            case "slot":
                data = replace(data, slot=duty.slot + 1)
            case _:
                pass  # only the head differs: that may be decided
        return UnsignedAttestation(definition=definition, data=data)

    def _block(self, duty: Duty, text: str) -> tuple[UnsignedProposal, ...]:
        position = self._chain.proposer(duty.slot)
        if position is None:
            return ()
        request = BlockRequest(
            slot=duty.slot + self._rng.choice([0, 0, 1]),
            randao_reveal=self._rng.randbytes(SIGNATURE_SIZE_BYTES),
            graffiti=bytes(32),
            builder_boost_factor=BUILDER_BOOST_NEVER,
        )
        other = self._rng.randrange(len(self._chain.pubkeys))
        index = FIRST_INDEX + self._rng.choice([position, position, other])
        if Random(f"{duty}/{text}").random() < FORGED_REVEALS:  # nothing but the reveal is wrong
            request, other = replace(request, slot=duty.slot), position
            index = FIRST_INDEX + position
        definition = ProposerDefinition(
            pubkey=self._chain.pubkeys[index - FIRST_INDEX], slot=duty.slot, validator_index=index
        )
        proposal = self._chain.block(request, position=other, text=text)
        return (UnsignedProposal(definition=definition, proposal=proposal),)
