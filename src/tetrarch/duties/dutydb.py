"""DutyDB: what the cluster agreed to sign, durable before anything is signed.

It also guards against slashing: unique indexes allow one value per (slot, type, validator,
sub-index) and one proposer per slot, and the same transaction asks the EIP-3076 history of the
group key. Queries block until the data is there or the caller gives up.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from tetrarch.duties.codec import ValueInvalid, decode_unsigned, encode_unsigned
from tetrarch.duties.duty import duty_from
from tetrarch.duties.errors import DutyNotFound
from tetrarch.duties.ports import Storage
from tetrarch.duties.types import (
    Duty,
    DutyType,
    PubKey,
    UnsignedAggregate,
    UnsignedAttestation,
    UnsignedContribution,
    UnsignedData,
    UnsignedDataSet,
    UnsignedProposal,
    refuse_deprecated,
)
from tetrarch.duties.waiting import Waiters
from tetrarch.errors import TetrarchError
from tetrarch.ethereum.spec.aggregates import Aggregate, SyncCommitteeContribution
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData
from tetrarch.output import Output
from tetrarch.storage.migrations import Schema
from tetrarch.storage.rows import decoding_rows

RECENT_MAX = 64  # decided sets kept in memory; older ones are read from disk

_TABLE_AND_INDEXES = (
    """
    CREATE TABLE dutydb (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        slot INTEGER NOT NULL,
        duty_type INTEGER NOT NULL,
        pubkey BLOB NOT NULL,
        sub_index INTEGER NOT NULL DEFAULT 0,
        data BLOB NOT NULL,
        comm_idx INTEGER NOT NULL DEFAULT 0,
        val_comm_idx INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE UNIQUE INDEX dutydb_unique ON dutydb (slot, duty_type, pubkey, sub_index)",
    "CREATE INDEX dutydb_committee ON dutydb (slot, duty_type, comm_idx, val_comm_idx)",
    "CREATE UNIQUE INDEX dutydb_one_proposer ON dutydb (slot) WHERE duty_type = 1",
)
SCHEMA = Schema(component="dutydb", steps=(_TABLE_AND_INDEXES,))

# Called inside the transaction, before the rows are written; raises to refuse them all.
SlashingGuard = Callable[[sqlite3.Connection, UnsignedDataSet], None]


class ClashingData(TetrarchError):
    """Another value is already stored for the duty: signing both could be slashed."""

    code = "clashing_data"


def _one(data_set: UnsignedDataSet, item: UnsignedData) -> bytes:
    """The row's data: a set of this one item, in consensus's own encoding."""
    return encode_unsigned(replace(data_set, items=(item,)))


