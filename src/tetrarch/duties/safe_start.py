"""SafeStart: nothing that could differ is signed before the peers said what our share has signed.

That is votes, blocks and sync messages: what a node can sign differently a second time.

A folder restored from an old backup has forgotten signatures, and a node that forgets is as
dangerous as one that lies. So a started node is *held*: it asks its peers for the newest vote and
block that they saw our share sign, and needs answers of n - f - 1 of the others. What they prove and
our histories do not hold is *learned* first, durably: denied is then everything at or below it. Then
the node is *released*. Peers answer also while they are held, so a whole cluster starts.

Evidence is the partial signature itself, verified against our own public share. So f liars can keep
back (of n - f - 1 answers at least n - 2f - 1 are honest ones), but not invent: none of them can
make the node stop signing. Nor can silence: the honest others are as many as it needs.

Peers also tell our share's newest sync messages. Two of a slot are not slashable, but
its peers would take the node for a liar: such a message proves that the folder is old, and that is all.

An old folder has forgotten its votes in consensus, too, even where it signed nothing since: peers
also prove what it said there (``recall``). It is silent in every duty up to the slot in which it
was started. Peers that were away are asked until they have answered.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from tetrarch.clock import Clock
from tetrarch.consensus.messages import faulty_max
from tetrarch.duties.contradictable import contradictable_slot
from tetrarch.duties.doppelganger import WATCHED_EPOCHS, AnotherInstanceRuns, cannot_sign
from tetrarch.duties.forgotten import Forgotten, slashable
from tetrarch.duties.group_crypto import GroupCrypto
from tetrarch.duties.ports import Compute, GroupKeys, OwnHistory, Storage
from tetrarch.duties.twins import Twins
from tetrarch.duties.types import (
    Duty,
    PartialSignature,
    Payload,
    PubKey,
)
from tetrarch.duties.witnesses import Testimony, Witnesses
from tetrarch.enclave.errors import FolderRestored
from tetrarch.errors import PeerFault, TetrarchError, Transient
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log, error_fields
from tetrarch.storage.migrations import Schema
from tetrarch.supervision import sole_cause

RETRY_S = 1.0
CLOCK_SLACK_SLOTS = 1
NAMED_MAX = 8  # duties in one line of the log
OLD_MEND = (
    "if this folder was restored from a backup, nothing more is to be done: the node signs nothing"
    " that its peers saw signed, and goes on above it; if it was not, look for a second node that"
    " runs with this folder's keys, and stop it"
)
TRUST_RISK = (
    "no peer is asked what this node's share has signed: if this folder is older than the last"
    " signature, the node can sign something slashable"
)
SCHEMA = Schema(
    component="safe_start",
    steps=(
        (
            """CREATE TABLE safe_start (
                only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
                silent_to_slot INTEGER NOT NULL)""",
        ),
    ),
)


VoteWatch: TypeAlias = Callable[[int], Awaitable[tuple[PubKey, ...]]]
# Asks a peer: open duties in which it proves that we said in consensus what we do not know of.
Recall: TypeAlias = Callable[[int], Awaitable[tuple[Duty, ...]]]


async def nothing_said(_peer: int) -> tuple[Duty, ...]:
    """A ``Recall`` for who says nothing in consensus."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What SafeStart works with. ``histories``: all that our shares' signatures go through."""

    witnesses: Witnesses
    histories: tuple[OwnHistory, ...]
    storage: Storage
    keys: GroupKeys
    chain: ChainSpec
    crypto: GroupCrypto
    compute: Compute
    clock: Clock
    log: Log
    recall: Recall = nothing_said
    trusts_own_history: bool = False
    accepts_rollback_risk: bool = False  # trusts a folder that was restored, too
    vote_watch: VoteWatch | None = None  # which validators were seen to vote in an epoch


