"""Every query of the dashboard, and those of dashboards made for the reference, can be answered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.promql import Query, parse

from tetrarch.observability.metrics import METRICS, MetricKind

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "tetrarch.json"
CONSTANT = {"cluster_hash", "cluster_name", "cluster_network", "cluster_peer", "nickname"}
# How dashboards for the reference ask; source: reference section 6.1, "dashboards key on".
REFERENCE_QUERIES = [
    'sum(increase(core_tracker_success_duties_total{cluster_hash="$h"}[1h])) by (duty)',
    'sum(increase(core_tracker_failed_duties_total{cluster_hash="$h"}[1h])) by (duty)',
    'sum(core_tracker_failed_duty_reasons_total{cluster_hash="$h"}) by (duty, reason)',
    'avg(core_tracker_participation{cluster_hash="$h",cluster_peer="$p"}) by (duty, peer)',
    "increase(core_tracker_participation_missed_total[1d])",
    "core_tracker_expect_duties_total",
    "histogram_quantile(0.9, sum(rate(core_bcast_broadcast_delay_seconds_bucket[1h])) by (le,duty))",
    "rate(core_consensus_duration_seconds_sum[1m]) / rate(core_consensus_duration_seconds_count[1m])",
    "max(core_consensus_decided_rounds) by (cluster_peer, duty, timer, protocol)",
    "sum(increase(core_consensus_timeout_total[1h])) by (duty, timer)",
    "histogram_quantile(0.9, sum(rate(core_parsigdb_store_bucket[5m])) by (le, duty, peer_idx))",
    'p2p_ping_success{cluster_name="$n"} == 0',
    "histogram_quantile(0.9, sum(rate(p2p_ping_latency_secs_bucket[2m])) by (le, peer))",
    "app_peerinfo_clock_offset_seconds",
    "sum(app_peerinfo_version) by (peer, version)",
    'app_version{cluster_network="mainnet"}',
    "sum(rate(app_eth2_latency_seconds_count[5m])) by (endpoint)",
    "rate(app_eth2_errors_total[5m])",
    "app_monitoring_readyz != 1",
    'app_health_checks{severity="critical"} > 0',
    "core_scheduler_current_slot",
    "core_scheduler_validators_active",
    "cluster_operators - on(cluster_hash) cluster_threshold",
    "sum(rate(core_validatorapi_request_latency_seconds_count[5m])) by (endpoint)",
    'process_resident_memory_bytes{cluster_peer=~"$p"}',
    "time() - app_start_time_secs",
]


def sample_names() -> dict[str, set[str]]:
    """Every name that a query may ask for, with its labels."""
    names = {"process_resident_memory_bytes": CONSTANT, "process_cpu_seconds_total": CONSTANT}
    for row in METRICS:
        labels = CONSTANT | set(row.labels)
        if row.kind is MetricKind.HISTOGRAM:
            names[f"{row.full_name}_bucket"] = labels | {"le"}
            names[f"{row.full_name}_sum"] = names[f"{row.full_name}_count"] = labels
        else:
            names[row.full_name] = labels
    return names


def check(query: Query) -> None:
    known = sample_names()
    assert query.selectors
    for name, labels in query.selectors:
        assert name in known, name
        assert labels <= known[name], (name, labels)
    shared = set.intersection(*(known[name] for name, _ in query.selectors))
    assert query.grouping <= shared, query.grouping


def panels() -> list[dict[str, Any]]:
    found = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']}/{target['refId']}", target["expr"]


@pytest.mark.parametrize("expression", [pytest.param(each, id=name) for name, each in queries()])
def test_query_of_the_dashboard_can_be_answered(expression: str) -> None:
    check(parse(expression))


@pytest.mark.parametrize("expression", REFERENCE_QUERIES)
def test_query_of_a_dashboard_for_the_reference_can_be_answered(expression: str) -> None:
    check(parse(expression))


@pytest.mark.parametrize(
    "expression",
    [
        "core_tracker_succes_duties_total",
        'core_tracker_success_duties_total{type="attester"}',
        "sum by (peer) (core_tracker_success_duties_total)",
        "core_bcast_broadcast_delay_seconds",
        "1 + 1",
    ],
)
def test_misspelt_query_is_found(expression: str) -> None:
    with pytest.raises(AssertionError):
        check(parse(expression))


def test_query_is_read_with_its_metrics_and_labels() -> None:
    text = (
        'histogram_quantile(0.9, sum by (le, peer) (rate(a_bucket{x=~"y{z=",w!="v"}[5m]))) / b == 1'
    )
    read = parse(text)
    assert read.selectors == (("a_bucket", frozenset({"x", "w"})), ("b", frozenset()))
    assert read.grouping == {"le", "peer"}


def test_legends_use_labels_that_are_there() -> None:
    known = sample_names()
    for panel in panels():
        for target in panel["targets"]:
            query = parse(target["expr"])
            there = query.grouping or set.union(*(known[name] for name, _ in query.selectors))
            used = {part.split("}}")[0] for part in target["legendFormat"].split("{{")[1:]}
            assert used <= there, (panel["title"], used, there)


def test_panels_have_titles_units_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()}
    assert len(places) == len(panels())
    assert all(panel["title"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels())
