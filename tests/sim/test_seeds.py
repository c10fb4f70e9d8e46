"""Which seeds run."""

from tetrarch.sim.seeds import seeds


def test_default_count_override_and_start() -> None:
    assert seeds({}, default=3) == range(3)
    assert seeds({}, default=3, first=10) == range(10, 13)
    assert seeds({"SIM_SEEDS": "5"}, default=3, first=10) == range(10, 15)
    assert seeds({"SIM_SEEDS": "70:2"}, default=3, first=10) == range(70, 72)
