import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from tetrarch.errors import InvariantBroken
from tetrarch.observability.metrics import METRICS, MetricKind, Metrics

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_reference_page_lists_exactly_the_declared_metrics() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    documented = {name: (kind, labels, text) for name, kind, labels, text in rows}
    declared = {
        row.full_name: (row.kind.value, ", ".join(f"`{x}`" for x in row.labels) or "-", row.help)
        for row in METRICS
    }
    assert documented == declared
    assert len(rows) == len(METRICS)


def test_names_follow_the_rules() -> None:
    assert len({row.name for row in METRICS}) == len(METRICS)
    for row in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row.name), row.name
        assert row.name.endswith("_total") == (row.kind is MetricKind.COUNTER), row.name


def test_two_nodes_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.counter("log_lines_total").labels("info").inc()
    first.count_log_line("info")
    assert first.registry.get_sample_value("tetrarch_log_lines_total", {"level": "info"}) == 2
    assert b'level="info"' not in generate_latest(second.registry)


def test_undeclared_metric_is_a_bug() -> None:
    with pytest.raises(InvariantBroken):
        Metrics().counter("never_declared_total")
