"""What happens at the end of an epoch, in order. Start reading here.

Source: consensus-specs, process_epoch of altair, deneb (with capella), electra and fulu.
"""

from collections.abc import Callable

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.justification import process_justification
from tetrarch.ethereum.devchain.transition.pending import (
    process_pending_consolidations,
    process_pending_deposits,
)
from tetrarch.ethereum.devchain.transition.registry import (
    process_effective_balances,
    process_registry_updates,
    process_slashings,
)
from tetrarch.ethereum.devchain.transition.resets import (
    process_eth1_data_reset,
    process_historical_summary,
    process_participation_flags,
    process_proposer_lookahead,
    process_randao_mixes_reset,
    process_slashings_reset,
    process_sync_committees,
)
from tetrarch.ethereum.devchain.transition.rewards import process_inactivity, process_rewards
from tetrarch.ethereum.spec.values import Fork

_STEPS: tuple[tuple[Fork, Callable[[State], None]], ...] = (
    (Fork.ALTAIR, process_justification),
    (Fork.ALTAIR, process_inactivity),
    (Fork.ALTAIR, process_rewards),
    (Fork.ALTAIR, process_registry_updates),
    (Fork.ALTAIR, process_slashings),
    (Fork.ALTAIR, process_eth1_data_reset),
    (Fork.ELECTRA, process_pending_deposits),
    (Fork.ELECTRA, process_pending_consolidations),
    (Fork.ALTAIR, process_effective_balances),
    (Fork.ALTAIR, process_slashings_reset),
    (Fork.ALTAIR, process_randao_mixes_reset),
    (Fork.ALTAIR, process_historical_summary),
    (Fork.ALTAIR, process_participation_flags),
    (Fork.ALTAIR, process_sync_committees),
    (Fork.FULU, process_proposer_lookahead),
)


def process_epoch(state: State) -> None:
    """End the state's epoch; ``since`` says from which fork on a step exists."""
    for since, step in _STEPS:
        if state.rules.fork.at_least(since):
            step(state)
