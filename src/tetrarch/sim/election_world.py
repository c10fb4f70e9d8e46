"""Whole members of an election on virtual time: machines, enclaves, and a network between them.

What the adversary is for safety (``election_adversary``), this is for liveness: members die, come back,
are cut off and lose messages, and after every such thing a leader must be certified soon. One seed is
one run. The clock is a number and nothing waits, so a run of a minute takes a second or two.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from tetrarch.election import codec, voter
from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.configuration import Configuration
from tetrarch.election.effects import Ask, Effect, Faulty, Led, Send
from tetrarch.election.machine import Machine
from tetrarch.election.messages import Message
from tetrarch.election.requests import Request, perform
from tetrarch.election.statements import Signing
from tetrarch.election.timing import Timing
from tetrarch.election.voter import Sealed, Voter
from tetrarch.sim.election_keys import ModelKeys, OwnKey

LOOK_S = 0.01
ENCLAVE_S = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Delays are drawn for each message; ``loss``: the share of messages that never come."""

    delay_min_s: float = 0.0002
    delay_max_s: float = 0.002
    loss: float = 0.0


@dataclass(slots=True)
class _Member:
    index: int
    saved: list[Sealed]
    rate: float
    machine: Machine | None = None  # None: it is down
    voter: Voter | None = None
    run: int = 0
    led: list[tuple[float, LeaderCertificate]] = field(default_factory=list)
    faults: list[Faulty] = field(default_factory=list)


