"""Sessions with all other members, kept open: of each pair the one with the lower index dials.

Messages may get lost, as the machine allows: what cannot be sent now is dropped, the oldest first.
A member that sends too much is read no faster than ``RECEIVED_PER_S``.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tetrarch.attestation.policy import Demand
from tetrarch.election import codec
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import Hello, HelloInvalid
from tetrarch.election.messages import Message
from tetrarch.election.sessions import (
    Introducing,
    LinkFailed,
    Session,
    accept,
    dial,
    end,
    make_tls_contexts,
)
from tetrarch.election.telling import tell_evidence, tell_refusal
from tetrarch.errors import ListenFailed, PeerFault, TetrarchError, Transient
from tetrarch.observability.logs import Log
from tetrarch.supervision import Supervisor, cause_of_end

QUEUE_MAX = 256  # messages for one member
RECEIVED_PER_S = 500.0
RECEIVED_AT_ONCE = 1000.0
REDIAL_MIN_S, REDIAL_MAX_S = 0.1, 1.0
# A member that is there sends heartbeats. Without this, a session through a network that was cut
# would come back only when TCP tries again, which may be minutes later.
SILENCE_MAX_S = 3.0
ATTESTED_FOR_S = 600.0  # then a new session asks for new evidence
GREETING_MAX = 64  # strangers that may introduce themselves at the same time

Address: TypeAlias = tuple[str, int]
OnMessage: TypeAlias = Callable[[int, Message], None]
OnMet: TypeAlias = Callable[[Hello], None]


@dataclass(slots=True)
class _Peer:
    queue: deque[bytes] = field(default_factory=lambda: deque(maxlen=QUEUE_MAX))
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    session: Session | None = None


class Links:
    """``run`` it; ``send`` at any time. ``on_met`` comes before a session's first message."""

    def __init__(  # noqa: PLR0913 - a composition of ports
        self,
        configuration: Configuration,
        own: int,
        *,
        addresses: Sequence[Address],
        listen: Address,
        enclave: Introducing,
        on_message: OnMessage,
        on_met: OnMet,
        log: Log,
        silence_max_s: float = SILENCE_MAX_S,
    ) -> None:
        """``addresses``: of all members, by index."""
        self._silence_max_s = silence_max_s
        self._configuration = configuration
        self._own = own
        self._addresses = addresses
        self._listen = listen
        self._enclave = enclave
        self._on_message = on_message
        self._on_met = on_met
        self._log = log
        self._contexts = make_tls_contexts()
        self._peers = {index: _Peer() for index in range(configuration.count) if index != own}
        self._greeting = 0
        self._listening = asyncio.Event()

    async def wait_listening(self) -> None:
        """Return once others can reach this member."""
        await self._listening.wait()

    def send(self, to: int | None, message: Message) -> None:
        """To one member or to all others; it may get lost."""
        payload = codec.encode(message)
        for peer in self._peers.values() if to is None else (self._peers[to],):
            if peer.session is not None:
                peer.queue.append(payload)
                peer.waiting.set()

    async def run(self) -> None:
        """Until cancelled.

        Raises:
            ListenFailed: the address cannot be listened on.
        """
        async with Supervisor(self._log) as tasks:

            def incoming(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if self._greeting >= GREETING_MAX:
                    writer.transport.abort()
                    return
                tasks.spawn(self._accept(reader, writer), name="election_accept")

            try:
                server = await asyncio.start_server(
                    incoming,
                    *self._listen,
                    ssl=self._contexts.listening,
                    ssl_handshake_timeout=5.0,
                    limit=codec.MESSAGE_MAX_BYTES,
                )
            except OSError as error:
                host, port = self._listen
                raise ListenFailed(
                    "listen for members", address=f"{host}:{port}", reason=error.strerror
                ) from None
            self._listening.set()
            try:
                for index in self._peers:
                    if self._own < index:
                        tasks.spawn(self._keep_dialling(index), name=f"election_dial_{index}")
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()
                tasks.stop()
                for peer in self._peers.values():
                    if peer.session is not None:
                        peer.session.close()

    async def _keep_dialling(self, index: int) -> None:
        wait_s = REDIAL_MIN_S
        while True:
            try:
                session = await dial(
                    *self._addresses[index],
                    contexts=self._contexts,
                    configuration=self._configuration,
                    own=self._own,
                    enclave=self._enclave,
                )
                if session.peer != index:
                    await session.end()
                    raise HelloInvalid(
                        "dial member", reason="another member is there", got=session.peer
                    )
                wait_s = REDIAL_MIN_S
                await self._talk(session)
            except LinkFailed as error:
                self._log.debug("election_link_failed", member=self._name(index), reason=str(error))
            except (PeerFault, Transient) as error:
                self._warn(index, error)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, REDIAL_MAX_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(await self._greet(reader, writer))
        except LinkFailed as error:
            self._log.debug("election_link_failed", reason=str(error))
        except (PeerFault, Transient) as error:
            self._warn(None, error)
        finally:
            await end(writer)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Session:
        self._greeting += 1
        try:
            return await accept(
                reader,
                writer,
                contexts=self._contexts,
                configuration=self._configuration,
                own=self._own,
                enclave=self._enclave,
            )
        finally:
            self._greeting -= 1

    async def _talk(self, session: Session) -> None:
        """Until the session ends; a newer one of the same member ends it."""
        peer = self._peers[session.peer]
        if peer.session is not None:
            peer.session.close()
        peer.session = session
        peer.queue.clear()
        peer.waiting.clear()
        self._on_met(session.hello)
        tell_evidence(self._log, self._name(session.peer), session.appraisal)
        again_s = None if self._configuration.attestation is Demand.OFF else ATTESTED_FOR_S
        try:
            async with asyncio.timeout(again_s), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_queued(session, peer), name="election_send")
                await self._receive(session)
        except TimeoutError:
            raise LinkFailed("attest member", reason="time for new evidence") from None
        except BaseExceptionGroup as group:
            raise cause_of_end(group) from None
        finally:
            if peer.session is session:
                peer.session = None
            await session.end()

    async def _send_queued(self, session: Session, peer: _Peer) -> None:
        while True:
            await peer.waiting.wait()
            peer.waiting.clear()
            payloads = list(peer.queue)
            peer.queue.clear()
            await session.send(payloads)

    async def _receive(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        allowed, since_s = RECEIVED_AT_ONCE, loop.time()
        while True:
            try:
                async with asyncio.timeout(self._silence_max_s):
                    payload = await session.receive()
            except TimeoutError:
                raise LinkFailed("hear member", silent_s=self._silence_max_s) from None
            now_s = loop.time()
            allowed = min(RECEIVED_AT_ONCE, allowed + (now_s - since_s) * RECEIVED_PER_S) - 1
            since_s = now_s
            self._on_message(session.peer, codec.decode_message(payload))
            # Whatever is in the reader already: other members get their turn.
            await asyncio.sleep(0 if allowed > 0 else 1 / RECEIVED_PER_S)

    def _name(self, index: int) -> str:
        return self._configuration.members[index]

    def _warn(self, index: int | None, error: TetrarchError) -> None:
        tell_refusal(self._log, "a dialer" if index is None else self._name(index), error)
