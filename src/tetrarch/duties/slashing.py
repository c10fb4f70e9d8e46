"""The node's own EIP-3076 history of the group keys: what the cluster ever agreed to sign.

It is asked twice: before a PREPARE vote (``refusal``), and in the transaction that makes a
decision durable (``guard``). The enclave keeps a second one, beside the keys, and asks it again.
"""

import sqlite3
from dataclasses import replace

from tetrarch.duties.plausible import signing_root
from tetrarch.duties.ports import Signed, Storage
from tetrarch.duties.signer import payload_of
from tetrarch.duties.types import (
    AttestationPayload,
    Payload,
    ProposalPayload,
    PubKey,
    UnsignedAttestation,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.enclave import history, learning, restored
from tetrarch.enclave.history import SCHEMA, check, check_and_record
from tetrarch.enclave.rules import Block, Refused, Verdict, Vote, Wish
from tetrarch.errors import TetrarchError
from tetrarch.ethereum.spec.chain import ChainSpec

__all__ = ["SCHEMA", "GroupHistory", "SlashableData"]


class SlashableData(TetrarchError):
    """The history of a group key refuses what was decided: it must not be signed."""

    code = "slashable_data"


class GroupHistory:
    """Judges unsigned data sets by the history in the node's database."""

    def __init__(self, *, storage: Storage, chain: ChainSpec) -> None:
        self._storage = storage
        self._chain = chain

    async def refusal(self, data_set: UnsignedDataSet) -> str | None:
        """Why the set must not be voted for, or None."""
        wishes = self._wishes(data_set)
        verdicts = await self._storage.read(lambda connection: check(connection, wishes))
        return _first_reason(verdicts)

    async def permitted(self, data_set: UnsignedDataSet) -> UnsignedDataSet | None:
        """The set without the items that the history refuses; None when nothing is left.

        What a leader proposes goes through this: one validator whose history forbids the vote
        must not hold up all the others of the slot.
        """
        wishes = self._wishes(data_set)
        verdicts = await self._storage.read(lambda connection: check(connection, wishes))
        refused = {
            wish.pubkey
            for wish, verdict in zip(wishes, verdicts, strict=True)
            if isinstance(verdict, Refused)
        }
        items = tuple(item for item in data_set.items if item.pubkey not in refused)
        return replace(data_set, items=items) if items else None

    def guard(self, connection: sqlite3.Connection, data_set: UnsignedDataSet) -> None:
        """Record the set in the caller's transaction.

        Raises:
            SlashableData: the history refuses it; the caller's transaction must not commit.
        """
        reason = _first_reason(check_and_record(connection, self._wishes(data_set)))
        if reason is not None:
            raise SlashableData("store decided data", duty=data_set.duty, reason=reason)

    async def forgotten(self, signed: tuple[Signed, ...]) -> tuple[int, ...]:
        """As ``ports.OwnHistory``: our share signs only what went through this history."""
        wishes = tuple(self._wish(pubkey, payload) for pubkey, payload in signed)
        return await self._storage.read(lambda connection: learning.unknown(connection, wishes))

    async def learn(self, signed: tuple[Signed, ...]) -> None:
        """As ``ports.OwnHistory``."""
        wishes = tuple(self._wish(pubkey, payload) for pubkey, payload in signed)
        await self._storage.write(lambda connection: learning.learn(connection, wishes))

    async def is_restored(self) -> bool:
        """As ``ports.OwnHistory``."""
        return await self._storage.read(restored.is_marked)

    async def recover(self) -> None:
        """As ``ports.OwnHistory``."""
        await self._storage.write(restored.clear)

    async def prune(self) -> int:
        """Replace old records by floors; what was denied stays denied. Once per epoch."""
        slots = self._chain.slots_per_epoch
        return await self._storage.write(lambda c: history.prune(c, slots_per_epoch=slots))

    def _wish(self, pubkey: PubKey, payload: AttestationPayload | ProposalPayload) -> Wish:
        root = signing_root(payload, self._chain)
        match payload:
            case AttestationPayload(data=data):
                source, target = data.source.epoch, data.target.epoch
                return Wish(pubkey, Vote(source=source, target=target, signing_root=root))
            case ProposalPayload(header=header):
                return Wish(pubkey, Block(slot=header.slot, signing_root=root))

    def _wishes(self, data_set: UnsignedDataSet) -> tuple[Wish, ...]:
        """One for each vote and block. What aggregators sign cannot be slashed."""
        wishes = []
        roots: dict[Payload, bytes] = {}  # the votes of a slot are equal but for the validator
        for item in data_set.items:
            if not isinstance(item, UnsignedAttestation | UnsignedProposal):
                continue
            payload = payload_of(item)
            root = roots.get(payload) or signing_root(payload, self._chain)
            roots[payload] = root
            if isinstance(item, UnsignedAttestation):
                vote = Vote(
                    source=item.data.source.epoch,
                    target=item.data.target.epoch,
                    signing_root=root,
                )
                wishes.append(Wish(item.pubkey, vote))
            else:
                block = Block(slot=item.proposal.header.slot, signing_root=root)
                wishes.append(Wish(item.pubkey, block))
        return tuple(wishes)


def _first_reason(verdicts: tuple[Verdict, ...]) -> str | None:
    return next((v.reason.value for v in verdicts if isinstance(v, Refused)), None)
