"""The first state of a development chain, made directly in the wanted fork."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from tetrarch.ethereum.devchain.committees import proposers_of_epoch
from tetrarch.ethereum.devchain.config import fork_version
from tetrarch.ethereum.devchain.keys import interop_public_key
from tetrarch.ethereum.devchain.rules import Rules
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.requests import UNSET_START_INDEX
from tetrarch.ethereum.devchain.transition.resets import next_sync_committee, sync_committee_of
from tetrarch.ethereum.devchain.transition.validators import (
    BLS_PREFIX,
    COMPOUNDING_PREFIX,
    ETH1_PREFIX,
)
from tetrarch.ethereum.devchain.tree import Node
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.container import Record

GENESIS_RANDOMNESS = bytes.fromhex("da") * 32
GENESIS_BLOCK_HASH = sha256(b"tetrarch development chain").digest()


def withdrawal_credentials(index: int, fork: Fork) -> bytes:
    """Credentials of validator ``index``: every kind of its fork is found among four neighbours.

    BLS for ``index % 4 == 3``; compounding for 2 from Electra on; else an address. The address
    is the last 20 bytes of the hash of the public key.
    """
    digest = sha256(interop_public_key(index)).digest()
    if index % 4 == 3:
        return BLS_PREFIX + digest[1:]
    compounding = index % 4 == 2 and fork.at_least(Fork.ELECTRA)
    prefix = COMPOUNDING_PREFIX if compounding else ETH1_PREFIX
    return prefix + bytes(11) + digest[12:]


def genesis_state(
    rules: Rules,
    *,
    validators: int,
    genesis_time_s: int,
    sync_members: Sequence[int] = (),
    activation_epochs: Mapping[int, int] | None = None,
) -> State:
    """A state at slot 0: interop validators 0 to ``validators`` - 1, 32 ETH each.

    All are active but those in ``activation_epochs``: they wait, as if they had been queued and
    given that epoch before genesis. ``sync_members`` share the places of the first two sync
    committees; none: they are drawn as the specification says, like all later ones.

    Cost: 140 us per validator, once.
    """
    types, preset, later = rules.types, rules.preset, activation_epochs or {}
    values: dict[str, Any] = {
        name: kind.default() for name, kind in types.BeaconState.fields.items()
    }
    values |= {
        "genesis_time": genesis_time_s,
        "fork": _fork(rules),
        "latest_block_header": types.BeaconBlockHeader.default().replace(
            body_root=types.BeaconBlockBody.default().hash_tree_root()
        ),
        "eth1_data": types.Eth1Data(
            deposit_root=bytes(32), deposit_count=validators, block_hash=GENESIS_RANDOMNESS
        ),
        "eth1_deposit_index": validators,
        "validators": tuple(
            _validator(rules, index, activation_epoch=later.get(index, 0))
            for index in range(validators)
        ),
        "balances": (preset.max_effective_balance,) * validators,
        "randao_mixes": (GENESIS_RANDOMNESS,) * preset.epochs_per_historical_vector,
        "previous_epoch_participation": (0,) * validators,
        "current_epoch_participation": (0,) * validators,
        "inactivity_scores": (0,) * validators,
    }
    if rules.has_payload:
        values["latest_execution_payload_header"] = _payload_header(rules, genesis_time_s)
    if rules.is_electra:
        values["deposit_requests_start_index"] = validators if rules.is_fulu else UNSET_START_INDEX
    state = State(rules, values)
    registry = types.BeaconState.fields["validators"]
    state.genesis_validators_root = registry.hash_tree_root(state.validators)
    state.current_sync_committee = (
        sync_committee_of(state, _shared(sync_members, preset.sync_committee_size))
        if sync_members
        else next_sync_committee(state)
    )
    state.next_sync_committee = state.current_sync_committee
    if rules.is_fulu:
        state.proposer_lookahead = sum(
            (proposers_of_epoch(state, each) for each in range(preset.min_seed_lookahead + 1)), ()
        )
    return state


def _shared(members: Sequence[int], size: int) -> tuple[int, ...]:
    return tuple(members[place % len(members)] for place in range(size))


def genesis_node(state: State) -> Node:
    """The block before all blocks: ``state`` is the state after it."""
    root = state.root()
    header: Any = state.latest_block_header
    header = header.replace(state_root=root)
    return Node(
        root=header.hash_tree_root(),
        parent_root=bytes(32),
        slot=0,
        proposer_index=0,
        signed=None,
        state=state,
        state_root=root,
    )


def _fork(rules: Rules) -> Record:
    before = [each for each in Fork if each.order < rules.fork.order][-1]
    return rules.types.Fork(
        previous_version=fork_version(before),
        current_version=fork_version(rules.fork),
        epoch=0,
    )


def _validator(rules: Rules, index: int, *, activation_epoch: int) -> Record:
    return rules.types.Validator(
        pubkey=interop_public_key(index),
        withdrawal_credentials=withdrawal_credentials(index, rules.fork),
        effective_balance=rules.preset.max_effective_balance,
        slashed=False,
        activation_eligibility_epoch=0,
        activation_epoch=activation_epoch,
        exit_epoch=FAR_FUTURE_EPOCH,
        withdrawable_epoch=FAR_FUTURE_EPOCH,
    )


def _payload_header(rules: Rules, genesis_time_s: int) -> Record:
    payload = rules.types.ExecutionPayload.fields
    return rules.types.ExecutionPayloadHeader.default().replace(
        prev_randao=GENESIS_RANDOMNESS,
        gas_limit=30_000_000,
        timestamp=genesis_time_s,
        base_fee_per_gas=1_000_000_000,
        block_hash=GENESIS_BLOCK_HASH,
        transactions_root=payload["transactions"].hash_tree_root(()),
        withdrawals_root=payload["withdrawals"].hash_tree_root(()),
    )