class ElectionWorld:
    """``start`` members, let time ``pass_s``, and do things to them in between."""

    def __init__(
        self,
        seed: int,
        configuration: Configuration,
        *,
        timing: Timing | None = None,
        network: Network | None = None,
        drift: float = 0.0,
        look_s: float = LOOK_S,
        shares: Sequence[Signing] | None = None,
    ) -> None:
        """``drift``: of members' clocks, at most. ``look_s``: members notice that time has passed.

        ``shares``: by member, of the key that the configuration says they share.
        """
        self.now_s = 0.0
        self.messages = 0
        self.certificates: dict[int, LeaderCertificate] = {}
        self.conflicts: list[int] = []
        self._rng = Random(f"election world/{seed}")
        self._configuration = configuration
        self._timing = timing or Timing()
        self._network = network or Network()
        self._shares = shares
        self._look_s = look_s
        self._keys = ModelKeys()
        self._queue: list[tuple[float, float, Callable[[], None]]] = []
        self._group = [0] * configuration.count
        self._cut: set[tuple[int, int]] = set()
        self._members = [
            _Member(
                index,
                [voter.born(configuration, index, self._rng.randbytes(32))],
                1 + self._rng.uniform(-drift, drift),
            )
            for index in range(configuration.count)
        ]

    # --- what is done to it ------------------------------------------------------------------

    def start(self, *indices: int, is_newest: bool = False) -> None:
        """The first start, or another one with the newest state; ``is_newest``: and it knows that."""
        for index in indices or range(self._configuration.count):
            self._start(index, self._members[index].saved[-1], is_newest=is_newest)

    def start_old(self, index: int) -> None:
        """From the very first state, as if its folder came out of a backup."""
        self._start(index, self._members[index].saved[0])

    def kill(self, *indices: int) -> None:
        """At once, and without a word."""
        for index in indices:
            self._members[index].machine = self._members[index].voter = None

    def split(self, *groups: Iterable[int]) -> None:
        """Members of different groups do not reach each other."""
        for number, group in enumerate(groups):
            for index in group:
                self._group[index] = number

    def cut(self, one: int, other: int) -> None:
        """These two do not reach each other."""
        self._cut |= {(one, other), (other, one)}

    def heal(self) -> None:
        """All reach all."""
        self._group = [0] * self._configuration.count
        self._cut = set()

    def resign(self, index: int) -> None:
        """Have the member give up its leadership."""
        machine = self._members[index].machine
        if machine is not None:
            self._do(self._members[index], machine.resign())

    def pass_s(self, seconds: float) -> None:
        """Let everything happen that happens in that time."""
        end_s = self.now_s + seconds
        while self._queue and self._queue[0][0] <= end_s:
            self.now_s, _, event = heapq.heappop(self._queue)
            event()
        self.now_s = end_s

    def pass_until(self, condition: Callable[[], bool], *, at_most_s: float) -> float:
        """Let time pass until ``condition`` holds; how long it took.

        Raises:
            TimeoutError: it did not come to hold.
        """
        begun_s = self.now_s
        while not condition():
            if self.now_s - begun_s > at_most_s:
                raise TimeoutError(f"not within {at_most_s} s: {self.describe()}")
            self.pass_s(LOOK_S)
        return self.now_s - begun_s

    # --- what is seen of it ------------------------------------------------------------------

    def leader(self, index: int) -> LeaderCertificate | None:
        """The newest leader that a living member knows."""
        machine = self._members[index].machine
        return None if machine is None else machine.newest

    def agree(self, *indices: int) -> bool:
        """Whether these members know the same leader, with just them in its list."""
        known = [self.leader(index) for index in indices]
        first = known[0]
        if first is None or any(each is None for each in known):
            return False
        hashes = {each.leader.hash for each in known if each is not None}
        return len(hashes) == 1 and first.leader.view.members == tuple(sorted(indices))

    def holds_lease(self, index: int) -> bool:
        """Whether the member is sure to be the only leader."""
        member = self._members[index]
        return member.machine is not None and member.machine.holds_lease(self._clock(member))

    def faults(self) -> list[Faulty]:
        """What members found wrong with each other."""
        return [fault for member in self._members for fault in member.faults]

    def describe(self) -> str:
        """One line on what each member thinks."""
        words = []
        for member in self._members:
            known = self.leader(member.index)
            state = "down" if member.machine is None else "no leader"
            if known is not None:
                state = f"term {known.term}: {known.leader.leader} of {known.leader.view.members}"
            words.append(f"{member.index}: {state}")
        return "; ".join(words)

    # --- how it runs -------------------------------------------------------------------------

    def _start(self, index: int, sealed: Sealed, *, is_newest: bool = False) -> None:
        member = self._members[index]
        first = member.run == 0
        member.run += 1
        member.voter = Voter(
            sealed,
            configuration=self._configuration,
            signing=OwnKey(self._keys, index),
            keys=self._keys,
            store=member.saved.append,
            share=None if self._shares is None else self._shares[index],
        )
        now_s = self._clock(member)
        if not first:
            boot = self._rng.randbytes(32)
            member.voter.begin(boot, int(now_s * 1000), is_newest=is_newest)
        member.machine = Machine(
            self._configuration, index, keys=self._keys, now_s=now_s, timing=self._timing
        )
        for other in self._members:
            if other.machine is not None and other is not member:
                other.machine.began_anew(index, self._clock(other))
        self._do(member, member.machine.begin())
        self._later(self._rng.uniform(0, self._look_s), partial(self._look, member, member.run))

    def _look(self, member: _Member, run: int) -> None:
        if member.machine is None or member.run != run:
            return
        self._do(member, member.machine.look(self._clock(member)))
        self._later(self._look_s, partial(self._look, member, run))

    def _do(self, member: _Member, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(to, message):
                    self._send(member, to, message)
                case Ask(request):
                    self._later(ENCLAVE_S, partial(self._ask, member, member.run, request))
                case Led(certificate):
                    self._note(member, certificate)
                case Faulty():
                    member.faults.append(effect)

    def _ask(self, member: _Member, run: int, request: Request) -> None:
        if member.machine is None or member.voter is None or member.run != run:
            return
        now_s = self._clock(member)
        # As on the way to a process and back: what has no bytes, no enclave can be asked.
        asked = codec.decode_request(codec.encode(request))
        answer = codec.encode(perform(member.voter, asked, int(now_s * 1000)))
        self._do(member, member.machine.answered(request, codec.decode_answer(answer), now_s))

    def _send(self, member: _Member, to: int | None, message: Message) -> None:
        others = [to] if to is not None else range(self._configuration.count)
        payload = codec.encode(message)
        for index in others:
            if index == member.index:
                continue
            self.messages += 1
            if self._rng.random() < self._network.loss:
                continue
            delay_s = self._rng.uniform(self._network.delay_min_s, self._network.delay_max_s)
            run = self._members[index].run
            self._later(delay_s, partial(self._deliver, member.index, index, run, payload))

    def _deliver(self, source: int, to: int, run: int, payload: bytes) -> None:
        member = self._members[to]
        apart = self._group[source] != self._group[to] or (source, to) in self._cut
        if apart or member.machine is None or member.run != run:
            return
        message = codec.decode_message(payload)
        self._do(member, member.machine.receive(source, message, self._clock(member)))

    def _note(self, member: _Member, certificate: LeaderCertificate) -> None:
        member.led.append((self.now_s, certificate))
        known = self.certificates.setdefault(certificate.term, certificate)
        if known.leader != certificate.leader:
            self.conflicts.append(certificate.term)

    def _clock(self, member: _Member) -> float:
        return self.now_s * member.rate

    def _later(self, delay_s: float, event: Callable[[], None]) -> None:
        # The second number decides between events of one moment, by the seed.
        heapq.heappush(self._queue, (self.now_s + delay_s, self._rng.random(), event))
