"""What integration tests measure is shown after the run, pass or fail."""

from collections.abc import Callable
from typing import Any

import pytest

FIGURE = "figure"


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
