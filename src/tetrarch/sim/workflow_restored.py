"""A node whose disks come from a backup: what it must not sign any more.

Judged from outside: what every honest peer has on its disk, at the moment of the restart, of the
node's share. Any quorum of answers then has one that tells of it.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection
from typing import Any, TypeVar

from tetrarch.duties.contradictable import contradictable_slot
from tetrarch.duties.types import AttestationPayload, Payload, ProposalPayload, PubKey
from tetrarch.network.ports import Topic
from tetrarch.network.requests import Subject
from tetrarch.sim.chain import SLOTS_PER_EPOCH
from tetrarch.sim.checkers import require
from tetrarch.storage.inline import InlineDatabase

R = TypeVar("R")
Signed = tuple[bytes, str, int]  # root key, "vote" or "block", target epoch or slot


class Starts:
    """Who has told a node, since its last start, what its share signed."""

    def __init__(self, *, needed: int) -> None:
        self._needed = needed
        self._answered: dict[int, set[int]] = {}  # by node; counted only

    def note_start(self, node: int) -> None:
        """A new life begins."""
        self._answered[node] = set()

    def note_arrival(self, source: int, target: int, topic: Topic, payload: bytes) -> None:
        """A message is there; liars' answers count, as long as they are answers."""
        told = payload[:1] == bytes([Subject.HIGHEST_SIGNED]) and payload[9:10] == b"\1"
        if topic is Topic.ANSWERS and told:
            self._answered.setdefault(target, set()).add(source)

    def check(self, node: int, payload: Payload) -> None:
        """Nothing that could differ is signed before enough peers have answered."""
        if contradictable_slot(payload) is not None:
            count = len(self._answered.get(node, ()))
            claim = "no vote, block or sync message is signed before a quorum has answered"
            require(count >= self._needed, claim, node=node, answered=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """``highest``: by root key and kind; ``remembered``: what the backup still knows.

    ``enclave``: the disk of the node's enclave, as it is by now.
    """

    enclave: Callable[[], InlineDatabase]
    at_slot: int
    highest: dict[tuple[bytes, str], int]
    remembered: frozenset[Signed]  # looked up only

    def check(self, node: int, pubkey: PubKey, payload: Payload) -> None:
        """The restored node signs ``payload``: nothing at or below what its peers saw."""
        match payload:
            case AttestationPayload(data=data):
                signed = (bytes(pubkey), "vote", data.target.epoch)
            case ProposalPayload(header=header):
                signed = (bytes(pubkey), "block", header.slot)
            case _:
                return
        mark = self.highest.get(signed[:2])
        right = mark is None or signed[2] > mark or signed in self.remembered
        claim = "a restored node signs nothing at or below what its peers saw"
        require(right, claim, node=node, signed=signed, mark=mark)
        known = read_now(self.enclave(), _denied_up_to)
        for key, time in self.highest.items():
            learned = (*key, time) in self.remembered or known.get(key, -1) >= time
            require(learned, "what peers saw is learned before anything is signed", node=node)


def read_restored(
    own: Callable[[], tuple[InlineDatabase, InlineDatabase]],
    others: Sequence[InlineDatabase],
    *,
    share: int,
    at_slot: int,
) -> Restored:
    """What ``own`` (the node's and its enclave's) and the honest peers know at this moment."""
    seen = [read_now(database, partial(_seen, share=share)) for database in others]
    highest: dict[tuple[bytes, str], int] = {}
    if seen:
        for pubkey, kind, time in sorted(frozenset.intersection(*seen)):
            highest[pubkey, kind] = max(time, highest.get((pubkey, kind), 0))
    remembered = read_now(own()[1], _remembered)
    return Restored(
        enclave=lambda: own()[1], at_slot=at_slot, highest=highest, remembered=remembered
    )


def _seen(connection: Connection, *, share: int) -> frozenset[Signed]:
    rows = connection.execute(
        "SELECT pubkey, duty_type, slot FROM parsigdb"
        " WHERE share_index = :share AND duty_type IN (1, 2)"
        " UNION SELECT pubkey, duty_type, slot FROM highest_signed WHERE share_index = :share",
        {"share": share},
    )
    return frozenset(
        (pubkey, "block", slot) if number == 1 else (pubkey, "vote", slot // SLOTS_PER_EPOCH)
        for pubkey, number, slot in rows
    )


def _denied_up_to(connection: Connection) -> dict[tuple[bytes, str], int]:
    found: dict[tuple[bytes, str], int] = {}
    rows = connection.execute("SELECT pubkey, floor_target, floor_slot FROM slashing_key")
    for pubkey, target, slot in rows:
        found[pubkey, "vote"] = -1 if target is None else target
        found[pubkey, "block"] = -1 if slot is None else slot
    return found


def _remembered(connection: Connection) -> frozenset[Signed]:
    rows = connection.execute(
        "SELECT pubkey, 'vote', target FROM slashing_vote"
        " UNION SELECT pubkey, 'block', slot FROM slashing_block"
    )
    return frozenset(rows.fetchall())


def read_now(database: InlineDatabase, function: Callable[[Connection], R]) -> R:
    """What is committed, asked outside of any task: an inline read waits for nothing."""
    reading: Coroutine[Any, Any, R] = database.read(function)
    try:
        reading.send(None)
    except StopIteration as done:
        result: R = done.value
        return result
    raise RuntimeError("an inline read does not wait")
