"""ParSigEx: exchanges partial signatures with the peers, one message per duty and node.

Messages may be lost (a peer restarts, a queue overflows). Two rules repair that:

* while a duty of ours is open and incomplete, our partials go out again every slot, and to a
  peer when it connects;
* a peer that sends the same duty *again* seems to lack something, so it gets ours as an
  answer. An answer is never answered, so two nodes cannot talk in circles.
"""

from dataclasses import dataclass

from tetrarch.clock import Clock
from tetrarch.duties.parsigdb import ParSigDB
from tetrarch.duties.partials_codec import decode_partials, encode_partials
from tetrarch.duties.payload_codec import PartialsInvalid
from tetrarch.duties.plausible import belongs, names_another
from tetrarch.duties.ports import GroupKeys
from tetrarch.duties.timing import LASTING_TYPES, may_speak_of, start_slot
from tetrarch.duties.types import Duty, PartialSet, ShareIndex
from tetrarch.errors import PeerFault
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.network.ports import MessageBus, Topic
from tetrarch.observability.logs import Log
from tetrarch.output import Output

HEARD_MAX = 4096  # (peer, duty) pairs remembered to notice repeats
ANSWERS_MAX = 8  # per peer, duty and slot: what was answered into a cut is answered after it


class PartialsImplausible(PeerFault):
    """A peer's partials name a foreign validator, or a payload that is not the duty's."""

    code = "partials_implausible"


@dataclass(slots=True)
class _Heard:
    """Of one peer and duty: the last slot in which it was heard, and our answers in that slot."""

    slot: int
    answers: int = 0


class ParSigEx:
    """Input: ``broadcast``. Output: ``received``, well-formed and plausible, not yet verified."""

    def __init__(
        self,
        *,
        bus: MessageBus,
        keys: GroupKeys,
        chain: ChainSpec,
        clock: Clock,
        own: ParSigDB,
        log: Log,
    ) -> None:
        self.received = Output[PartialSet]("received")
        self.faults = Output[tuple[int, PeerFault]]("faults")
        self._bus = bus
        self._keys = keys
        self._known = frozenset(keys.pubkeys)
        self._chain = chain
        self._clock = clock
        self._own = own
        self._log = log
        self._heard: dict[tuple[int, Duty], _Heard] = {}
        bus.subscribe(Topic.PARTIAL_SIGNATURES, self._on_message)

    async def broadcast(self, partial_set: PartialSet) -> None:
        """Send to all peers without waiting for any of them."""
        self._bus.broadcast(Topic.PARTIAL_SIGNATURES, encode_partials(partial_set, answer=False))

    async def resend(self, slot: int) -> None:
        """Every slot: send again what peers may still need for duties of earlier slots.

        Exits and registrations may wait for other operators for days: once an epoch will do.
        """
        epoch_begins = slot % self._chain.slots_per_epoch == 0
        for duty in self._own.open_duties(aggregated=False):
            if duty.type in LASTING_TYPES and not epoch_begins:
                continue
            mine = self._mine(duty)
            if start_slot(duty) < slot and mine is not None:
                await self.broadcast(mine)

    def greet(self, peer: int) -> None:
        """A peer has connected: send it our partials of all open duties."""
        for duty in self._own.open_duties():
            mine = self._mine(duty)
            if mine is not None:
                payload = encode_partials(mine, answer=False)
                self._bus.send(peer, Topic.PARTIAL_SIGNATURES, payload)

    async def _on_message(self, peer: int, payload: bytes) -> None:
        try:
            partial_set, is_answer = decode_partials(payload, share_index=ShareIndex(peer + 1))
            self._check(partial_set)
        except (PartialsInvalid, PeerFault) as error:
            fault = (
                error
                if isinstance(error, PeerFault)
                else PeerFault("read partials", kind=error.code)
            )
            self._log.warning("partials_refused", peer=peer, reason=str(error), code=error.code)
            await self.faults.emit((peer, fault))
            return
        duty = partial_set.duty
        if not may_speak_of(duty, self._chain, now_s=self._clock.wall_s()):
            return
        if not is_answer:
            self._answer_repeat(peer, duty)
        await self.received.emit(partial_set)

    def _check(self, partial_set: PartialSet) -> None:
        plausible = None
        for partial in partial_set.partials:
            if partial.pubkey not in self._known:
                raise PartialsImplausible("read partials", field="pubkey")
            if names_another(partial.payload, partial.pubkey):
                raise PartialsImplausible("read partials", field="payload.pubkey")
            if partial.payload is plausible:  # equal payloads travel once
                continue
            plausible = partial.payload
            if not belongs(plausible, partial_set.duty, self._chain):
                raise PartialsImplausible("read partials", field="payload", duty=partial_set.duty)

    def _answer_repeat(self, peer: int, duty: Duty) -> None:
        slot = self._chain.slot_at(self._clock.wall_s())
        heard = self._heard.get((peer, duty))
        if heard is None:
            heard = self._heard[peer, duty] = _Heard(slot)
            while len(self._heard) > HEARD_MAX:
                del self._heard[next(iter(self._heard))]
            # What is sent once an epoch only is answered at once: a first try may have been lost.
            if duty.type not in LASTING_TYPES:
                return
        if heard.slot != slot:
            heard.slot, heard.answers = slot, 0
        mine = self._mine(duty) if heard.answers < ANSWERS_MAX else None
        if mine is not None:
            heard.answers += 1
            self._bus.send(peer, Topic.PARTIAL_SIGNATURES, encode_partials(mine, answer=True))

    def _mine(self, duty: Duty) -> PartialSet | None:
        return self._own.own_partials(duty, self._keys.own_share_index)
