"""A random adversary against the enclaves of an election: can one term have two leaders?

The enclaves are the production code (``election.voter``). Everything around them is the adversary's:
it schedules, loses and repeats messages, asks any enclave for anything, lets members lie, restarts
them from any state that they ever sealed, runs two copies of one, splits the network, and has them hand
over to one of two other configurations. What it is allowed to do are the ``Knobs``; one seed is one
schedule.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from msgspec.structs import replace

from tetrarch.election import voter
from tetrarch.election.certificates import LeaderCertificate, ViewCertificate
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.counting import CounterMoved, Counting, must_count
from tetrarch.election.promises import Denied
from tetrarch.election.statements import (
    NOTHING_BEFORE,
    TERM_MAX,
    Handover,
    Leader,
    Receipt,
    Reservation,
    Signed,
    View,
    Vote,
)
from tetrarch.election.succession import check_handover, gather
from tetrarch.election.voter import Sealed, Voter
from tetrarch.election.witnesses import Kept
from tetrarch.sim.election_keys import ModelKeys, OwnKey
from tetrarch.sim.election_knobs import Careless, Knobs, Outcome

LEASE_MS = 1_000
DRIFT_MAX = 0.01
HEARD = (0.5, 0.9)  # the chance of a member to be in one exchange
TERMS_RESERVED = 2
POWER_FAILS = 0.03  # between a seal and its count


@dataclass(slots=True)
class _Hardware:
    """A counter, and what else ends a life: the power may fail before it is advanced."""

    rng: Random
    value: int = 0

    def read(self) -> int:
        """See ``counting.Counter``."""
        return self.value

    def advance(self) -> int:
        """See ``counting.Counter``."""
        if self.rng.random() < POWER_FAILS:
            raise _Ended
        self.value += 1
        return self.value


class _Ended(Exception):
    """The power failed."""


@dataclass(frozen=True, slots=True)
class _State:
    """What one seal holds, with the counter's value."""

    sealed: Sealed
    count: int


@dataclass(slots=True)
class _Life:
    """One running copy of one member's enclave."""

    member: int
    voter: Voter
    counting: Counting
    stale: bool = False


@dataclass(slots=True)
class _Lease:
    leader: Leader
    rate: float  # of the leader's clock
    ends_ms: float  # by that clock
    resigned: bool = False


@dataclass(slots=True)
class _Around:
    """What all configurations of one schedule share, and what came of it."""

    rng: Random
    time_ms: float = 0.0
    leases: list[_Lease] = field(default_factory=list)
    leases_broken: int = 0
    leases_held: int = 0
    recoveries: int = 0
    links: frozenset[tuple[int, int]] = frozenset()  # who reaches whom
    certified: dict[int, dict[Leader, LeaderCertificate]] = field(
        default_factory=lambda: defaultdict(dict)
    )


