"""What every test starts from."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Python's own default, which the node runs with. py_ecc, an oracle of some tests, raises it to
# 100,000 when imported; deeply nested input then overflows the C stack instead of being refused.
RECURSION_LIMIT = 1_000

# How long an example takes says what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def recursion_limit_of_production() -> Iterator[None]:
    """Run each test with the limit that the node has; xdist and pytest need a little more."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(before)
