"""The demo's verdict: what was missed that should not have been."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.demo.summary import (
    ChainDuty,
    NodeDuty,
    Summary,
    percentile,
    read_chain_duties,
    summarise,
)
from tetrarch.errors import InputInvalid


def on_chain(slot: int, status: str = "in_time", kind: str = "attester") -> ChainDuty:
    return ChainDuty(slot=slot, type=kind, validator_index=7, status=status, arrived_ms=1.0)


def at_node(node: int, slot: int, *, round_: int | None = 1, **at_ms: float) -> NodeDuty:
    return NodeDuty(
        node=node,
        slot=slot,
        type="attester",
        outcome="done",
        reason="",
        validators=1,
        round=round_,
        leader=0,
        at_ms=at_ms,
    )


def summary(
    chain: list[ChainDuty],
    nodes: list[NodeDuty] | None = None,
    *,
    excused: frozenset[int] = frozenset(),
    **report: Any,
) -> Summary:
    return summarise(
        chain=chain,
        nodes=nodes or [],
        excused_slots=excused,
        shape={"slots": 8, "nodes": 4, "validators": 1, "fork": "electra"},
        report=report,
    )


def test_all_in_time_succeeds() -> None:
    result = summary([on_chain(1), on_chain(2, kind="proposer")])
    assert result.succeeded
    assert (result.duties, result.attestations, result.proposals) == (2, 1, 1)
    assert result.to_json()["ok"] is True


def test_missed_duty_fails_and_is_named() -> None:
    result = summary([on_chain(1), on_chain(2, "missed")])
    assert not result.succeeded
    assert result.missed == 1
    assert result.missed_duties == ("2/attester/7",)


def test_excused_slots_are_counted_apart() -> None:
    chain = [on_chain(1, "missed"), on_chain(2, "late"), on_chain(3)]
    result = summary(chain, excused=frozenset({1, 2}))
    assert result.succeeded
    assert (result.missed, result.late, result.excused) == (0, 0, 2)


def test_late_is_shown_and_no_miss() -> None:
    result = summary([on_chain(1, "late")])
    assert result.succeeded
    assert result.late == 1


def test_open_duty_is_no_miss() -> None:
    assert summary([on_chain(1, "open")]).missed == 0


def test_slashable_message_fails_whatever_else() -> None:
    result = summary([on_chain(1)], slashable=[{"kind": "double_vote"}])
    assert not result.succeeded
    assert result.slashable == 1


def test_nothing_seen_is_no_success() -> None:
    result = summary([])
    assert not result.succeeded
    assert result.submitted_p50_ms is None
    assert result.rounds_max is None


def test_submission_is_that_of_the_first_node_and_decisions_are_all_nodes() -> None:
    nodes = [
        at_node(0, 1, decided=10, submitted=60),
        at_node(1, 1, decided=30, submitted=40, round_=3),
        at_node(2, 1, decided=20),
    ]
    result = summary([on_chain(1)], nodes)
    assert result.submitted_p50_ms == 40
    assert result.submitted_p99_ms == 40
    assert result.decided_p50_ms == 20
    assert result.rounds_max == 3


def test_json_has_the_promised_names() -> None:
    promised = {
        "duties",
        "missed",
        "late",
        "decided_p50_ms",
        "submitted_p50_ms",
        "submitted_p99_ms",
    }
    assert promised <= set(summary([]).to_json())


@given(
    st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=50),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_percentile_is_one_of_the_values_and_not_too_low(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


def test_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.5) is None


ROW = {"slot": "3", "type": "attester", "validator_index": 4, "status": "in_time"}


def test_report_becomes_values() -> None:
    (duty,) = read_chain_duties({"duties": [{**ROW, "arrived_ms": 2.5}]})
    assert (duty.slot, duty.validator_index, duty.arrived_ms) == (3, 4, 2.5)
    assert read_chain_duties({"duties": [ROW]})[0].arrived_ms is None


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"duties": None},
        {"duties": [None]},
        {"duties": ["text"]},
        {"duties": [{**ROW, "slot": "x"}]},
        {"duties": [{**ROW, "slot": None}]},
        {"duties": [{"slot": 3}]},
    ],
)
def test_report_of_another_shape_is_refused(report: Any) -> None:
    with pytest.raises(InputInvalid):
        read_chain_duties(report)


def test_times_are_of_votes_and_blocks_and_other_duties_are_counted() -> None:
    nodes = [
        at_node(0, 1, decided=10, submitted=20),
        replace(at_node(0, 1, decided=900, submitted=1000, round_=7), type="aggregator"),
        replace(at_node(1, 1, decided=900, submitted=1000), type="aggregator"),
        replace(at_node(0, 2, submitted=500), type="sync_message"),
        replace(at_node(0, 3), type="sync_contribution"),
    ]
    result = summary([on_chain(1)], nodes)
    assert (result.decided_p99_ms, result.submitted_p99_ms, result.rounds_max) == (10, 20, 1)
    counted = result.aggregations, result.sync_messages, result.contributions
    assert counted == (1, 1, 0), "each duty once, and what was submitted alone"
