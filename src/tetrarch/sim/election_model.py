"""Every state that small elections can reach: no term has two leaders in any of them.

Four members, of which one lies; terms 1 and 2; two rival views in each. The rules are the production
code's (``election.promises``, ``election.witnesses``), their steps are taken in every order, with every set of
members that happens to be reached, and restarts go back to every state that was ever sealed. The
search is exhaustive up to ``Limits``, and breadth first: a conflict is found by the shortest way.

Members that do not lie are alike, so it is enough that the first of them restart. What a member sealed
is forgotten once nobody may restart any more.

The liar votes for everything, and says that it keeps whatever it is asked to keep.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

from msgspec import structs

from tetrarch.election import promises as rules
from tetrarch.election import witnesses
from tetrarch.election.configuration import Configuration
from tetrarch.election.promises import Denied, Promises
from tetrarch.election.quorums import Mode
from tetrarch.election.statements import Receipt, Signed, View
from tetrarch.election.witnesses import Kept, Registry
from tetrarch.sim.election_knobs import Careless

COUNT = 4
LIAR = 3
HONEST = (0, 1, 2)
LIARS = 1
VIEWS = ((0, 1, 2), (0, 1, 2, 3))  # two rivals that every member is in


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the search goes, and what it leaves out (for controls)."""

    terms: int = 2
    restarts: int = 1
    guarded: bool = True
    answers_fewer: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What came of it. ``conflict``: the shortest way to two leaders in one term, if there is any."""

    states: int
    steps: int
    conflict: tuple[str, ...] | None


Sealed: TypeAlias = tuple[Promises, Registry]
Votes: TypeAlias = frozenset[tuple[View, int]]


@dataclass(frozen=True, slots=True)
class State:
    """All there is: what the members know, all that they ever sealed, and every vote ever cast."""

    members: tuple[Sealed, ...]
    sealed: tuple[frozenset[Sealed], ...]
    votes: Votes
    restarts: int


def explore(limits: Limits, *, states_max: int = 5_000_000) -> Explored:
    """Search until nothing is new, or a term has two leaders.

    Raises:
        OverflowError: there are more than ``states_max`` states.
    """
    model = _Model(limits)
    first = model.first()
    came_from: dict[State, tuple[State, str] | None] = {first: None}
    waiting = deque([first])
    steps = 0
    while waiting:
        state = waiting.popleft()
        for name, after in model.steps(state):
            steps += 1
            if after in came_from:
                continue
            came_from[after] = (state, name)
            if model.has_conflict(after):
                way = _way(came_from, after)
                return Explored(states=len(came_from), steps=steps, conflict=way)
            if len(came_from) > states_max:
                raise OverflowError(f"more than {states_max} states")
            waiting.append(after)
    return Explored(states=len(came_from), steps=steps, conflict=None)


class _Model:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        names = tuple(f"node{index}" for index in range(COUNT))
        self._configuration: Configuration = Careless(
            members=names, mode=Mode.BFT, fewer=limits.answers_fewer
        )
        self._views = [
            View(self._configuration.hash, term, members)
            for term in range(1, limits.terms + 1)
            for members in VIEWS
        ]

    @property
    def _restarting(self) -> tuple[int, ...]:
        return HONEST[: self._limits.restarts]

    def first(self) -> State:
        members: tuple[Sealed, ...] = tuple(
            (rules.born(member, _boot(0)), (None,) * COUNT) for member in HONEST
        )
        histories = tuple(frozenset([members[each]]) for each in self._restarting)
        return State(members, histories, frozenset(), 0)

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        for member in HONEST:
            yield from self._meetings(state, member)
            yield from self._votes(state, member)
        for member in range(len(state.sealed)):
            yield from self._restarts(state, member)

    def has_conflict(self, state: State) -> bool:
        certified = [
            view
            for view in self._views
            if sum(voted == view for voted, _ in state.votes) + LIARS >= self._configuration.quorum
        ]
        return len({view.term for view in certified}) < len(certified)

    def _meetings(self, state: State, member: int) -> Iterator[tuple[str, State]]:
        promises = state.members[member][0]
        wishes = range(promises.asked_to + 1, self._limits.terms + 1)
        for term in wishes if promises.recovered else (0,):
            reserved = rules.reserve(promises, term) if term else promises
            if isinstance(reserved, Denied):
                continue
            others = [other for other in HONEST if other != member]
            for count in range(len(others) + 1):
                for reached in combinations(others, count):
                    after = self._meet(_with(state, member, promises=reserved), member, reached)
                    yield f"{member} asks {reached} for terms to {reserved.asked_to}", after
        if promises.recovered and promises.reserved_to < promises.asked_to:
            for reached in combinations([other for other in HONEST if other != member], 2):
                yield f"{member} asks {reached} again", self._meet(state, member, reached)

    def _meet(self, state: State, member: int, reached: tuple[int, ...]) -> State:
        promises, registry = state.members[member]
        asked = Signed(rules.reservation(promises, self._configuration), b"")
        receipts = [Receipt(LIAR, asked.what, recovered=True)]
        for other in reached:
            kept = witnesses.keep(state.members[other][1], asked)
            if isinstance(kept, Kept):
                for shown in kept.all:
                    promises = rules.outbid(promises, shown.what)
                continue
            state = _with(state, other, registry=kept)
            recovered = state.members[other][0].recovered
            receipts.append(Receipt(other, asked.what, recovered=recovered))
            told = (each for known in kept if known is not None for each in known.all)
            registry = witnesses.learn(registry, told)
        promises = rules.take_receipts(promises, tuple(receipts), self._configuration)
        return _with(state, member, promises=promises, registry=registry)

    def _votes(self, state: State, member: int) -> Iterator[tuple[str, State]]:
        for view in self._views:
            judged = rules.judge_vote(state.members[member][0], view, self._configuration, 0)
            if isinstance(judged, Denied):
                continue
            after = _with(state, member, promises=judged)
            votes = state.votes | {(view, member)}
            yield f"{member} votes for {view.members} in {view.term}", replace(after, votes=votes)

    def _restarts(self, state: State, member: int) -> Iterator[tuple[str, State]]:
        last = state.restarts + 1 == self._limits.restarts
        for sealed, registry in state.sealed[member]:
            boot = _boot(state.restarts + 1)
            promises = rules.begin(sealed, boot, self._configuration, 0)
            if not self._limits.guarded:
                promises = structs.replace(sealed, reserved_to=self._limits.terms)
            after = _with(state, member, promises=promises, registry=registry)
            histories = () if last else after.sealed
            yield (
                f"{member} restarts",
                replace(after, restarts=state.restarts + 1, sealed=histories),
            )


def _with(
    state: State,
    member: int,
    *,
    promises: Promises | None = None,
    registry: Registry | None = None,
) -> State:
    """``state`` with news of one member, sealed."""
    known_promises, known_registry = state.members[member]
    news = (promises or known_promises, known_registry if registry is None else registry)
    if news == state.members[member]:
        return state
    members = (*state.members[:member], news, *state.members[member + 1 :])
    sealed = state.sealed
    if member < len(sealed):
        history = sealed[member] | {news}
        sealed = (*sealed[:member], history, *sealed[member + 1 :])
    return replace(state, members=members, sealed=sealed)


def _boot(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _way(came_from: dict[State, tuple[State, str] | None], end: State) -> tuple[str, ...]:
    way: list[str] = []
    at = came_from[end]
    while at is not None:
        way.append(at[1])
        at = came_from[at[0]]
    return tuple(reversed(way))
