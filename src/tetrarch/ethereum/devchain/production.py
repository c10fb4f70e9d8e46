"""Builds blocks: the body from the pools, a made-up payload, and the state's root.

The payload is empty but for the withdrawals that are due; its ``block_hash`` is a hash of what
makes it unique. A blinded block carries its header, and its body is kept until it is published.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tetrarch.crypto.bls import aggregate
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.committees import proposer_index
from tetrarch.ethereum.devchain.pools import AttestationPool, OperationPools, SyncMessagePool
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.attestations import (
    attesting_indices,
    process_attestation,
)
from tetrarch.ethereum.devchain.transition.block import process_block
from tetrarch.ethereum.devchain.transition.deposits import INFINITY_SIGNATURE
from tetrarch.ethereum.devchain.transition.errors import TransitionInvalid
from tetrarch.ethereum.devchain.transition.exits import (
    process_bls_to_execution_change,
    process_voluntary_exit,
)
from tetrarch.ethereum.devchain.transition.history import randao_mix
from tetrarch.ethereum.devchain.transition.participation import participation_field
from tetrarch.ethereum.devchain.transition.payload import (
    expected_withdrawals,
    payload_header,
    time_at_slot,
)
from tetrarch.ethereum.devchain.transition.slashings import (
    process_attester_slashing,
    process_proposer_slashing,
)
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.container import Record

PAYLOADS_KEPT = 256
NO_FEE_RECIPIENT = bytes(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockWish:
    """What the proposer chooses."""

    randao_reveal: bytes
    graffiti: bytes = bytes(32)
    fee_recipient: bytes = NO_FEE_RECIPIENT
    leaves_out_votes: bool = False


class BlockBuilder:
    """Builds blocks from the pools of one chain."""

    def __init__(
        self, attestations: AttestationPool, operations: OperationPools, sync: SyncMessagePool
    ) -> None:
        self._attestations = attestations
        self._operations = operations
        self._sync = sync
        self._payloads: OrderedDict[bytes, Record] = OrderedDict()

    def build(self, state: State, wish: BlockWish, *, verify_reveal: bool = True) -> Record:
        """An unsigned block for the slot of ``state``, which is not changed.

        Raises:
            TransitionInvalid: the randao reveal is wrong.

        Cost: some 10 ms; signatures of what is included are known by then.
        """
        types = state.rules.types
        latest: Any = state.latest_block_header
        block = types.BeaconBlock(
            slot=state.slot,
            proposer_index=proposer_index(state),
            parent_root=latest.hash_tree_root(),
            state_root=bytes(32),
            body=self._body(state, wish),
        )
        after = state.copy()
        process_block(after, block, verify_reveal=verify_reveal)
        return block.replace(state_root=after.root())

    def _body(self, state: State, wish: BlockWish) -> Record:
        types, preset = state.rules.types, state.rules.preset
        fields: dict[str, Any] = {
            name: kind.default() for name, kind in types.BeaconBlockBody.fields.items()
        }
        fields |= {
            "randao_reveal": wish.randao_reveal,
            "eth1_data": state.eth1_data,
            "graffiti": wish.graffiti,
            "sync_aggregate": self._sync_aggregate(state),
        }
        electra = state.rules.is_electra
        votes_max = preset.max_attestations_electra if electra else preset.max_attestations
        slashings_max = (
            preset.max_attester_slashings_electra if electra else preset.max_attester_slashings
        )
        choices: list[tuple[str, Callable[[State, Any], None], int]] = [
            ("proposer_slashings", process_proposer_slashing, preset.max_proposer_slashings),
            ("attester_slashings", process_attester_slashing, slashings_max),
            ("attestations", process_attestation, 0 if wish.leaves_out_votes else votes_max),
            ("voluntary_exits", process_voluntary_exit, preset.max_voluntary_exits),
        ]
        if state.rules.has_payload:
            changes_max = preset.max_bls_to_execution_changes
            choices.append(
                ("bls_to_execution_changes", process_bls_to_execution_change, changes_max)
            )
            fields["execution_payload"] = self._payload(state, wish.fee_recipient)
        scratch = state.copy()
        for name, process, count_max in choices:
            fields[name], scratch = self._choose(scratch, name, process, count_max)
        return types.BeaconBlockBody(**fields)

    def _choose(
        self, state: State, name: str, process: Callable[[State, Any], None], count_max: int
    ) -> tuple[tuple[Record, ...], State]:
        """What of a pool applies to ``state``, and the state after it."""
        pool = self._operations.all(name) if name != "attestations" else self._votes(state)
        chosen: list[Record] = []
        for operation in pool:
            if len(chosen) == count_max:
                break
            attempt = state.copy()
            try:
                process(attempt, operation)
            except TransitionInvalid:
                continue
            if name == "attestations" and not _adds_votes(state, attempt):
                continue
            chosen.append(operation)
            state = attempt
        return tuple(chosen), state

    def _votes(self, state: State) -> list[Record]:
        """Attestations with a vote that the chain does not have yet."""
        preset = state.rules.preset
        oldest = max(0, state.slot - 2 * preset.slots_per_epoch)
        self._attestations.forget(oldest)
        fresh = []
        attestation: Any
        for attestation in self._attestations.attestations():
            epoch = attestation.data.target.epoch
            if epoch not in (state.previous_epoch, state.epoch):
                continue
            flags = getattr(state, participation_field(state, epoch))
            try:
                attesters = attesting_indices(state, attestation)
            except TransitionInvalid:
                continue
            if any(not flags[index] for index in attesters):
                fresh.append(attestation)
        return fresh

    def _sync_aggregate(self, state: State) -> Record:
        size = state.rules.preset.sync_committee_size
        latest: Any = state.latest_block_header
        signatures = self._sync.signatures(state.slot - 1, latest.hash_tree_root())
        signature = INFINITY_SIGNATURE
        if signatures:
            signature = aggregate([signatures[place] for place in sorted(signatures)])
        return state.rules.types.SyncAggregate(
            sync_committee_bits=Bits.of(place in signatures for place in range(size)),
            sync_committee_signature=signature,
        )

    def _payload(self, state: State, fee_recipient: bytes) -> Record:
        types, latest = state.rules.types, state.latest_execution_payload_header
        randomness = randao_mix(state, state.epoch)
        unique = latest.block_hash + state.slot.to_bytes(8, "little") + randomness + fee_recipient
        withdrawals, _ = expected_withdrawals(state)
        return types.ExecutionPayload.default().replace(
            parent_hash=latest.block_hash,
            fee_recipient=fee_recipient,
            prev_randao=randomness,
            block_number=latest.block_number + 1,
            gas_limit=latest.gas_limit,
            timestamp=time_at_slot(state, state.slot),
            extra_data=b"tetrarch",
            base_fee_per_gas=latest.base_fee_per_gas,
            block_hash=sha256(unique).digest(),
            withdrawals=tuple(withdrawals),
        )

    def blind(self, state: State, block: Any) -> Record:
        """The blinded form of ``block``; its payload is kept for ``unblind``."""
        payload = block.body.execution_payload
        self._payloads[payload.block_hash] = payload
        while len(self._payloads) > PAYLOADS_KEPT:
            self._payloads.popitem(last=False)
        types = state.rules.types
        header = payload_header(state, payload)
        body = {
            name: header if name == "execution_payload_header" else getattr(block.body, name)
            for name in types.BlindedBeaconBlockBody.fields
        }
        fields = {name: getattr(block, name) for name in types.BlindedBeaconBlock.fields}
        return types.BlindedBeaconBlock(**(fields | {"body": types.BlindedBeaconBlockBody(**body)}))

    def unblind(self, state: State, signed: Any) -> Record:
        """The full form of a signed blinded block.

        Raises:
            InputInvalid: its payload is not one of ours.
        """
        types, blinded = state.rules.types, signed.message
        payload = self._payloads.get(blinded.body.execution_payload_header.block_hash)
        if payload is None:
            raise InputInvalid("unblind block", reason="unknown payload")
        body = {
            name: payload if name == "execution_payload" else getattr(blinded.body, name)
            for name in types.BeaconBlockBody.fields
        }
        fields = {name: getattr(blinded, name) for name in types.BeaconBlock.fields}
        block = types.BeaconBlock(**(fields | {"body": types.BeaconBlockBody(**body)}))
        return types.SignedBeaconBlock(message=block, signature=signed.signature)


def _adds_votes(before: State, after: State) -> bool:
    names = ("current_epoch_participation", "previous_epoch_participation")
    return any(tuple(getattr(before, name)) != tuple(getattr(after, name)) for name in names)
