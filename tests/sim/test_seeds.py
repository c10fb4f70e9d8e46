"""Which seeds run."""

import pytest

from tetrarch.sim.seeds import batches, seeds


def test_default_count_override_and_start() -> None:
    assert seeds({}, default=3) == range(3)
    assert seeds({}, default=3, first=10) == range(10, 13)
    assert seeds({"SIM_SEEDS": "5"}, default=3, first=10) == range(10, 15)
    assert seeds({"SIM_SEEDS": "70:2"}, default=3, first=10) == range(70, 72)


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 100])
def test_batches_hold_every_seed_once(count: int) -> None:
    some = range(7, 7 + count)
    found = batches(some, size=25)
    assert [seed for batch in found for seed in batch] == list(some)
    assert all(0 < len(batch) <= 25 for batch in found)
