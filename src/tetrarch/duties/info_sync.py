"""InfoSync: in the last slot of each epoch the cluster agrees on what all its nodes can do.

Each node signs a statement of what it can do and wants (``features``), asks all peers for theirs,
and proposes a ballot of those it has to QBFT. What is decided is durable, and holds until the next
one is: an agreement that fails, or a restart, changes nothing. The rule that counts a ballot
stands in ``consensus.priority``.

It holds up nothing: no other duty waits for it, and it runs in the background. What peers can make
it keep is bounded: statements for an open duty alone, one of each node.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.clock import Clock
from tetrarch.consensus.events import Verdict
from tetrarch.consensus.ports import Decided
from tetrarch.consensus.priority import (
    BallotInvalid,
    PriorityCodec,
    SignedStatement,
    Statement,
)
from tetrarch.duties.features import Agreed, agreed_of, topics_of
from tetrarch.duties.ports import Storage
from tetrarch.duties.timing import deadline_s, exchange_s
from tetrarch.duties.types import DefinitionSet, Duty, DutyType
from tetrarch.errors import PeerFault, Transient, invariant
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.network.requests import PeerSilent, Requests, Subject
from tetrarch.network.versions import Versions
from tetrarch.observability.logs import Log
from tetrarch.output import Output
from tetrarch.storage.migrations import Schema
from tetrarch.storage.rows import blob

ASKED_TIMES = 2  # in the time that there is: one question or answer may be lost
OPEN_MAX = 2  # duties whose statements are kept
MEND_BUILDER = "set builder_api alike on all nodes; until then no builder is asked"

_TABLE = """
CREATE TABLE info_sync (
    slot INTEGER NOT NULL PRIMARY KEY,
    ballot BLOB NOT NULL
) WITHOUT ROWID
"""
SCHEMA = Schema(component="info_sync", steps=((_TABLE,),))


class TooFewStatements(Transient):
    """Fewer than a quorum of nodes have said what they can do."""

    code = "too_few_statements"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What this node proposes for an INFO_SYNC duty, as bytes of ``consensus.priority``."""

    duty: Duty
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAbilities:
    """What this node says of itself, and how large its cluster is."""

    versions: Versions
    builder_api: bool
    own_index: int
    node_count: int
    needed: int  # statements in a ballot, at least
    complete_rounds: int  # from the first on, in which a ballot must leave nobody out; f of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """When the cluster agrees."""

    chain: ChainSpec
    clock: Clock

    def is_due(self, duty: Duty) -> bool:
        """Whether ``duty`` is an INFO_SYNC that runs now, or starts within a slot."""
        if duty.type is not DutyType.INFO_SYNC or not 0 <= duty.slot < 2**53:
            return False
        now_s, ends_s = self.clock.wall_s(), deadline_s(duty, self.chain)
        is_last = self.chain.epoch_of(duty.slot) != self.chain.epoch_of(duty.slot + 1)
        earliest_s = self.chain.slot_start_s(duty.slot - 1)
        return is_last and ends_s is not None and earliest_s <= now_s <= ends_s