@dataclass(slots=True)
class _Said:
    """All that was ever signed: the adversary keeps everything."""

    certified: dict[int, dict[Leader, LeaderCertificate]]
    votes: dict[View, dict[int, Signed[Vote]]] = field(default_factory=lambda: defaultdict(dict))
    leaders: dict[Leader, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    handovers: dict[tuple[bytes, int], Signed[Handover]] = field(default_factory=dict)


class Adversary:
    """``play`` one schedule: against the enclaves of one configuration, and those that follow."""

    def __init__(
        self,
        around: _Around,
        knobs: Knobs,
        configuration: Configuration,
        *,
        nexts: tuple[Configuration, ...] = (),
        floor: int = 0,
    ) -> None:
        """``nexts``: what it may hand over to; ``floor``: from the one that handed over to it."""
        self._around = around
        self._rng = around.rng
        self._knobs = knobs
        self._configuration = configuration
        self._nexts = nexts
        self._keys = ModelKeys()
        self._honest = range(knobs.liars, knobs.count)  # who lies makes no difference
        self._liars = range(knobs.liars)
        self._saved: dict[int, list[_State]] = {}
        self._lives: list[_Life] = []
        self._hardware = [_Hardware(self._rng) for _ in range(knobs.count)]
        self._ended: list[Counting] = []
        self._rates = {
            member: 1 + self._rng.uniform(-DRIFT_MAX, DRIFT_MAX) for member in range(knobs.count)
        }
        self._rewire()
        self._term = max(1, floor - 1)  # some in which it must not begin, too
        self._said = _Said(self._around.certified)
        self._resigned: set[bytes] = set()
        self._copied: set[int] = set()
        self._successors: dict[bytes, Adversary] = {}
        for member in self._honest:
            sealed = voter.born(self._configuration, member, self._boot(), floor=floor)
            self._saved[member] = [_State(sealed, 0)]
            self._lives.append(self._life(member, self._saved[member][0]))
        self._rivals = self._new_rivals()

    def play(self) -> Outcome:
        """All steps of the schedule."""
        steps = [
            Adversary._exchange,
            Adversary._vote,
            Adversary._certify,
            Adversary._teach,
            Adversary._restart,
            Adversary._move_on,
            Adversary._rewire,
            Adversary._campaign,
        ]
        weights = [6.0, 4.0, 2.0, 0.7, 0.4, 0.5, 0.5, 0.3]
        if self._knobs.leases:
            steps += [Adversary._lease, Adversary._wait, Adversary._resign]
            weights += [2.0, 1.5, 0.2]
        if self._knobs.changes:
            steps.append(Adversary._hand_over)
            weights.append(0.5)
        for step in self._rng.choices(steps, weights, k=self._knobs.steps):
            others = list(self._successors.values())
            acting = self._rng.choice([self, *others]) if others else self
            try:
                step(acting)
            except (CounterMoved, _Ended):
                acting.bury()
        around = self._around
        return Outcome(
            terms_certified=len(around.certified),
            conflicts=tuple(term for term, known in around.certified.items() if len(known) > 1),
            leases_broken=around.leases_broken,
            leases_held=around.leases_held,
            recoveries=around.recoveries,
            successions=len(self._successors),
            terms_after=sum(
                leader.view.configuration_hash in self._successors
                for known in around.certified.values()
                for leader in known
            ),
        )

    def bury(self) -> None:
        """Members whose only life ended are started again, as often as that ends at once, too."""
        self._lives = [life for life in self._lives if life.counting not in self._ended]
        for member in self._honest:
            while all(life.member != member for life in self._lives):
                with contextlib.suppress(CounterMoved, _Ended):
                    self._restart_one(member)

    # --- what it does ------------------------------------------------------------------------

    def _exchange(self) -> None:
        """One enclave recovers, or reserves terms, with those that it happens to reach."""
        waiting = [life for life in self._lives if not life.voter.promises.recovered]
        life = self._rng.choice(waiting if waiting and self._rng.random() < 0.5 else self._lives)
        self._meet(life, self._reached(life.member))

    def _meet(self, life: _Life, others: list[_Life]) -> None:
        if life.voter.promises.recovered:
            life.voter.reserve(min(self._term + TERMS_RESERVED, TERM_MAX))
        was_recovered = life.voter.promises.recovered
        for _ in range(self._rng.randint(1, 3)):
            asked = life.voter.reservation()
            answers = [other.voter.keep(asked) for other in others]
            receipts = [answer for answer in answers if isinstance(answer, Signed)]
            life.voter.take_receipts((*receipts, *self._false_receipts(asked.what)))
            for answer in answers:
                if isinstance(answer, Kept):
                    life.voter.take_refusal(answer)
        if life.voter.promises.recovered and not was_recovered:
            self._around.recoveries += 1
            life.stale = False

    def _vote(self) -> None:
        for life in self._some(self._lives):
            view = self._rng.choice(self._rivals)
            said = life.voter.vote(view, self._now_ms(life.member))
            if not isinstance(said, Denied):
                self._said.votes[view][life.member] = said

    def _certify(self) -> None:
        """Whatever can be made of the votes, with the liars' beside them."""
        needed = self._configuration.quorum
        for view, votes in list(self._said.votes.items()):
            if view.term < self._term - 2:
                continue
            every = {**votes, **{liar: self._false_vote(liar, view) for liar in self._liars}}
            if len(every) >= needed:
                self._elect(ViewCertificate(view, tuple(every.values())))

    def _elect(self, certificate: ViewCertificate) -> None:
        for life in self._lives:
            said = life.voter.elect(certificate)
            if not isinstance(said, Denied):
                self._said.leaders[said[0]][life.member] = said[1]
        for leader, signatures in list(self._said.leaders.items()):
            if leader.view != certificate.view:
                continue
            for liar in self._liars:
                signatures[liar] = self._keys.sign(liar, leader.signing_bytes)
            if len(signatures) >= self._configuration.quorum:
                self._note(LeaderCertificate(leader, tuple(sorted(signatures.items()))))

    def _note(self, certificate: LeaderCertificate) -> None:
        known = self._said.certified[certificate.term]
        if certificate.leader not in known:
            self._around.leases_broken += sum(
                1
                for lease in self._around.leases
                if not lease.resigned
                and lease.leader.view.term < certificate.term
                and _who(lease.leader) != _who(certificate.leader)
                and int(self._around.time_ms * lease.rate) < lease.ends_ms
            )
        known[certificate.leader] = certificate

    def _hand_over(self) -> None:
        """Some enclaves stop, for one of two successors, and say so; liars hand over to both."""
        if not self._nexts:
            return  # one change is enough
        chosen = self._rng.choice(self._nexts)
        for life in self._some(self._lives):
            if not self._knobs.stops_durably:
                self._hand_over_carelessly(life, chosen)
                continue
            life.voter.hand_over(chosen.hash)
            self._meet(life, self._reached(life.member))
            said = life.voter.handover(self._now_ms(life.member))
            if not isinstance(said, Denied):
                self._said.handovers[said.what.next_hash, life.member] = said
        for configuration in self._nexts:
            self._succeed(configuration)

    def _hand_over_carelessly(self, life: _Life, chosen: Configuration) -> None:
        """The control: nobody keeps that it stopped, so a later life does not know."""
        promises = life.voter.promises
        voted = 0 if promises.voted is None else promises.voted.term
        last_term = max(promises.floor, voted)
        if promises.recovered and last_term < TERM_MAX:
            said = Handover(self._configuration.hash, chosen.hash, life.member, last_term)
            signed = Signed(said, self._keys.sign(life.member, said.signing_bytes))
            self._said.handovers[chosen.hash, life.member] = signed
            life.voter.hand_over(chosen.hash)

    def _succeed(self, configuration: Configuration) -> None:
        """Whoever makes up a certificate chooses whose handovers it takes."""
        said = self._said.handovers.items()
        handed = [each for (next_hash, _), each in said if next_hash == configuration.hash]
        for liar in self._liars:
            false = Handover(self._configuration.hash, configuration.hash, liar, 0)
            handed.append(Signed(false, self._keys.sign(liar, false.signing_bytes)))
        certificate = gather(handed, self._configuration)
        if certificate is not None and configuration.hash not in self._successors:
            check_handover(certificate, self._configuration, self._keys)
            self._successors[configuration.hash] = Adversary(
                self._around, self._knobs, configuration, floor=certificate.floor
            )

    def _teach(self) -> None:
        """Some enclaves hear of one of the newest leaders."""
        known = self._own_certified()
        if not known:
            return
        certificate = self._rng.choice(known[-2:])
        for life in self._some(self._lives):
            life.voter.learn_leader(certificate)

    def _restart(self) -> None:
        self._restart_one(self._rng.choice(self._honest))

    def _restart_one(self, member: int) -> None:
        saved = self._saved[member]
        may_be_old = self._knobs.rollbacks or self._stale_count(but=member) < self._knobs.stale_max
        sealed = self._rng.choice(saved) if may_be_old else saved[-1]
        life = self._life(member, sealed)
        life.stale = sealed is not saved[-1]
        is_newest = self._has_counter(member) and life.counting.is_newest()
        life.voter.begin(self._boot(), self._now_ms(member), is_newest=is_newest)
        if not self._knobs.guarded:
            self._believe(life)
        if not self._may_copy(member):
            self._lives = [each for each in self._lives if each.member != member]
        self._lives.append(life)

    def _believe(self, life: _Life) -> None:
        """The control: the enclave takes its sealed state for the newest there is."""
        state = self._saved[life.member][-1]
        promises = state.sealed.promises
        whole = replace(promises, recovered=True, floor=0, reserved_to=TERM_MAX)
        sealed = replace(state.sealed, promises=whole)
        life.voter = self._life(life.member, _State(sealed, state.count)).voter

    def _move_on(self) -> None:
        newest = max((each.term for each in self._own_certified()), default=0)
        self._term = max(self._term, newest) + self._rng.randint(1, 2)
        self._rivals = self._new_rivals()

    def _lease(self) -> None:
        """The newest leader asks for a lease; liars grant everything."""
        known = self._own_certified()
        if not known:
            return
        leader = self._rng.choice(known[-2:]).leader
        asked_ms = self._now_ms(leader.leader)
        granted = {
            life.member
            for life in self._some(self._lives)
            if not isinstance(
                life.voter.grant(leader.hash, asked_ms, self._now_ms(life.member)), Denied
            )
        }
        if len(granted) + self._knobs.liars >= self._configuration.quorum:
            self._around.leases_held += 1
            rate = self._rates[leader.leader]
            self._around.leases.append(_Lease(leader, rate, asked_ms + LEASE_MS))

    def _resign(self) -> None:
        life = self._rng.choice(self._lives)
        said = life.voter.resign()
        if isinstance(said, Denied):
            return
        self._resigned.add(said.what.leader_hash)
        for lease in self._around.leases:
            if lease.leader.hash == said.what.leader_hash:
                lease.resigned = True
        for other in self._some(self._lives):
            other.voter.take_resignation(said)

    def _wait(self) -> None:
        self._around.time_ms += self._rng.choice([50, 300, 700, 1_100])

    def _campaign(self) -> None:
        """Two camps with a rival view each; who is in both changes sides by a restart."""
        honest = self._rng.sample(self._honest, k=len(self._honest))
        swinging = honest[: self._rng.randint(0, 2)]
        rest = honest[len(swinging) :]
        cut = self._rng.randint(0, len(rest))
        first, second = self._rivals
        self._press([*swinging, *rest[:cut]], first)
        for member in swinging:
            self._restart_one(member)
        self._press([*swinging, *rest[cut:]], second)
        self._move_on()

    def _press(self, camp: list[int], view: View) -> None:
        """A camp, keeping to itself, gets ``view`` certified if it can."""
        lives = [life for life in self._lives if life.member in camp]
        for life in self._rng.sample(lives, k=len(lives)) * 2:
            self._meet(life, [other for other in lives if other.member != life.member])
        for life in lives:
            said = life.voter.vote(view, self._now_ms(life.member))
            if not isinstance(said, Denied):
                self._said.votes[view][life.member] = said
        self._certify()

    def _rewire(self) -> None:
        """Everybody reaches everybody, or two groups are apart, or most messages of some are lost."""
        members = range(self._knobs.count)
        group = [self._rng.randrange(2) for _ in members]
        share = self._rng.choice([1.0, 0.7, 0.4])
        apart = self._rng.random() < 1 / 3
        self._around.links = frozenset(
            (one, other)
            for one in members
            for other in members
            if (group[one] == group[other] or not apart) and self._rng.random() < share
        )

    # --- what it knows -----------------------------------------------------------------------

    def _life(self, member: int, state: _State) -> _Life:
        counting = Counting(self._hardware[member], state.count)
        known = state.sealed

        def store(sealed: Sealed) -> None:
            nonlocal known
            counted = self._has_counter(member) and must_count(known, sealed)
            saved = self._saved[member]
            try:
                counting.seal(lambda count: saved.append(_State(sealed, count)), counted=counted)
            except (CounterMoved, _Ended):
                self._ended.append(counting)
                raise
            known = sealed

        voter = Voter(
            state.sealed,
            configuration=self._configuration,
            signing=OwnKey(self._keys, member),
            keys=self._keys,
            store=store,
            accepts_cold_start=self._knobs.cold_starts,
        )
        return _Life(member, voter, counting)

    def _has_counter(self, member: int) -> bool:
        return member >= self._knobs.count - self._knobs.counters

    def _new_rivals(self) -> list[View]:
        """Views of the next term that contradict each other."""
        known = [NOTHING_BEFORE, *(each.leader.hash for each in self._own_certified())]
        everybody = tuple(range(self._knobs.count))
        views = []
        for previous in known[-2:]:
            for absent in self._rng.sample(everybody, k=2):
                members = tuple(member for member in everybody if member != absent)
                if len(members) >= self._configuration.quorum:
                    views.append(View(self._configuration.hash, self._term, members, previous))
            views.append(View(self._configuration.hash, self._term, everybody, previous))
            if previous in self._resigned:
                views = [replace(view, vacated=view.previous == previous) for view in views]
        return self._rng.sample(views, k=2)

    def _own_certified(self) -> list[LeaderCertificate]:
        """Of this configuration, in the order in which they came."""
        return [
            certificate
            for leaders in self._said.certified.values()
            for leader, certificate in leaders.items()
            if leader.view.configuration_hash == self._configuration.hash
        ]

    def _reached(self, member: int) -> list[_Life]:
        """One copy of each other member that can be reached."""
        others: dict[int, list[_Life]] = defaultdict(list)
        for life in self._lives:
            if life.member != member and (member, life.member) in self._around.links:
                others[life.member].append(life)
        heard = self._rng.choice(HEARD)
        return [self._rng.choice(lives) for lives in others.values() if self._rng.random() < heard]

    def _some(self, lives: Iterable[_Life]) -> list[_Life]:
        heard = self._rng.choice(HEARD)
        return [life for life in lives if self._rng.random() < heard]

    def _may_copy(self, member: int) -> bool:
        if member not in self._copied and len(self._copied) < self._knobs.copies:
            self._copied.add(member)
        return member in self._copied and self._rng.random() < 0.5

    def _stale_count(self, *, but: int) -> int:
        return len({life.member for life in self._lives if life.stale and life.member != but})

    def _false_vote(self, liar: int, view: View) -> Signed[Vote]:
        vote = Vote(view, liar, 1)
        return Signed(vote, self._keys.sign(liar, vote.signing_bytes))

    def _false_receipts(self, asked: Reservation) -> list[Signed[Receipt]]:
        """A liar keeps nothing and says that it does."""
        receipts = (Receipt(liar, asked, recovered=True) for liar in self._liars)
        return [Signed(each, self._keys.sign(each.source, each.signing_bytes)) for each in receipts]

    def _now_ms(self, member: int) -> int:
        return int(self._around.time_ms * self._rates[member])

    def _boot(self) -> bytes:
        return self._rng.randbytes(32)


def _who(leader: Leader) -> tuple[bytes, int]:
    return leader.view.configuration_hash, leader.leader


def play(seed: int, knobs: Knobs) -> Outcome:
    """One schedule. Cost: some milliseconds."""
    rng = Random(f"election/{seed}")
    first = _configuration(rng, knobs)
    nexts = [_configuration(rng, knobs, epoch=1, name=name) for name in "ab" if knobs.changes]
    return Adversary(_Around(rng), knobs, first, nexts=tuple(nexts)).play()


def _configuration(rng: Random, knobs: Knobs, *, epoch: int = 0, name: str = "") -> Configuration:
    return Careless(
        members=tuple(f"node{index:03}{name}" for index in range(knobs.count)),
        mode=knobs.mode,
        rule=rng.choice([Rule.LOWEST, Rule.ROUND_ROBIN]),
        lease_ms=LEASE_MS if knobs.leases else 0,
        epoch=epoch,
        fewer=knobs.answers_fewer,
    )
