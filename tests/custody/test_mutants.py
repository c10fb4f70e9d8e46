"""Each mutant of a pure module fails an explicit claim of that module's tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.custody"
MUTANTS = (
    Mutant("dust is paid", "amortising", ">= dust:", ">= 0:"),
    Mutant("the rest is lost", "amortising", "each + (turn < rest)", "each"),
    Mutant(
        "who is dropped helps nobody",
        "amortising",
        "gained += items[order.pop()][1]",
        "order.pop()",
    ),
    Mutant(
        "the largest are dropped",
        "amortising",
        "(-items[place][1], place)",
        "(items[place][1], place)",
    ),
    Mutant(
        "overtaken",
        "planner",
        "                break\n            paid.append(payment)",
        "                continue\n            paid.append(payment)",
    ),
    Mutant(
        "all outputs spent",
        "planner",
        "            if spent >= total:\n                break\n",
        "",
    ),
    Mutant("the smallest spent", "planner", "(-each.amount, each.id)", "(each.amount, each.id)"),
    Mutant("dust as change", "planner", "lost = change if change < limits.dust else 0", "lost = 0"),
    Mutant("costs kept", "planner", "replace(holdings, costs=lost)", "holdings"),
    Mutant(
        "joining costs nobody", "planner", "costs=holdings.costs + fee)", "costs=holdings.costs)"
    ),
    Mutant("one is joined", "planner", "while len(rest) > 1:", "while rest:"),
    Mutant(
        "who waits for all waits for ever",
        "planner",
        "if len(rest) == 1 and first and step.holdings.waiting:",
        "if False:",
    ),
    Mutant(
        "short branches pay all",
        "planner",
        "short = max(branch.amount - output.amount, 0)",
        "short = 0",
    ),
    Mutant("branches stay open", "planner", "if each[0] != plan)", ")"),
    Mutant("spent and held", "planner", "if each.id not in spent)", ")"),
    Mutant("known outputs", "planner", "not known & {each.id for each in outputs}", "True"),
    Mutant(
        "no room for change",
        "planner",
        "limits.outputs_max - 1, limits.outputs_max",
        "limits.outputs_max, limits.outputs_max",
    ),
    Mutant(
        "who waits longest in a branch",
        "planner",
        "some = tuple(left[len(left) - count :])\n        del left[len(left) - len(some) :]",
        "some = tuple(left[:count])\n        del left[: len(some)]",
    ),
    Mutant(
        "one plan for all keys",
        "planner",
        'hashed = sha256(LABEL + len(key).to_bytes(2, "big") + key)',
        "hashed = sha256(LABEL)",
    ),
    Mutant("inputs in any order", "planner", "for each in sorted(inputs):", "for each in inputs:"),
    Mutant(
        "refunds of dust",
        "planner",
        "        if left < self.limits.dust:\n            return Step(self.accept(holdings, [output]), dropped=(payment,))\n",
        "",
    ),
    Mutant("any version", "instructions", " or data[0] != VERSION", ""),
    Mutant("any size", "instructions", "len(back_to) != size or ", ""),
    Mutant("empty", "instructions", "1 <= size", "0 <= size"),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.module}: {mutant.name}")
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
