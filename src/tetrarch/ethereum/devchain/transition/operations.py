"""The operations in a block, in the specification's order.

Source: consensus-specs, process_operations of every fork.
"""

from typing import Any

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.attestations import process_attestation
from tetrarch.ethereum.devchain.transition.deposits import expected_deposits, process_deposit
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.transition.exits import (
    process_bls_to_execution_change,
    process_voluntary_exit,
)
from tetrarch.ethereum.devchain.transition.requests import (
    process_consolidation_request,
    process_deposit_request,
    process_withdrawal_request,
)
from tetrarch.ethereum.devchain.transition.slashings import (
    process_attester_slashing,
    process_proposer_slashing,
)


def process_operations(state: State, body: Any) -> None:
    """Apply every operation of ``body``."""
    require(len(body.deposits) == expected_deposits(state), "number of deposits")
    for slashing in body.proposer_slashings:
        process_proposer_slashing(state, slashing)
    for slashing in body.attester_slashings:
        process_attester_slashing(state, slashing)
    for attestation in body.attestations:
        process_attestation(state, attestation)
    for deposit in body.deposits:
        process_deposit(state, deposit)
    for signed_exit in body.voluntary_exits:
        process_voluntary_exit(state, signed_exit)
    if state.rules.has_payload:
        for change in body.bls_to_execution_changes:
            process_bls_to_execution_change(state, change)
    if state.rules.is_electra:
        _process_requests(state, body.execution_requests)


def _process_requests(state: State, requests: Any) -> None:
    for deposit in requests.deposits:
        process_deposit_request(state, deposit)
    for withdrawal in requests.withdrawals:
        process_withdrawal_request(state, withdrawal)
    for consolidation in requests.consolidations:
        process_consolidation_request(state, consolidation)
