"""Which seeds a run of the tests tries. ``SIM_SEEDS`` (a count, or ``from:count``) overrides."""

from collections.abc import Mapping

QBFT_SEEDS_FAST = 100
QBFT_SEEDS_INTEGRATION = 500
WORKFLOW_SEEDS_FAST = 50
WORKFLOW_SEEDS_INTEGRATION = 300
LEDGER_SEEDS_FAST = 100
LEDGER_SEEDS_INTEGRATION = 880  # a thousand with the two below
STATES_SEEDS_FAST = 10
STATES_SEEDS_INTEGRATION = 60
ELECTED_SEEDS_FAST = 15
ELECTED_SEEDS_INTEGRATION = 60
REAL_CRYPTO_EVERY = 10


def seeds(environment: Mapping[str, str], *, default: int, first: int = 0) -> range:
    """``default`` seeds from ``first`` on, or what ``SIM_SEEDS`` says."""
    text = environment.get("SIM_SEEDS", "")
    if not text:
        return range(first, first + default)
    start, _, count = text.rpartition(":")
    first = int(start) if start else first
    return range(first, first + int(count))


def batches(some: range, *, size: int) -> list[range]:
    """``some`` in pieces of ``size``, so that several processes share them."""
    return [some[start : start + size] for start in range(0, len(some), size)]


def uses_real_crypto(seed: int) -> bool:
    """Every tenth seed signs for real."""
    return seed % REAL_CRYPTO_EVERY == 0
