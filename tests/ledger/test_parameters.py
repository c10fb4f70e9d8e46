"""Parameters that no chain can go by are refused by name."""

from dataclasses import replace
from typing import Any

import pytest

from tetrarch.ledger.parameters import Fees, Parameters, ParametersInvalid, Rewards


@pytest.mark.parametrize(
    "changes",
    [
        {"slot_duration_ms": 199},
        {"slots_per_epoch": 0},
        {"coefficient_milli": 0},
        {"coefficient_milli": 1001},
        {"slots_per_kes_period": 0},
        {"content_size_bytes_max": 3_400_001},
        {"fragment_size_bytes_max": 200},
        {"expiry_epochs_max": -1},
        {"fees": Fees(constant=-1)},
        {"fees": Fees(per_byte=-1)},
        {"rewards": Rewards(rate_millionth=1_000_001)},
        {"rewards": Rewards(treasury_millionth=-1)},
        {"fragment_size_bytes_max": 4096, "content_size_bytes_max": 4095},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_has_bounds(changes: dict[str, Any]) -> None:
    with pytest.raises(ParametersInvalid, match=next(iter(changes))):
        replace(Parameters(), **changes)


def test_a_fee_is_constant_and_by_size() -> None:
    assert Fees(constant=3, per_byte=2).of(10) == 23
    assert Fees().of(10) == 0
