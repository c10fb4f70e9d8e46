"""What every test starts from, and what tests measure: shown after the run, pass or fail."""

import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

# Python's own default, which the node runs with. py_ecc, an oracle of some tests, raises it to
# 100,000 when imported; deeply nested input then overflows the C stack instead of being refused.
RECURSION_LIMIT = 1_000
FIGURE = "figure"

# How long an example takes says what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """What was imported stays: walking it again and again took an eighth of the simulator's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True)
def recursion_limit_of_production() -> Iterator[None]:
    """Run each test with the limit that the node has; xdist and pytest need a little more."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(before)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[object], None]:
    """Call it with a line to be shown at the end of the run, under the test's name."""

    def add(line: object) -> None:
        # Properties travel with the report, from other processes too.
        request.node.user_properties.append((FIGURE, f"{request.node.name}: {line}"))

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = [
        line
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, line in report.user_properties
        if name == FIGURE and report.when == "call"
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)
