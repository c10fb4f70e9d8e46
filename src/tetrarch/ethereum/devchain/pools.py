"""What waits to get into a block: votes of all kinds, slashings, exits, credential changes."""

from dataclasses import dataclass, field
from typing import Any

from tetrarch.crypto.bls import aggregate
from tetrarch.ethereum.devchain.rules import Rules
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.container import Record

OPERATIONS_MAX = 1024
DATA_MAX = 4096


@dataclass(slots=True)
class _CommitteeVotes:
    """Votes of one committee for one data: single ones by place, and aggregates as they came."""

    size: int
    single: dict[int, bytes] = field(default_factory=dict)
    aggregates: dict[Bits, bytes] = field(default_factory=dict)
    known_best: tuple[Bits, bytes] | None = None  # until the next vote comes

    def best(self) -> tuple[Bits, bytes]:
        """The aggregate with most votes: what came, or what the single ones give.

        Cost: 125 us for each single vote, once.
        """
        if self.known_best is not None:
            return self.known_best
        options = dict(self.aggregates)
        if self.single:
            places = sorted(self.single)
            bits = Bits.of(place in self.single for place in range(self.size))
            options[bits] = aggregate([self.single[place] for place in places])
        self.known_best = max(options.items(), key=lambda option: option[0].count())
        return self.known_best


class AttestationPool:
    """Verified votes by data and committee, until ``forget``."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._data: dict[bytes, Record] = {}
        self._votes: dict[tuple[bytes, int], _CommitteeVotes] = {}

    def add_single(
        self, data: Record, committee: int, place: int, *, size: int, signature: bytes
    ) -> None:
        """Keep one validator's vote."""
        votes = self._committee_votes(data, committee, size)
        if votes is not None and place not in votes.single:
            votes.single[place] = signature
            votes.known_best = None

    def add_aggregate(self, data: Record, committee: int, bits: Bits, signature: bytes) -> None:
        """Keep an aggregate of one committee."""
        votes = self._committee_votes(data, committee, len(bits))
        if votes is not None and bits not in votes.aggregates and len(votes.aggregates) < 64:
            votes.aggregates[bits] = signature
            votes.known_best = None

    def _committee_votes(self, data: Any, committee: int, size: int) -> _CommitteeVotes | None:
        root = data.hash_tree_root()
        if root not in self._data and len(self._data) >= DATA_MAX:
            return None
        self._data[root] = data
        return self._votes.setdefault((root, committee), _CommitteeVotes(size))

    def forget(self, before_slot: int) -> None:
        """Drop votes of slots before ``before_slot``."""
        old = {root for root, data in self._data.items() if data.slot < before_slot}
        self._votes = {key: votes for key, votes in self._votes.items() if key[0] not in old}
        for root in old:
            del self._data[root]

    def aggregate_for(self, data_root: bytes, committee: int) -> Record | None:
        """The best aggregate of one committee, as an attestation of the fork."""
        votes = self._votes.get((data_root, committee))
        if votes is None:
            return None
        return self._attestation(self._data[data_root], {committee: votes.best()})

    def committees_of(self, data_root: bytes) -> tuple[int, ...]:
        """Committees that voted for the data with ``data_root``."""
        return tuple(sorted(index for root, index in self._votes if root == data_root))

    def attestations(self) -> list[Record]:
        """The best aggregates, newest slots first: one per data from Electra on, else more."""
        found = []
        for root, data in sorted(self._data.items(), key=lambda item: (-item[1].slot, item[0])):
            best = {index: self._votes[root, index].best() for index in self.committees_of(root)}
            if self._rules.is_electra:
                found.append(self._attestation(data, best))
            else:
                found += [self._attestation(data, {index: best[index]}) for index in best]
        return found

    def _attestation(self, data: Any, best: dict[int, tuple[Bits, bytes]]) -> Record:
        kind = self._rules.types.Attestation
        committees = sorted(best)
        if not self._rules.is_electra:
            bits, signature = best[committees[0]]
            return kind(aggregation_bits=bits, data=data, signature=signature)
        length = self._rules.preset.max_committees_per_slot
        return kind(
            aggregation_bits=Bits.of(bit for index in committees for bit in best[index][0]),
            data=data,
            signature=aggregate([best[index][1] for index in committees]),
            committee_bits=Bits.of(index in best for index in range(length)),
        )


class OperationPools:
    """Slashings, exits and credential changes, by block field; each bounded."""

    FIELDS = (
        "proposer_slashings",
        "attester_slashings",
        "voluntary_exits",
        "bls_to_execution_changes",
    )

    def __init__(self) -> None:
        self._pools: dict[str, dict[bytes, Record]] = {name: {} for name in self.FIELDS}

    def add(self, name: str, operation: Any) -> None:
        """Keep an operation for the block field ``name``."""
        pool = self._pools[name]
        if len(pool) < OPERATIONS_MAX:
            pool[operation.hash_tree_root()] = operation

    def all(self, name: str) -> list[Record]:
        """What waits for the block field ``name``."""
        return list(self._pools[name].values())

    def remove(self, body: Any) -> None:
        """Drop what a block's body carries."""
        for name, pool in self._pools.items():
            for operation in getattr(body, name, ()):
                pool.pop(operation.hash_tree_root(), None)


class SyncMessagePool:
    """Verified sync committee messages by slot and block root."""

    def __init__(self) -> None:
        self._signatures: dict[tuple[int, bytes], dict[int, bytes]] = {}

    def add(self, slot: int, root: bytes, place: int, signature: bytes) -> None:
        """Keep the signature of the committee member in ``place``."""
        self._signatures.setdefault((slot, root), {})[place] = signature

    def signatures(self, slot: int, root: bytes) -> dict[int, bytes]:
        """Signatures over ``root`` in ``slot``, by place in the committee."""
        return self._signatures.get((slot, root), {})

    def forget(self, before_slot: int) -> None:
        """Drop messages of slots before ``before_slot``."""
        kept = {key: value for key, value in self._signatures.items() if key[0] >= before_slot}
        self._signatures = kept
