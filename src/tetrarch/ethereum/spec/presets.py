"""Compile-time sizes of the two presets. Fields have the specification's names in lower case.

Mainnet's values are the defaults; ``MINIMAL`` lists what differs.

Source: ethereum/consensus-specs, presets/mainnet and presets/minimal.
"""

from dataclasses import dataclass

from tetrarch.errors import InputInvalid

GWEI_PER_ETH = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Sizes and limits that shape the types and rules of every fork."""

    name: str
    # Time, in slots and epochs
    slots_per_epoch: int = 32
    min_attestation_inclusion_delay: int = 1
    min_seed_lookahead: int = 1
    max_seed_lookahead: int = 4
    min_epochs_to_inactivity_penalty: int = 4
    epochs_per_eth1_voting_period: int = 64
    slots_per_historical_root: int = 8192
    epochs_per_sync_committee_period: int = 256
    # Committees
    max_committees_per_slot: int = 64
    target_committee_size: int = 128
    max_validators_per_committee: int = 2048
    shuffle_round_count: int = 90
    sync_committee_size: int = 512
    # Lengths in the state
    epochs_per_historical_vector: int = 65536
    epochs_per_slashings_vector: int = 8192
    historical_roots_limit: int = 2**24
    validator_registry_limit: int = 2**40
    pending_deposits_limit: int = 2**27
    pending_partial_withdrawals_limit: int = 2**27
    pending_consolidations_limit: int = 2**18
    # Operations per block
    max_proposer_slashings: int = 16
    max_attester_slashings: int = 2
    max_attestations: int = 128
    max_deposits: int = 16
    max_voluntary_exits: int = 16
    max_bls_to_execution_changes: int = 16
    max_attester_slashings_electra: int = 1
    max_attestations_electra: int = 8
    max_deposit_requests_per_payload: int = 8192
    max_withdrawal_requests_per_payload: int = 16
    max_consolidation_requests_per_payload: int = 2
    # Execution payload and blobs
    max_bytes_per_transaction: int = 2**30
    max_transactions_per_payload: int = 2**20
    bytes_per_logs_bloom: int = 256
    max_extra_data_bytes: int = 32
    max_withdrawals_per_payload: int = 16
    max_validators_per_withdrawals_sweep: int = 16384
    max_blob_commitments_per_block: int = 4096
    field_elements_per_blob: int = 4096
    field_elements_per_ext_blob: int = 8192
    max_pending_partials_per_withdrawals_sweep: int = 8
    max_pending_deposits_per_epoch: int = 16
    # Balances, Gwei
    min_deposit_amount: int = GWEI_PER_ETH
    max_effective_balance: int = 32 * GWEI_PER_ETH
    effective_balance_increment: int = GWEI_PER_ETH
    min_activation_balance: int = 32 * GWEI_PER_ETH
    max_effective_balance_electra: int = 2048 * GWEI_PER_ETH
    hysteresis_quotient: int = 4
    hysteresis_downward_multiplier: int = 1
    hysteresis_upward_multiplier: int = 5
    # Rewards and penalties
    base_reward_factor: int = 64
    whistleblower_reward_quotient: int = 512
    whistleblower_reward_quotient_electra: int = 4096
    proposer_reward_quotient: int = 8
    inactivity_penalty_quotient: int = 2**26
    inactivity_penalty_quotient_altair: int = 3 * 2**24
    inactivity_penalty_quotient_bellatrix: int = 2**24
    min_slashing_penalty_quotient: int = 128
    min_slashing_penalty_quotient_altair: int = 64
    min_slashing_penalty_quotient_bellatrix: int = 32
    min_slashing_penalty_quotient_electra: int = 4096
    proportional_slashing_multiplier: int = 1
    proportional_slashing_multiplier_altair: int = 2
    proportional_slashing_multiplier_bellatrix: int = 3


MAINNET = Preset(name="mainnet")
MINIMAL = Preset(
    name="minimal",
    slots_per_epoch=8,
    epochs_per_eth1_voting_period=4,
    slots_per_historical_root=64,
    epochs_per_sync_committee_period=8,
    max_committees_per_slot=4,
    target_committee_size=4,
    shuffle_round_count=10,
    sync_committee_size=32,
    epochs_per_historical_vector=64,
    epochs_per_slashings_vector=64,
    pending_partial_withdrawals_limit=64,
    pending_consolidations_limit=64,
    max_withdrawals_per_payload=4,
    max_validators_per_withdrawals_sweep=16,
    max_pending_partials_per_withdrawals_sweep=2,
    inactivity_penalty_quotient=2**25,
    min_slashing_penalty_quotient=64,
    proportional_slashing_multiplier=2,
)


def preset_named(name: str) -> Preset:
    """The preset ``mainnet`` or ``minimal``.

    Raises:
        InputInvalid: another name.
    """
    for preset in (MAINNET, MINIMAL):
        if preset.name == name:
            return preset
    raise InputInvalid("choose preset", name=name, known="mainnet, minimal")
