"""Sessions of a cluster's election over its own mesh, whose certificates say who sends.

    greeting   a nonce, whenever a stream to a member opens, and again for new evidence
    hello      the answer, signed by the sender's enclave: its key is pinned
    message    of ``codec``; heard from members that were met

A node with another configuration, or with another key than before, is not met. But its evidence is
judged, where any is asked for: nodes attest each other while one after the other gets new settings.

One byte, the kind, stands in front. All may get lost: a member that was not met yet is greeted again.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import msgspec

from tetrarch.attestation.policy import Demand
from tetrarch.decoding import UNDECODABLE
from tetrarch.election import codec
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import Appraisal, HelloInvalid, KeyChanged
from tetrarch.election.links import OnMessage, OnMet
from tetrarch.election.messages import Message
from tetrarch.election.sessions import ConfigurationDiffers, Greeting, Introducing
from tetrarch.election.telling import tell_evidence, tell_refusal
from tetrarch.errors import PeerFault, Transient
from tetrarch.network.ports import MessageBus, Topic
from tetrarch.observability.logs import Log
from tetrarch.supervision import Supervisor

GREET_AGAIN_S = 1.0
ATTESTED_LATE_S = 30.0  # for so long a member whose evidence is old is still heard
WAITING_MAX = 4  # greetings and hellos of one member that wait for the enclave
# What one member may say: the enclave signs duties, too, and must not be kept busy.
RECEIVED_PER_S = 50.0
RECEIVED_AT_ONCE = 200.0
_DOMAIN = b"tetrarch/election/1/mesh session"

_Step: TypeAlias = Callable[[int, bytes], Awaitable[None]]  # with whom, and the bytes


class _Kind(IntEnum):
    GREETING = 1
    HELLO = 2
    MESSAGE = 3


@dataclass(slots=True)
class _Peer:
    is_met: bool = False
    is_attested: bool = False  # whatever it elects
    appraisal: Appraisal | None = None
    attested_s: float = 0.0
    waiting: int = 0
    allowance: float = RECEIVED_AT_ONCE
    allowance_s: float = 0.0
    told: str = ""  # the last refusal in the log: greetings are repeated, lines are not


class MeshLinks:
    """``run`` it; ``send`` at any time. Members' indices are those of the cluster's nodes.

    Build it before the bus starts. ``attested_for_s``: then a member must show evidence anew.
    """

    def __init__(
        self,
        configuration: Configuration,
        bus: MessageBus,
        *,
        enclave: Introducing,
        on_message: OnMessage,
        on_met: OnMet,
        attested_for_s: float,
        log: Log,
    ) -> None:
        self._configuration = configuration
        self._bus = bus
        self._enclave = enclave
        self._on_message = on_message
        self._on_met = on_met
        self._attested_for_s = attested_for_s
        self._log = log
        self._attests = configuration.attestation is not Demand.OFF
        self._peers = {index: _Peer() for index in bus.peers}
        self._steps: dict[int, _Step] = {
            _Kind.GREETING: self._answer,
            _Kind.HELLO: self._take_hello,
        }
        self._waiting: deque[tuple[_Step, int, bytes]] = deque()
        self._arrived = asyncio.Event()
        bus.subscribe(Topic.ELECTION, self._receive)

    @property
    def met(self) -> tuple[int, ...]:
        """Whose hello was taken on the stream that is open."""
        return tuple(index for index, peer in self._peers.items() if peer.is_met)

    @property
    def shown(self) -> dict[int, Appraisal]:
        """What became of the newest evidence of those that ``has_shown`` names."""
        return {
            index: peer.appraisal or Appraisal()
            for index, peer in self._peers.items()
            if peer.is_attested
        }

    def has_shown(self, index: int) -> bool:
        """Whether evidence was taken on the stream that is open, and is not too old."""
        return self._peers[index].is_attested

    def send(self, to: int | None, message: Message) -> None:
        """To one member or to all others that were met; it may get lost."""
        payload = bytes((_Kind.MESSAGE,)) + codec.encode(message)
        for index in self._peers if to is None else (to,):
            if self._peers[index].is_met:
                self._bus.send(index, Topic.ELECTION, payload)

    def connected(self, peer: int) -> None:
        """A stream to ``peer`` has opened: it may be another start of it."""
        self._peers[peer].is_met = self._peers[peer].is_attested = False
        self._peers[peer].told = ""
        self._put(self._greet, peer)

    async def run(self) -> None:
        """Until cancelled. Raises OperatorError: the enclave's disk fails, or it is gone."""
        async with Supervisor(self._log) as tasks:
            tasks.spawn(self._greet_again(), name="election_greet")
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    step, source, body = self._waiting.popleft()
                    self._peers[source].waiting -= 1
                    try:
                        await step(source, body)
                    except (PeerFault, Transient) as error:
                        self._refuse(source, error)

    # --- inside ------------------------------------------------------------------------------

    async def _receive(self, source: int, payload: bytes) -> None:
        peer = self._peers[source]
        now_s = asyncio.get_running_loop().time()
        grown = peer.allowance + (now_s - peer.allowance_s) * RECEIVED_PER_S
        peer.allowance, peer.allowance_s = min(RECEIVED_AT_ONCE, grown), now_s
        if peer.allowance < 1:
            self._refuse(source, codec.MessageInvalid("hear member", reason="too many messages"))
            return
        peer.allowance -= 1
        kind, body = payload[:1], payload[1:]
        if kind == bytes((_Kind.MESSAGE,)):
            if peer.is_met:
                self._take_message(source, body)
        elif kind and kind[0] in self._steps:
            self._put(self._steps[kind[0]], source, body)
        else:
            self._refuse(source, codec.MessageInvalid("hear member", kind=kind.hex() or "none"))

    def _take_message(self, source: int, body: bytes) -> None:
        try:
            message = codec.decode_message(body)
        except PeerFault as error:
            self._refuse(source, error)
        else:
            self._on_message(source, message)

    def _put(self, step: _Step, source: int, body: bytes = b"") -> None:
        """The enclave is asked for one after the other."""
        peer = self._peers[source]
        if peer.waiting < WAITING_MAX:
            peer.waiting += 1
            self._waiting.append((step, source, body))
            self._arrived.set()

    async def _greet(self, source: int, _body: bytes) -> None:
        nonce = await self._enclave.challenge()
        greeting = Greeting(self._configuration.hash, self._bus.own_index, nonce)
        self._say(source, _Kind.GREETING, msgspec.msgpack.encode(greeting))

    async def _answer(self, source: int, body: bytes) -> None:
        try:
            greeting = msgspec.msgpack.decode(body, type=Greeting)
        except UNDECODABLE as error:
            raise HelloInvalid("greet member", reason=error) from None
        own = self._configuration.hash
        differs = greeting.configuration_hash != own
        if self._attests or not differs:
            session = self._session(source)
            said = await self._enclave.say_hello(session=session, nonce=greeting.nonce)
            self._say(source, _Kind.HELLO, codec.encode(said))
        if differs:
            raise ConfigurationDiffers(
                "greet member", own=own.hex(), theirs=greeting.configuration_hash.hex()
            )

    async def _take_hello(self, source: int, body: bytes) -> None:
        hello = codec.decode_hello(body)
        if hello.what.source != source:
            raise HelloInvalid("check hello", reason="of another member", got=hello.what.source)
        peer, session = self._peers[source], self._session(source)
        if hello.what.configuration_hash != self._configuration.hash:
            self._note(source, await self._enclave.attest_hello(hello, session=session))
            return
        try:
            appraisal = await self._enclave.take_hello(hello, session=session)
        except KeyChanged:  # which is judged after the evidence
            self._note(source, Appraisal())
            raise
        self._note(source, appraisal)
        peer.told = ""
        if not peer.is_met:
            peer.is_met = True
            self._on_met(hello.what)

    def _note(self, source: int, appraisal: Appraisal) -> None:
        """Evidence was taken."""
        peer = self._peers[source]
        peer.attested_s = asyncio.get_running_loop().time()
        peer.appraisal = appraisal
        if not peer.is_attested or appraisal.refusal:
            tell_evidence(self._log, self._configuration.members[source], appraisal)
        peer.is_attested = True

    async def _greet_again(self) -> None:
        """Whoever was not met yet; and, where evidence is asked for, who showed it long ago."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(GREET_AGAIN_S)
            for index, peer in self._peers.items():
                age_s = loop.time() - peer.attested_s
                is_old = self._attests and age_s >= self._attested_for_s
                too_old = is_old and age_s >= self._attested_for_s + ATTESTED_LATE_S
                if too_old and peer.is_attested:
                    peer.is_met = peer.is_attested = False
                    self._refuse(index, HelloInvalid("attest member", reason="no new evidence"))
                if is_old or not (peer.is_met or peer.is_attested):
                    self._put(self._greet, index)

    def _say(self, to: int, kind: _Kind, body: bytes) -> None:
        self._bus.send(to, Topic.ELECTION, bytes((kind,)) + body)

    def _session(self, other: int) -> bytes:
        """The name of what two nodes of this cluster say to each other."""
        low, high = sorted((self._bus.own_index, other))
        places = low.to_bytes(2, "big") + high.to_bytes(2, "big")
        return hashlib.sha256(_DOMAIN + self._configuration.cluster + places).digest()

    def _refuse(self, source: int, error: PeerFault | Transient) -> None:
        peer = self._peers[source]
        if peer.told != error.code:
            peer.told = error.code
            tell_refusal(self._log, self._configuration.members[source], error)