_INSERT = (
    "INSERT INTO dutydb (slot, duty_type, pubkey, sub_index, data, comm_idx, val_comm_idx)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


def _insert(connection: sqlite3.Connection, data_set: UnsignedDataSet) -> None:
    rows = [_row(data_set, item) for item in data_set.items]
    if connection.executemany(_INSERT, rows).rowcount == len(rows):
        return  # all of them are new: nothing can clash
    for row in rows:
        stored = connection.execute(
            "SELECT data FROM dutydb WHERE slot = ? AND duty_type = ? AND pubkey = ?"
            " AND sub_index = ?",
            row[:4],
        ).fetchone()
        if stored is None or stored[0] != row[4]:
            raise ClashingData("store decided data", duty=data_set.duty, pubkey=row[2].hex()[:14])


def _row(
    data_set: UnsignedDataSet, item: UnsignedData
) -> tuple[int, int, bytes, int, bytes, int, int]:
    duty = data_set.duty
    committee, position = 0, 0
    if isinstance(item, UnsignedAttestation):
        committee = item.definition.committee_index
        position = item.definition.validator_committee_index
    data = _one(data_set, item)
    return duty.slot, int(duty.type), item.pubkey, item.sub_index, data, committee, position


def _select(connection: sqlite3.Connection, duty: Duty, *, preset: str) -> tuple[UnsignedData, ...]:
    rows = connection.execute(
        "SELECT pubkey, data FROM dutydb WHERE slot = ? AND duty_type = ?"
        " ORDER BY pubkey, sub_index",
        (duty.slot, int(duty.type)),
    ).fetchall()
    with decoding_rows(connection, "dutydb", duty=duty):
        return tuple(_item(duty, *row, preset=preset) for row in rows)


def _item(duty: Duty, pubkey: bytes, data: bytes, *, preset: str) -> UnsignedData:
    """The inverse of ``_one``, and of the row that it is told to be in."""
    data_set = decode_unsigned(data, preset=preset)
    (item,) = data_set.items
    if data_set.duty != duty or item.pubkey != pubkey:
        raise ValueInvalid("decode row", reason="another duty's or validator's")
    return item


def _duties_since(connection: sqlite3.Connection, slot: int) -> list[Duty]:
    rows = connection.execute(
        "SELECT DISTINCT slot, duty_type FROM dutydb WHERE slot >= ? ORDER BY slot, duty_type",
        (slot,),
    ).fetchall()
    with decoding_rows(connection, "dutydb", since_slot=slot):
        return [duty_from(*row) for row in rows]


class DutyDB:
    """Input: ``store``. Output: ``stored``, once the set is durable. Queries as in the seed."""

    def __init__(
        self, *, storage: Storage, preset: str, guard: SlashingGuard = lambda *_: None
    ) -> None:
        self.stored = Output[UnsignedDataSet]("stored")
        self._storage = storage
        self._preset = preset
        self._guard = guard
        self._recent: dict[Duty, UnsignedDataSet] = {}
        self._waiters = Waiters[Duty, UnsignedDataSet]()

    async def store(self, data_set: UnsignedDataSet) -> None:
        """Make the decided set durable. Storing the same again does nothing.

        Raises:
            ClashingData: another value is stored for one of its validators; nothing is stored.
        """
        refuse_deprecated(data_set.duty)

        def transaction(connection: sqlite3.Connection) -> None:
            self._guard(connection, data_set)
            _insert(connection, data_set)

        await self._storage.write(transaction)
        self._remember(data_set)
        self._waiters.announce(data_set.duty, data_set)
        await self.stored.emit(data_set)

    async def decided(self, duty: Duty) -> UnsignedDataSet | None:
        """The decided data of ``duty``, or None while there is none."""
        known = self._recent.get(duty)
        if known is None:
            items = await self._storage.read(
                lambda connection: _select(connection, duty, preset=self._preset)
            )
            if not items:
                return None
            known = UnsignedDataSet(duty=duty, items=items)
            self._remember(known)  # which may drop it at once: it can be older than all others
        return known

    async def await_decided(self, duty: Duty) -> UnsignedDataSet:
        """Wait until ``duty`` is decided, or until the caller gives up."""
        return await self._waiters.wait(duty, lambda: self.decided(duty))

    async def await_beacon_block(self, slot: int) -> tuple[PubKey, Proposal]:
        """The agreed block of ``slot`` and its proposer's root key, when decided."""
        data_set = await self.await_decided(Duty(slot, DutyType.PROPOSER))
        (item,) = data_set.items
        if not isinstance(item, UnsignedProposal):
            raise DutyNotFound("await block", slot=slot)
        return item.pubkey, item.proposal

    async def await_attestation(self, slot: int, committee_index: int) -> AttestationData:
        """The agreed attestation data of ``slot``, when decided.

        All committees of a slot agree on everything but the index, so the data of any of them
        serves a validator client that asks once for all committees (index 0) and, from Electra
        on, where the signed index is always 0, any committee.
        """
        data_set = await self.await_decided(Duty(slot, DutyType.ATTESTER))
        attestations = [item for item in data_set.items if isinstance(item, UnsignedAttestation)]
        for item in attestations:
            if item.data.index == committee_index:
                return item.data
        if all(item.data.index == 0 for item in attestations):
            return attestations[0].data
        return replace(attestations[0].data, index=committee_index)

    async def pub_key_by_attestation(
        self, slot: int, committee_index: int, validator_committee_index: int
    ) -> PubKey:
        """The root key of the validator at that place of that committee.

        Raises:
            DutyNotFound: the slot is decided (or not) and no validator of ours stands there.
        """
        key = (slot, int(DutyType.ATTESTER), committee_index, validator_committee_index)
        row = await self._storage.read(
            lambda connection: connection.execute(
                "SELECT pubkey FROM dutydb WHERE slot = ? AND duty_type = ? AND comm_idx = ?"
                " AND val_comm_idx = ?",
                key,
            ).fetchone()
        )
        if row is None:
            raise DutyNotFound(
                "find validator by attestation",
                slot=slot,
                committee_index=committee_index,
                validator_committee_index=validator_committee_index,
            )
        return PubKey(row[0])

    async def await_agg_attestation(
        self, slot: int, data_root: bytes, committee_index: int | None = None
    ) -> Aggregate:
        """The agreed aggregate of the votes with ``data_root`` (32 bytes), when decided.

        From Electra on all committees vote for the same data, so their index is needed too.

        Raises:
            DutyNotFound: the slot's aggregates are agreed, and none is of such votes.
        """
        data_set = await self.await_decided(Duty(slot, DutyType.AGGREGATOR))
        for item in data_set.items:
            if isinstance(item, UnsignedAggregate):
                aggregate = item.message.aggregate
                if committee_index not in (None, aggregate.committee_index):
                    continue
                if aggregate.data.hash_tree_root() == data_root:
                    return aggregate
        raise DutyNotFound("await aggregate", slot=slot, data_root=data_root.hex()[:14])

    async def await_sync_contribution(
        self, slot: int, subcommittee_index: int, beacon_block_root: bytes
    ) -> SyncCommitteeContribution:
        """The agreed contribution of a subcommittee for one head (32 bytes), when decided.

        Raises:
            DutyNotFound: the slot's contributions are agreed, and it is not among them.
        """
        data_set = await self.await_decided(Duty(slot, DutyType.SYNC_CONTRIBUTION))
        for item in data_set.items:
            if isinstance(item, UnsignedContribution) and item.sub_index == subcommittee_index:
                contribution = item.message.contribution
                if contribution.beacon_block_root == beacon_block_root:
                    return contribution
        raise DutyNotFound("await contribution", slot=slot, subcommittee_index=subcommittee_index)

    async def decided_since(self, slot: int) -> tuple[UnsignedDataSet, ...]:
        """All decided sets from ``slot`` on: what a restarted node may still have to sign."""
        duties = await self._storage.read(lambda connection: _duties_since(connection, slot))
        found = [await self.decided(duty) for duty in duties]
        return tuple(data_set for data_set in found if data_set is not None)

    async def delete_before(self, duty_type: DutyType, slot: int) -> int:
        """Delete rows of ``duty_type`` older than ``slot``; see ``retention``. Returns the count."""
        return await self._storage.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM dutydb WHERE duty_type = ? AND slot < ?", (int(duty_type), slot)
                ).rowcount
            )
        )

    def _remember(self, data_set: UnsignedDataSet) -> None:
        self._recent[data_set.duty] = data_set
        while len(self._recent) > RECENT_MAX:
            del self._recent[min(self._recent)]