class SafeStart:
    """``load``, then ``run`` as a worker; ask ``refusal`` and ``held_reason``, await ``released``."""

    def __init__(self, surroundings: Surroundings) -> None:
        s = surroundings
        self._s = s
        self._log = s.log
        self._peers = tuple(n for n in range(s.keys.share_count) if n + 1 != s.keys.own_share_index)
        self._faulty_max = faulty_max(s.keys.share_count)
        self._needed = s.keys.share_count - self._faulty_max - 1
        self._slot_s = s.chain.slot_duration_ms / 1000
        self._started_slot = s.chain.slot_at(s.clock.wall_s())
        self._forgotten = Forgotten(
            histories=s.histories,
            storage=s.storage,
            keys=s.keys,
            chain=s.chain,
            crypto=s.crypto,
            compute=s.compute,
            log=s.log,
        )
        self._answered: set[int] = set()
        self._released = asyncio.Event()
        self._peer_came = asyncio.Event()
        self._trusts = s.trusts_own_history
        self._watches = s.vote_watch is not None  # for a doppelganger; ends after some epochs
        self._twins = Twins(
            witnesses=s.witnesses,
            peers=self._peers,
            faulty_max=self._faulty_max,
            slot_s=self._slot_s,
            on_heard=self._release_if_right,
            log=s.log,
        )
        self._silent_to_slot = -1
        self._found_old = False
        self._is_restored = False  # by command, and not recovered yet
        self._learning = asyncio.Lock()  # one peer's evidence after the other

    @property
    def held(self) -> bool:
        """Whether nothing may be signed yet that could differ from what was signed before."""
        return not self._released.is_set()

    @property
    def runs_twice(self) -> bool:
        """Whether more peers than can lie see two processes with our certificate."""
        return self._twins.seen

    @property
    def found_old(self) -> bool:
        """Whether this start found the folder to be older than what the peers saw."""
        return self._found_old

    def held_reason(self) -> str | None:
        """Why nothing is signed yet, for operators and validator clients."""
        if not self.held:
            return None
        if self._twins.one_is_older:
            return "another process runs with this node's certificate, and it is the older one"
        if self._enough_answered:
            if self._is_restored:
                return "this folder was restored, and that it recovered could not be stored yet"
            return "watching whether somebody else signs with these keys"
        answered = f"{len(self._answered)} of {self._needed}"
        return f"{answered} needed peers have said what this node's share has signed"

    def old_reason(self) -> str | None:
        """That the folder is old, until a whole epoch after what the node keeps silent about."""
        now_slot = self._s.chain.slot_at(self._s.clock.wall_s())
        whole_epoch_after = self._silent_to_slot + self._s.chain.slots_per_epoch
        if self._silent_to_slot < 0 or now_slot > whole_epoch_after:
            return None
        return "this folder was older than what the peers saw this node's share sign"

    def reasons(self) -> tuple[str, ...]:
        """Why the node does not do all of its duties, for /readyz; empty when it does."""
        twice = "another process runs with this node's certificate" if self.runs_twice else None
        found = (self.held_reason(), twice, self.old_reason())
        return tuple(reason for reason in found if reason is not None)

    def refusal(self, payload: Payload) -> str | None:
        """Why ``payload`` is not signed by a node that is released."""
        slot = contradictable_slot(payload)
        if slot is None or slot > self._silent_to_slot:
            return None
        return "denied: restored_folder"

    def must_wait(self, payload: Payload) -> bool:
        """Whether ``payload`` must not be signed now: another process of ours may sign another."""
        return self.held and contradictable_slot(payload) is not None

    def is_silent_in(self, duty: Duty) -> bool:
        """Whether an old folder has to keep silent about ``duty`` in consensus."""
        return duty.slot <= self._silent_to_slot

    def may_have_forgotten(self, duty: Duty) -> bool:
        """Whether a former life may have said something about ``duty``, as far as is known now."""
        return self.held and duty.slot <= self._started_slot + CLOCK_SLACK_SLOTS

    async def released(self) -> None:
        """Wait until the peers have answered; the caller's deadline ends the wait."""
        await self._released.wait()

    async def load(self) -> None:
        """Before anything runs: what an earlier start found out, and whether a backup was restored.

        Raises:
            FolderRestored: its history is to be trusted, and is certainly too old.
        """
        row = await self._s.storage.read(
            lambda c: c.execute("SELECT silent_to_slot FROM safe_start").fetchone()
        )
        if row is not None:
            self._silent_to_slot = int(row[0])
        marks = [await history.is_restored() for history in self._s.histories]
        self._is_restored = any(marks)
        if not self._is_restored:
            return
        if self._trusts and not self._s.accepts_rollback_risk:
            raise FolderRestored("trust own history")
        # It has forgotten what it said in consensus, whatever the peers can prove.
        await self._keep_silent()
        self._found_old = True
        self._log.warning("folder_restored", silent_to_slot=self._silent_to_slot)

    async def run(self) -> None:
        """Ask until all peers have answered; release as soon as enough have.

        Raises:
            AnotherInstanceRuns: the node must not go on.
        """
        if self._trusts:
            self._log.warning("own_history_trusted", risk=TRUST_RISK)
            await self._recover()
            while not self._enough_answered or self._is_restored:
                await asyncio.sleep(RETRY_S)  # the disk is full
                await self._recover()
        self._release_if_right()
        try:
            await self._run()
        except BaseExceptionGroup as group:
            raise sole_cause(group) from group

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            if not self._trusts:
                tasks.create_task(self._ask_all(), name="safe-start-ask")
            if self._watches:
                tasks.create_task(self._watch_votes(), name="safe-start-watch")
            tasks.create_task(self._twins.watch(), name="safe-start-twins")

    def peer_connected(self) -> None:
        """A peer is there (again): it need not wait for its turn to be asked."""
        self._peer_came.set()

    # --- inside ------------------------------------------------------------------------------

    @property
    def _enough_answered(self) -> bool:
        return self._trusts or len(self._answered) >= self._needed

    async def _ask_all(self) -> None:
        while (left := [p for p in self._peers if p not in self._answered]) or self._is_restored:
            self._peer_came.clear()
            await asyncio.gather(*(self._hear(peer) for peer in left))
            if not left:
                await self._recover()  # as it could not be stored before
                self._release_if_right()
            pause_s = RETRY_S if self.held else self._slot_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._peer_came.wait()

    async def _watch_votes(self) -> None:
        """For whole epochs: does anybody sign with these keys, while we do not?"""
        chain = self._s.chain
        first = chain.epoch_of(max(self._started_slot, 0)) + 1
        for epoch in range(first, first + WATCHED_EPOCHS):
            self._log.info("watching_for_another_instance", epoch=epoch)
            half_slot_s = self._slot_s / 2  # the epoch's last votes are included by then
            ends_s = chain.slot_start_s(chain.first_slot(epoch + 1)) + half_slot_s
            await asyncio.sleep(max(ends_s - self._s.clock.wall_s(), 0))
            while not await self._looked(epoch):  # noqa: ASYNC110 - each turn asks anew
                await asyncio.sleep(self._slot_s)
        self._watches = False
        self._release_if_right()

    async def _looked(self, epoch: int) -> bool:
        """Whether nobody signed in ``epoch``; False: that is not known yet."""
        states = {}
        for peer in self._peers:
            try:
                testimony = await self._s.witnesses.ask(peer)
                await self.learn(peer, testimony)
            except (PeerFault, Transient) as error:
                self._log.debug("testimony_missing", peer=peer, reason=str(error))
            else:
                states[peer] = testimony.state
        if not cannot_sign(self._s.keys, states.values(), epoch) or self._s.vote_watch is None:
            return len(states) >= self._needed
        try:
            voting = await self._s.vote_watch(epoch)
        except TetrarchError as error:
            self._log.warning("liveness_unknown", epoch=epoch, code=error.code, reason=str(error))
            return False
        if voting:
            raise AnotherInstanceRuns(
                "watch for another instance",
                epoch=epoch,
                validators=len(voting),
                first="0x" + voting[0].hex(),
            )
        return True

    async def _hear(self, peer: int) -> None:
        """Ask one peer, and learn before its answer counts."""
        try:
            testimony = await self._s.witnesses.ask(peer)
            self._twins.note(peer, testimony.state)  # before it can release us
            await self.learn(peer, testimony)
            await self._recall(peer)
        except PeerFault as fault:
            self._log.warning("testimony_refused", peer=peer, **error_fields(fault))
        except Transient as error:  # it is away, or our disk is full: it is asked again
            self._log.debug("testimony_missing", peer=peer, reason=str(error))
        else:
            self._answered.add(peer)
            await self._recover()
            self._release_if_right()

    async def _recover(self) -> None:
        """Enough have answered: the mark goes, of the node's own history last."""
        if not self._is_restored or not self._enough_answered:
            return
        try:
            for history in reversed(self._s.histories):
                await history.recover()
        except Transient as error:  # the disk is full: the next answer tries again
            self._log.warning("recovery_unkept", code=error.code, reason=str(error))
        else:
            self._is_restored = False
            self._log.info("folder_recovered", answered=sorted(self._answered))

    def _release_if_right(self) -> None:
        right = (
            self._enough_answered
            and not self._is_restored
            and not self._watches
            and not self._twins.one_is_older
        )
        if right and self.held:
            self._log.info("released", answered=sorted(self._answered), old=self._found_old)
            self._released.set()
        elif not right and not self.held:
            self._released.clear()
            self._log.error("held_again", reason=self.held_reason())

    async def learn(self, peer: int, testimony: Testimony) -> None:
        """Have the histories deny all that could clash with what ``peer`` proves.

        Raises:
            Transient: not all of it is durable; nothing was lost, repeat it.
        """
        async with self._learning:
            kept_from_slot = self._started_slot - self._s.chain.slots_per_epoch + 1
            proven = await self._forgotten.among(
                testimony.partials, peer=peer, messages_from_slot=kept_from_slot
            )
            if not proven:
                return
            self._refuse_another(proven)
            # Silence first: a crash in between must not leave an old folder that looks new.
            await self._keep_silent()
            for history in self._s.histories:
                await history.learn(slashable(proven))
            self._tell(peer, proven)

    async def _recall(self, peer: int) -> None:
        proven = await self._s.recall(peer)
        async with self._learning:
            duties = [duty for duty in proven if not self.is_silent_in(duty)]
            if not duties:
                return
            await self._keep_silent()
        self._found_old = True
        self._log.error(
            "folder_forgot_votes",
            peer=peer,
            duties=[str(duty) for duty in duties[:NAMED_MAX]],
            count=len(duties),
            silent_to_slot=self._silent_to_slot,
            mend=OLD_MEND,
        )

    def _refuse_another(self, proven: tuple[PartialSignature, ...]) -> None:
        """While we watch, and so are held, nobody signs with our share but another instance."""
        newest = max(contradictable_slot(p.payload) or 0 for p in proven)
        if self._watches and newest > self._started_slot + CLOCK_SLACK_SLOTS:
            raise AnotherInstanceRuns("watch for another instance", signed_slot=newest)

    async def _keep_silent(self) -> None:
        """In every duty that a former life may have spoken in."""
        slot = max(self._silent_to_slot, self._started_slot + CLOCK_SLACK_SLOTS)

        def transaction(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO safe_start VALUES (1, ?)", (slot,))

        await self._s.storage.write(transaction)
        self._silent_to_slot = slot

    def _tell(self, peer: int, proven: tuple[PartialSignature, ...]) -> None:
        slots = [slot for p in proven if (slot := contradictable_slot(p.payload)) is not None]
        event = "folder_is_old" if not self._found_old else "folder_is_old_further"
        self._found_old = True
        self._log.error(
            event,
            peer=peer,
            validators=len({p.pubkey for p in proven}),
            highest_slot=max(slots),
            silent_to_slot=self._silent_to_slot,
            mend=OLD_MEND,
        )
