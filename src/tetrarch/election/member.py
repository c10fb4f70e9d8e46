"""One member, running: its machine, driven by messages, its enclave's answers and time.

    links ──messages──▶ Machine ──effects──▶ links, enclave, watchers
                          ▲                     │
                          └──────answers────────┘

Nothing is decided here. What the enclave is asked, it is asked in order and one at a time.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

from tetrarch.election.certificates import CertificateInvalid, LeaderCertificate
from tetrarch.election.configuration import Configuration
from tetrarch.election.effects import Ask, Effect, Faulty, Led, Send
from tetrarch.election.hello import Hello
from tetrarch.election.keys import MemberKeys
from tetrarch.election.machine import Machine
from tetrarch.election.messages import Message
from tetrarch.election.requests import Answer, Request
from tetrarch.election.timing import Timing
from tetrarch.election.voter import StatementFalse
from tetrarch.errors import Transient
from tetrarch.observability.logs import Log
from tetrarch.supervision import Supervisor

LOOKS_PER_HEARTBEAT = 5
ASKED_MAX = 1024
RECOVERING_TOLD_S = 5.0  # after so long a recovery is worth a line
WATCHED_MAX = 64  # leaders that a slow watcher has not taken yet; older ones are dropped


class Asking(Protocol):
    """The own enclave (``enclave.election_client``)."""

    async def ask(self, request: Request) -> Answer:
        """Have it do what ``request`` asks."""
        ...


class Sending(Protocol):
    """The other members (``links``)."""

    def send(self, to: int | None, message: Message) -> None:
        """To one member or to all others; it may get lost."""
        ...


class Member:
    """``run`` it beside its links; hand it what they bring by ``receive`` and ``meet``."""

    def __init__(
        self,
        configuration: Configuration,
        own: int,
        *,
        keys: MemberKeys,
        enclave: Asking,
        log: Log,
        now_s: Callable[[], float],
        timing: Timing | None = None,
    ) -> None:
        """``keys``: filled here as members are met. ``now_s``: see ``clock.steady_ms``."""
        self._configuration = configuration
        self._keys = keys
        self._enclave = enclave
        self._log = log
        self._now_s = now_s
        self._timing = timing or Timing()
        self._machine = Machine(configuration, own, keys=keys, now_s=now_s(), timing=self._timing)
        self._links: Sending | None = None
        self._asked: asyncio.Queue[Request] = asyncio.Queue(ASKED_MAX)
        self._waiting: set[Request] = set()  # what is in that queue
        self._boots: dict[int, bytes] = {}
        self._watchers: list[_Watcher] = []

    @property
    def newest(self) -> LeaderCertificate | None:
        """The newest leader that this member knows."""
        return self._machine.newest

    @property
    def has_recovered(self) -> bool:
        """Whether the own enclave may vote: the others told it what it had promised."""
        return self._machine.has_recovered

    @property
    def down(self) -> tuple[int, ...]:
        """Whom this member does not hear."""
        return self._machine.down

    @property
    def keys(self) -> tuple[bytes | None, ...]:
        """The members' signing keys, by index, of those that were ever met."""
        return self._keys.raw

    def holds_lease(self) -> bool:
        """Whether this member leads, and certainly nobody else does, now."""
        return self._machine.holds_lease(self._now_s())

    def resign(self) -> None:
        """Give up this member's leadership, if it leads."""
        self._do(self._machine.resign())

    async def watch(self) -> AsyncIterator[LeaderCertificate]:
        """The newest leader, then every later one. Who is slow misses some."""
        watcher = _Watcher()
        if self.newest is not None:
            watcher.tell(self.newest)
        self._watchers.append(watcher)
        try:
            while True:
                yield await watcher.next()
        finally:
            self._watchers.remove(watcher)

    async def run(self, links: Sending) -> None:
        """Until cancelled. Raises OperatorError: the enclave's disk fails, or it is gone."""
        self._links = links
        async with Supervisor(self._log) as tasks:
            tasks.spawn(self._ask_enclave(), name="election_enclave")
            self._do(self._machine.begin())
            tasks.spawn(self._tell_recovery(), name="election_recovery")
            while True:
                self._do(self._machine.look(self._now_s()))
                await asyncio.sleep(self._timing.heartbeat_s / LOOKS_PER_HEARTBEAT)

    def meet(self, hello: Hello) -> None:
        """The enclave took a member's hello."""
        self._keys.pin(hello.source, hello.signing_key)
        if self._boots.get(hello.source) not in (None, hello.boot):
            self._machine.began_anew(hello.source, self._now_s())
        self._boots[hello.source] = hello.boot
        self._log.info(
            "election_member_met",
            member=self._configuration.members[hello.source],
            key=hello.signing_key.hex(),
        )

    def receive(self, source: int, message: Message) -> None:
        """``source``, who was met, sent ``message``."""
        self._do(self._machine.receive(source, message, self._now_s()))

    def _do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(to, message):
                    if self._links is not None:
                        self._links.send(to, message)
                case Ask(request):
                    self._put(request)
                case Led(certificate):
                    self._tell(certificate)
                case Faulty(source, reason, evidence):
                    self._log.warning(
                        "election_member_faulty",
                        member=self._configuration.members[source],
                        reason=reason,
                        proof=[vote.what.view.hash.hex() for vote in evidence],
                    )

    def _put(self, request: Request) -> None:
        # Members ask again after some time. An enclave that is slow must not get slower by that.
        if request in self._waiting:
            return
        try:
            self._asked.put_nowait(request)
            self._waiting.add(request)
        except asyncio.QueueFull:  # whatever is needed is asked for again in a later term
            self._log.warning("election_enclave_slow", waiting=ASKED_MAX)

    def _tell(self, certificate: LeaderCertificate) -> None:
        for watcher in self._watchers:
            watcher.tell(certificate)

    async def _tell_recovery(self) -> None:
        """Say why nothing happens, for as long as it does not."""
        needed = min(self._configuration.recovery_quorum, self._configuration.count - 1)
        while True:
            await asyncio.sleep(RECOVERING_TOLD_S)
            if self._machine.has_recovered:
                return
            self._log.warning(
                "election_recovering",
                needed=needed,
                met=len(self._boots),
                mend=f"start {needed} other nodes that were not down; if too many were down at "
                "once, start all with --accept-cold-start",
            )

    async def _ask_enclave(self) -> None:
        while True:
            request = await self._asked.get()
            self._waiting.discard(request)
            try:
                answer = await self._enclave.ask(request)
            except (CertificateInvalid, StatementFalse, Transient) as error:
                # Nothing was changed. The machine comes back to what it needs.
                self._log.warning(
                    "election_request_refused",
                    request=type(request).__name__,
                    code=error.code,
                    reason=str(error),
                )
                continue
            self._do(self._machine.answered(request, answer, self._now_s()))


class _Watcher:
    """Leaders for one who watches."""

    def __init__(self) -> None:
        self._leaders: deque[LeaderCertificate] = deque(maxlen=WATCHED_MAX)
        self._arrived = asyncio.Event()

    def tell(self, certificate: LeaderCertificate) -> None:
        self._leaders.append(certificate)
        self._arrived.set()

    async def next(self) -> LeaderCertificate:
        while not self._leaders:
            self._arrived.clear()
            await self._arrived.wait()
        return self._leaders.popleft()
