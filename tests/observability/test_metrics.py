import re

import pytest
from prometheus_client import generate_latest
from tests.docs_metrics import CHECKS_PAGE, PAGE, with_tables

from tetrarch.errors import InvariantBroken
from tetrarch.observability.health import CHECKS
from tetrarch.observability.metrics import METRICS, MetricKind, Metrics
from tetrarch.observability.reference_metrics import REFERENCE_METRICS, WITHOUT_EQUAL


def test_reference_page_lists_exactly_the_declared_metrics() -> None:
    text = PAGE.read_text()
    assert text == with_tables(text)  # else: python -m tests.docs_metrics
    assert len(re.findall(r"^\| `\w+` \| \w+ \|", text, re.MULTILINE)) == len(METRICS)


def test_reference_page_lists_exactly_the_health_checks() -> None:
    text = CHECKS_PAGE.read_text()
    assert text == with_tables(text)  # else: python -m tests.docs_metrics
    assert all(f"| `{check.name}` |" in text for check in CHECKS)


def test_every_name_of_the_reference_has_an_equal_or_a_reason() -> None:
    named = {row.name for row in REFERENCE_METRICS}
    assert len(named | set(WITHOUT_EQUAL)) == len(named) + len(WITHOUT_EQUAL) == 103


def test_scraper_sees_who_the_node_is_on_every_sample() -> None:
    metrics = Metrics(constant_labels={"cluster_hash": "abcdef0", "cluster_peer": "node2"})
    metrics.counter("core_bcast_broadcast_total").labels("attester").inc()
    metrics.histogram("duty_step_seconds").labels("attester", "fetched").observe(0.1)
    metrics.gauge("node_ready").set(1)
    lines = [line for line in metrics.exposition().decode().splitlines() if line[0] != "#"]
    assert all('cluster_hash="abcdef0",cluster_peer="node2"' in line for line in lines)
    assert not any("_created" in line for line in lines)
    expected = 'core_bcast_broadcast_total{cluster_hash="abcdef0",cluster_peer="node2",duty="attester"} 1.0'
    assert expected in lines


def test_fact_replaces_the_one_before() -> None:
    metrics = Metrics()
    metrics.set_only("app_version", "1")
    metrics.set_only("app_version", "2")
    assert metrics.registry.get_sample_value("app_version", {"version": "2"}) == 1
    assert metrics.registry.get_sample_value("app_version", {"version": "1"}) is None


def test_log_lines_are_counted_by_topic() -> None:
    metrics = Metrics()
    for level in ("info", "warning", "error", "critical"):
        metrics.count_log_line(level, "qbft")
    value = metrics.registry.get_sample_value
    assert value("app_log_warn_total", {"topic": "qbft"}) == 1
    assert value("app_log_error_total", {"topic": "qbft"}) == 2


def test_names_follow_the_rules() -> None:
    assert len({row.name for row in METRICS}) == len(METRICS)
    for row in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row.name), row.name
        assert row.name.endswith("_total") == (row.kind is MetricKind.COUNTER), row.name


def test_two_nodes_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.counter("log_lines_total").labels("info").inc()
    first.count_log_line("info", "node")
    assert first.registry.get_sample_value("tetrarch_log_lines_total", {"level": "info"}) == 2
    assert b'level="info"' not in generate_latest(second.registry)


def test_undeclared_metric_is_a_bug() -> None:
    with pytest.raises(InvariantBroken):
        Metrics().counter("never_declared_total")