class InfoSync:
    """Inputs: ``negotiate``, ``store``. Outputs: ``proposed``, ``agreements`` (durable ones).

    Satisfies ``features.ClusterFeatures``. ``load`` it before it is used.
    """

    def __init__(
        self,
        *,
        own: OwnAbilities,
        codec: PriorityCodec,
        requests: Requests,
        storage: Storage,
        agenda: Agenda,
        log: Log,
        lacks: Callable[[str], bool] = lambda _feature: False,
    ) -> None:
        """``lacks``: whether a peer is known, since the last agreement, not to take a feature."""
        self.proposed = Output[Ballot]("proposed")
        self.agreements = Output[Agreed]("agreements")
        self._own = own
        self._codec = codec
        self._requests = requests
        self._storage = storage
        self._agenda = agenda
        self._log = log
        self._lacks = lacks
        self._agreed = Agreed()
        self._heard: dict[Duty, dict[int, SignedStatement]] = {}
        self._refused: set[int] = set()  # peers that were told of since the last agreement began
        requests.serve(Subject.PRIORITY, self._answer)

    async def load(self) -> None:
        """Take up the last agreement. One that cannot be read (the cluster changed) is none."""
        row = await self._storage.read(_newest)
        if row is None:
            return
        slot, value = row
        try:
            self._agreed = self._count(Duty(slot, DutyType.INFO_SYNC), value)
        except BallotInvalid as error:
            self._log.warning("agreement_unreadable", slot=slot, reason=str(error), code=error.code)

    # Queries

    @property
    def agreed(self) -> Agreed:
        """The newest agreement."""
        return self._agreed

    @property
    def builder_api(self) -> bool:
        """See ``ClusterFeatures``."""
        return self._agreed.builder_api

    def takes(self, feature: str) -> bool:
        """See ``ClusterFeatures``."""
        return feature in self._own.versions.features

    def may_send(self, feature: str) -> bool:
        """See ``ClusterFeatures``."""
        agreed = feature in self._agreed.features and self.takes(feature)
        return agreed and not self._lacks(feature)

    def is_due(self, duty: Duty) -> bool:
        """Whether ``duty`` is an agreement of about now: nobody need speak of any other."""
        return self._agenda.is_due(duty)

    # Exchange

    async def negotiate(self, definition_set: DefinitionSet) -> None:
        """The duty starts: exchange statements with all peers, and propose what is there.

        Raises:
            TooFewStatements: fewer than a quorum are here; the edge's retry asks again.
        """
        duty = definition_set.duty
        if duty.type is not DutyType.INFO_SYNC or not self.is_due(duty):
            return
        self._refused.clear()
        own = self._own_statement(duty)
        wait_s = exchange_s(self._agenda.chain) / ASKED_TIMES
        for _ in range(ASKED_TIMES):
            missing = [node for node in self._others() if node not in self._heard.get(duty, {})]
            async with asyncio.TaskGroup() as tasks:
                for node in missing:
                    tasks.create_task(self._ask(node, own, wait_s), name=f"priority-{node}")
        statements = self._heard.get(duty, {})
        if len(statements) < self._own.needed:
            raise TooFewStatements("negotiate", duty=duty, got=len(statements))
        value = self._codec.encode_ballot(duty, statements.values())
        await self.proposed.emit(Ballot(duty=duty, value=value))

    def _others(self) -> tuple[int, ...]:
        return tuple(n for n in range(self._own.node_count) if n != self._own.own_index)

    async def _ask(self, node: int, own: SignedStatement, wait_s: float) -> None:
        try:
            answer = await self._requests.ask(
                node, Subject.PRIORITY, self._codec.encode(own), timeout_s=wait_s
            )
        except PeerSilent as silent:
            self._log.debug("priorities_missing", peer=node, reason=silent.fields.get("reason"))
            return
        self._hear(node, answer)

    async def _answer(self, peer: int, body: bytes) -> bytes | None:
        """A peer tells us its statement, and wants ours of the same duty."""
        heard = self._hear(peer, body)
        return None if heard is None else self._codec.encode(self._own_statement(heard))

    def _hear(self, peer: int, data: bytes) -> Duty | None:
        """Keep the statement of ``peer``, the newest of several. None: it is not one to keep."""
        try:
            signed = self._codec.decode(data)
        except PeerFault as fault:
            self._refuse(peer, str(fault))
            return None
        statement = signed.statement
        if statement.source != peer:
            self._refuse(peer, "another node's statement")
            return None
        if not self.is_due(statement.duty):  # late, or by another clock: nobody is to blame
            self._log.debug("priorities_not_due", peer=peer, duty=str(statement.duty))
            return None
        self._keep(signed)
        return statement.duty

    def _refuse(self, peer: int, reason: str) -> None:
        """One line for each peer and agreement: a hostile peer must not fill the disk."""
        if peer not in self._refused:
            self._refused.add(peer)
            self._log.warning("priorities_refused", peer=peer, reason=reason)

    def _own_statement(self, duty: Duty) -> SignedStatement:
        kept = self._heard.get(duty, {}).get(self._own.own_index)
        if kept is None:
            topics = topics_of(self._own.versions, builder_api=self._own.builder_api)
            kept = self._codec.sign(Statement(duty, self._own.own_index, topics))
            self._keep(kept)
        return kept

    def _keep(self, signed: SignedStatement) -> None:
        statement = signed.statement
        self._heard.setdefault(statement.duty, {})[statement.source] = signed
        while len(self._heard) > OPEN_MAX:
            del self._heard[min(self._heard)]

    # Agreement

    async def check(self, duty: Duty, value: bytes, round_: int) -> Verdict:
        """Whether this node may vote PREPARE for ``value``: a ballot of a quorum, rightly signed.

        One that leaves out a node whose statement is here gets no vote in the first f rounds, so
        that f lying leaders cannot take a feature from the cluster for an epoch.
        """
        try:
            statements = self._codec.decode_ballot(duty, value)
        except BallotInvalid as error:
            self._log.warning("value_refused", duty=str(duty), reason=str(error), code=error.code)
            return Verdict.REFUSED
        sources = {signed.statement.source for signed in statements}
        left_out = [node for node in sorted(self._heard.get(duty, {})) if node not in sources]
        if left_out and round_ <= self._own.complete_rounds:
            self._log.debug("value_incomplete", duty=str(duty), nodes=left_out, round=round_)
            return Verdict.UNKNOWN
        return Verdict.OK

    async def store(self, decided: Decided) -> None:
        """Consensus has decided: from now on it holds, once it is durable."""
        duty, value = decided.duty, decided.value
        agreed = self._count(duty, value)
        await self._storage.write(lambda connection: _insert(connection, duty.slot, value))
        if duty.slot > self._agreed.slot:
            before, self._agreed = self._agreed, agreed
            self._tell(before)
        await self.agreements.emit(agreed)

    async def delete_before(self, duty_type: DutyType, slot: int) -> int:
        """Delete agreements older than ``slot``, but never the newest: it holds. The count."""
        invariant(duty_type is DutyType.INFO_SYNC, "only agreements are kept here")
        return await self._storage.write(lambda connection: _delete_before(connection, slot))

    def _count(self, duty: Duty, value: bytes) -> Agreed:
        ballot = self._codec.decode_ballot(duty, value)
        statements = [signed.statement for signed in ballot]
        return agreed_of(statements, node_count=self._own.node_count)

    def _tell(self, before: Agreed) -> None:
        """One line for each change, not for each epoch."""
        now = self._agreed
        if (now.version, now.features, now.builder_api) != (
            before.version,
            before.features,
            before.builder_api,
        ):
            self._log.info(
                "cluster_agreed",
                slot=now.slot,
                nodes=now.nodes,
                version=now.version,
                features=now.features,
                builder_api=now.builder_api,
            )
        if now.without_feature != before.without_feature:
            for feature, nodes in now.without_feature.items():
                self._log.info("feature_waits", feature=feature, nodes=nodes)
        if now.builder_differs and now.with_builder != before.with_builder:
            without = tuple(node for node in now.nodes if node not in now.with_builder)
            self._log.warning(
                "builder_not_agreed", on=now.with_builder, off=without, mend=MEND_BUILDER
            )


def _newest(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    row = connection.execute(
        "SELECT slot, ballot FROM info_sync ORDER BY slot DESC LIMIT 1"
    ).fetchone()
    return None if row is None else (int(row[0]), blob(row[1]))


def _insert(connection: sqlite3.Connection, slot: int, value: bytes) -> None:
    connection.execute(
        "INSERT INTO info_sync (slot, ballot) VALUES (?, ?) ON CONFLICT DO NOTHING", (slot, value)
    )


def _delete_before(connection: sqlite3.Connection, slot: int) -> int:
    return connection.execute(
        "DELETE FROM info_sync WHERE slot < ? AND slot < (SELECT max(slot) FROM info_sync)",
        (slot,),
    ).rowcount
