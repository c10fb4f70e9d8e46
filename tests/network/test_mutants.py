"""Each of these broken rules must fail at least one explicit claim: a survivor is a hole in the tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.network"

MUTANTS = (
    Mutant("sins for ever", "conduct", "0.5**age for age in ages", "1 for age in ages"),
    Mutant("failures for ever", "conduct", "max(0.0, 1 - age_s / rules.failure_memory_s)", "1.0"),
    Mutant("answers settle nothing", "conduct", "self.failures_s.clear()", "pass"),
    Mutant("latency is free", "conduct", "max(0.0, latency_s - rules.latency_free_s)", "0.0"),
    Mutant(
        "latency without end",
        "conduct",
        "min(rules.latency_points_max, rules",
        "max(rules.latency_points_max, rules",
    ),
    Mutant(
        "the last latency",
        "conduct",
        "before_s + LATENCY_WEIGHT * (latency_s - before_s)",
        "before_s",
    ),
    Mutant(
        "bought with gifts",
        "conduct",
        "min(rules.contribution_points_max, log2",
        "max(rules.contribution_points_max, log2",
    ),
    Mutant(
        "repeats are gifts", "conduct", "self.contributions += first", "self.contributions += 1"
    ),
    Mutant(
        "behind is well", "conduct", "if behind > rules.behind_blocks else 0.0", "if False else 0.0"
    ),
    Mutant(
        "best first", "conduct", "key=lambda part: part.points))", "key=lambda part: -part.points))"
    ),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
