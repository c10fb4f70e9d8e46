"""The beacon state: attributes named as in the specification, sequences copied on write."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from tetrarch.ethereum.devchain.rules import Rules
from tetrarch.ethereum.spec.domains import DomainType, compute_domain
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.container import Record


class State:
    """A mutable BeaconState of one fork.

    Numbers, bytes and records are plain attributes. Sequences are tuples, shared between copies;
    ``mutable(name)`` swaps in a list that is this state's own, so a write that forgets it fails
    at once instead of changing another state. Fields of later forks do not exist on earlier ones.
    """

    if TYPE_CHECKING:
        genesis_time: int
        genesis_validators_root: bytes
        slot: int
        fork: Record
        latest_block_header: Record
        block_roots: Sequence[bytes]
        state_roots: Sequence[bytes]
        historical_roots: Sequence[bytes]
        eth1_data: Record
        eth1_data_votes: Sequence[Record]
        eth1_deposit_index: int
        validators: Sequence[Record]
        balances: Sequence[int]
        randao_mixes: Sequence[bytes]
        slashings: Sequence[int]
        previous_epoch_participation: Sequence[int]
        current_epoch_participation: Sequence[int]
        justification_bits: Bits
        previous_justified_checkpoint: Record
        current_justified_checkpoint: Record
        finalized_checkpoint: Record
        inactivity_scores: Sequence[int]
        current_sync_committee: Record
        next_sync_committee: Record
        latest_execution_payload_header: Record
        next_withdrawal_index: int
        next_withdrawal_validator_index: int
        historical_summaries: Sequence[Record]
        deposit_requests_start_index: int
        deposit_balance_to_consume: int
        exit_balance_to_consume: int
        earliest_exit_epoch: int
        consolidation_balance_to_consume: int
        earliest_consolidation_epoch: int
        pending_deposits: Sequence[Record]
        pending_partial_withdrawals: Sequence[Record]
        pending_consolidations: Sequence[Record]
        proposer_lookahead: Sequence[int]

    def __init__(self, rules: Rules, values: Mapping[str, Any]) -> None:
        self.rules = rules
        self._public_keys: dict[bytes, int] | None = None
        for name in rules.types.BeaconState.fields:
            setattr(self, name, values[name])

    @classmethod
    def from_record(cls, rules: Rules, record: Record) -> Self:
        """A state with the content of an immutable one."""
        fields = rules.types.BeaconState.fields
        return cls(rules, {name: getattr(record, name) for name in fields})

    def encode(self) -> bytes:
        """The SSZ bytes."""
        return self.rules.types.BeaconState.encode(self)

    def root(self) -> bytes:
        """Hash tree root. Cost: a few ms after a block, more at the start of an epoch."""
        return self.rules.state_root(self)

    def copy(self) -> "State":
        """An independent state. Cost: the sequences written to since the last copy."""
        values: dict[str, Any] = {}
        for name in self.rules.types.BeaconState.fields:
            value = getattr(self, name)
            if isinstance(value, list):
                value = tuple(value)
                setattr(self, name, value)
            values[name] = value
        twin = State(self.rules, values)
        twin._public_keys = self._public_keys
        return twin

    def mutable(self, name: str) -> list[Any]:
        """The sequence ``name`` as a list that belongs to this state alone."""
        value = getattr(self, name)
        if isinstance(value, list):
            return value
        own = list(value)
        setattr(self, name, own)
        return own

    def change_validator(self, index: int, **changes: Any) -> None:
        """Replace some fields of one validator."""
        validators = self.mutable("validators")
        validators[index] = validators[index].replace(**changes)

    def index_of(self, public_key: bytes) -> int | None:
        """The first validator that has ``public_key``. Cost: one look-up."""
        known = self._public_keys
        if known is None or len(known) != len(self.validators):
            known = {}
            for index, validator in enumerate(self.validators):
                known.setdefault(validator.pubkey, index)
            self._public_keys = known
        return known.get(public_key)

    @property
    def epoch(self) -> int:
        """The epoch of ``slot``."""
        return self.slot // self.rules.preset.slots_per_epoch

    @property
    def previous_epoch(self) -> int:
        """The epoch before, and 0 in epoch 0."""
        return max(self.epoch, 1) - 1

    def domain(self, domain_type: DomainType, epoch: int | None = None) -> bytes:
        """The signing domain in ``epoch``, by default the current one."""
        fork: Any = self.fork
        before = (self.epoch if epoch is None else epoch) < fork.epoch
        version = fork.previous_version if before else fork.current_version
        return compute_domain(domain_type, version, self.genesis_validators_root)
