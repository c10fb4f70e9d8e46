"""Each of these broken rules must fail at least one explicit claim: a survivor is a hole in the tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.leadership"

MUTANTS = (
    Mutant("told again", "plans", "self._told.get(each) != leadership", "True"),
    Mutant(
        "told once for ever",
        "plans",
        "self._told.get(each) != leadership",
        "each not in self._told",
    ),
    Mutant("not ahead", "plans", "epoch + AHEAD + 1", "epoch + 1"),
    Mutant(
        "gaps are nothing",
        "plans",
        "draft_upon(tip, BlockDate(epoch, 0))",
        "draft_upon(tip, BlockDate(before + 1, 0))",
    ),
    Mutant("without room", "selection", "if needed > size_bytes:", "if False:"),
    Mutant("room without end", "selection", "        size_bytes -= needed\n", ""),
    Mutant("length is free", "selection", "LENGTH_SIZE_BYTES + len(each.data)", "len(each.data)"),
    Mutant("never over", "selection", "if is_over():", "if False:"),
    Mutant(
        "one that fails ends it", "selection", "continue  # it may hold", "break  # it may hold"
    ),
    Mutant(
        "too large ends it",
        "selection",
        "            continue\n        try:",
        "            break\n        try:",
    ),
    Mutant(
        "twice",
        "logs",
        "if key in self._to_come or key in self._ended:",
        "if key in self._to_come:",
    ),
    Mutant(
        "woken is dropped",
        "logs",
        "entry.date.epoch == epoch and entry.status is Status.PENDING",
        "entry.date.epoch == epoch",
    ),
    Mutant("all epochs are dropped", "logs", "entry.date.epoch == epoch and", "True and"),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
