"""Goal: whatever arrives in whatever order, with crashes and a full disk in between, every
validator that has enough right partials is aggregated exactly once, and nothing acknowledged
is lost.

Method: random programs against a ParSigDB whose SigAgg is played here, by a model that knows
which partials are right. The steps of one batch run concurrently; a crash may hit in the middle
of them, before or after the disk has what was being written.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.duties.duty_world import (
    CHAIN,
    GENESIS_S,
    FixedClock,
    attestation_data,
    database,
    log,
)

from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.parsigdb import LatePartials, ParSigDB
from tetrarch.duties.types import (
    AttestationPayload,
    Duty,
    DutyType,
    MatchedSet,
    PartialSet,
    PartialSignature,
    PubKey,
    ShareIndex,
    SignedData,
    SignedDataSet,
)
from tetrarch.errors import Transient
from tetrarch.storage.errors import StorageFull
from tetrarch.storage.inline import InlineDatabase

R = TypeVar("R")

THRESHOLD, OWN = 3, 1
SLOTS, NUMBERS = (9, 10), (0, 1)
RIGHT, FALSE = b"\1" * 96, b"\2" * 96

Key = tuple[int, int]  # slot, number of the validator
KEYS = [(slot, number) for slot in SLOTS for number in NUMBERS]


@dataclass(frozen=True)
class Arrive:
    share: int
    slot: int
    right: dict[int, bool]  # by number of the validator


@dataclass(frozen=True)
class Step:
    worker: str


@dataclass(frozen=True)
class Fill:
    full: bool


@dataclass(frozen=True)
class FailWrite:
    """Let one write find the disk full: the next (0), or one of those after it."""

    after: int


@dataclass(frozen=True)
class Batch:
    steps: tuple[Arrive | Step | Fill | FailWrite, ...]
    crash: bool | None  # None: no crash; else whether what is being written reaches the disk
    turns: int  # of the loop, before the crash


def pubkey(number: int) -> PubKey:
    return PubKey(bytes([number + 1]) * 48)


def key_of(slot: int, partial: PartialSignature | SignedData) -> Key:
    return slot, partial.pubkey[0] - 1


arrivals = st.builds(
    Arrive,
    share=st.integers(2, 4),
    slot=st.sampled_from(SLOTS),
    right=st.dictionaries(
        st.sampled_from(NUMBERS), st.sampled_from([True, True, True, False]), min_size=1
    ),
)
own = st.builds(
    lambda slot, numbers: Arrive(OWN, slot, dict.fromkeys(sorted(numbers), True)),
    st.sampled_from(SLOTS),
    st.sets(st.sampled_from(NUMBERS), min_size=1),
)
steps = st.one_of(
    arrivals,
    own,
    st.builds(Step, st.sampled_from(["broadcast_once", "store_once", "aggregate_once"])),
    st.builds(Fill, st.booleans()),
    st.builds(FailWrite, st.integers(0, 2)),
)
any_batches = st.builds(
    Batch,
    steps=st.lists(steps, min_size=1, max_size=5).map(tuple),
    crash=st.sampled_from([None, None, None, None, False, True]),
    turns=st.integers(0, 6),
)


# What a purely random program hits too seldom: the disk fills up while a duty is aggregated.
quorum_batches = st.builds(
    lambda slot, after: Batch(
        steps=(
            *(Arrive(share, slot, dict.fromkeys(NUMBERS, True)) for share in (2, 3, 4)),
            FailWrite(after),
            Step("aggregate_once"),
        ),
        crash=None,
        turns=0,
    ),
    st.sampled_from(SLOTS),
    st.integers(0, 2),
)
batches = st.one_of(any_batches, any_batches, any_batches, quorum_batches)


class Disk:
    """An in-memory database of which single writes may fail."""

    def __init__(self, database: InlineDatabase) -> None:
        self.database = database
        self.fail_after: int | None = None

    async def write(self, function: Callable[[Any], R], /) -> R:
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                self.fail_after = None
                raise StorageFull("write")
        return await self.database.write(function)

    async def read(self, function: Callable[[Any], R], /) -> R:
        return await self.database.read(function)


class Model:
    """One node's ParSigDB, life after life, and what must be true of it."""

    def __init__(self) -> None:
        self.storage = Disk(database())
        self.clock = FixedClock(GENESIS_S + 12 * 10 + 1)
        self.known: dict[Key, dict[int, bool]] = {key: {} for key in KEYS}  # first of each share
        self.durable: set[tuple[Key, int]] = set()  # acknowledged, right ones
        self.made: Counter[Key] = Counter()  # aggregations in this life
        self.final: set[Key] = set()  # aggregated, and that is durable
        self.ever_made: set[Key] = set()  # in any life
        self.rejected: set[tuple[Key, int]] = set()  # in this life
        self.ever_rejected: set[tuple[Key, int]] = set()
        self.sent: set[tuple[Key, int]] = set()
        self.db = self._open()

    def _open(self) -> ParSigDB:
        deadlines = Deadlines(chain=CHAIN, clock=self.clock)
        db = ParSigDB(
            storage=self.storage,
            threshold=THRESHOLD,
            clock=self.clock,
            is_open=deadlines.is_open,
            log=log(),
        )
        db.threshold_reached.subscribe(self._aggregate)
        db.late.subscribe(self._verify_late)
        db.internal_stored.subscribe(self._send)
        return db

    # --- the components around it, played honestly ---------------------------------------------

    async def _send(self, partial_set: PartialSet) -> None:
        self.sent |= {(key_of(partial_set.duty.slot, p), OWN) for p in partial_set.partials}

    async def _aggregate(self, matched: MatchedSet) -> None:
        slot = matched.duty.slot
        signed, false = [], []
        for match in matched.matches:
            key = (slot, match.pubkey[0] - 1)
            culprits = [share for share, signature in match.signatures if signature == FALSE]
            again = [share for share in culprits if (key, share) in self.rejected]
            assert not again, "what was rejected is not combined again"
            false += [
                PartialSignature(
                    pubkey=match.pubkey, share_index=share, payload=match.payload, signature=FALSE
                )
                for share in culprits
            ]
            if len(match.signatures) - len(culprits) >= THRESHOLD:
                signed.append(
                    SignedData(pubkey=match.pubkey, payload=match.payload, signature=RIGHT)
                )
        await asyncio.sleep(0)  # the cryptography
        if signed:
            await self.storage.write(lambda _: None)  # AggSigDB: fails while the disk is full
            for item in signed:
                key = key_of(slot, item)
                self.made[key] += 1
                self.ever_made.add(key)
                assert self.made[key] == 1, "one aggregation in a life"
                assert key not in self.final, "and none after it is known for good"
            await self.db.mark_aggregated(SignedDataSet(duty=matched.duty, items=tuple(signed)))
        if false:
            await self._reject(PartialSet(duty=matched.duty, partials=tuple(false)))

    async def _verify_late(self, late: LatePartials) -> None:
        false = tuple(p for p in late.partials if p.signature == FALSE)
        if false:
            await self._reject(PartialSet(duty=late.duty, partials=false))

    async def _reject(self, false: PartialSet) -> None:
        self.rejected |= {(key_of(false.duty.slot, p), p.share_index) for p in false.partials}
        self.ever_rejected |= self.rejected
        await self.db.reject(false)

    # --- the program ----------------------------------------------------------------------------

    async def run(self, program: Iterable[Batch]) -> None:
        for batch in program:
            tasks = [asyncio.get_running_loop().create_task(self._do(s)) for s in batch.steps]
            if batch.crash is not None:
                for _ in range(batch.turns):
                    await asyncio.sleep(0)
                self.storage.database.crash(after_commit=batch.crash)
                for task in tasks:
                    task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                crashed = batch.crash is not None and isinstance(outcome, asyncio.CancelledError)
                if outcome is not None and not crashed:
                    assert isinstance(outcome, Transient), outcome
            if batch.crash is not None:
                await self._restart()
        self.storage.database.full = False
        self.storage.fail_after = None
        await self._settle()
        await self._restart()
        await self._settle()

    async def _do(self, step: Arrive | Step | Fill | FailWrite) -> None:
        match step:
            case Arrive(share=share, slot=slot, right=right):
                await self._arrive(share, slot, right)
            case Step(worker=worker):
                await getattr(self.db, worker)()
            case Fill(full=full):
                self.storage.database.full = full
            case FailWrite(after=after):
                self.storage.fail_after = after

    async def _arrive(self, share: int, slot: int, right: dict[int, bool]) -> None:
        partial_set = PartialSet(
            duty=Duty(slot, DutyType.ATTESTER),
            partials=tuple(
                PartialSignature(
                    pubkey=pubkey(number),
                    share_index=ShareIndex(share),
                    payload=AttestationPayload(data=attestation_data(slot)),
                    signature=RIGHT if is_right else FALSE,
                )
                for number, is_right in sorted(right.items())
            ),
        )
        if share == OWN:
            await self.db.store_internal(partial_set)
            self.durable |= {((slot, number), OWN) for number in right}
        else:
            for number, is_right in right.items():
                self.known[slot, number].setdefault(share, is_right)
            await self.db.store_external(partial_set)

    async def _settle(self) -> None:
        """The workers run while there is room: then all that was promised holds."""
        for _ in range(6):
            for worker in ("broadcast_once", "store_once", "aggregate_once"):
                await getattr(self.db, worker)()
        for key in KEYS:
            right = {share for share, is_right in self.known[key].items() if is_right}
            if self._holds(key, OWN):
                right.add(OWN)
            if len(right) >= THRESHOLD:
                assert key in self.ever_made, key
            # A share once found false has its one row: a later partial of it stays in memory.
            self.durable |= {(key, share) for share in right} - self.ever_rejected
        self.final |= self.ever_made
        for key in KEYS:
            if (key, OWN) in self.durable:
                # Aggregated and then crashed before it was sent: the greeting brings it.
                reached = (key, OWN) in self.sent or key in self.ever_made
                assert reached, (key, "own partials reach the peers")

    async def _restart(self) -> None:
        self.storage = Disk(self.storage.database.reopen())
        self.made.clear()
        self.rejected.clear()
        self.db = self._open()
        await self.db.load()
        for key, share in sorted(self.durable):
            assert self._holds(key, share), (key, share, "acknowledged, and lost in a crash")
        for key in KEYS:
            self.known[key] = {
                share: right for share, right in self.known[key].items() if self._holds(key, share)
            }

    def _holds(self, key: Key, share: int) -> bool:
        duty = Duty(key[0], DutyType.ATTESTER)
        return self.db.has_signed(duty, (pubkey(key[1]), 0), ShareIndex(share))


@settings(max_examples=500, deadline=None)
@given(program=st.lists(batches, max_size=14))
def test_every_validator_with_enough_right_partials_is_aggregated_once(
    program: list[Batch],
) -> None:
    async def main() -> None:
        await Model().run(program)

    asyncio.run(main())
