"""Each of these broken rules must fail at least one explicit claim: a survivor is a hole in the tests.

A mutant is the source of one pure module with one piece of text replaced. The claims of the module's
test file, but those that draw their examples, run against it.
"""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.ethereum.beacon_nodes"


MUTANTS = (
    Mutant("half is a majority", "voting", "voters // 2 + 1", "(voters + 1) // 2"),
    Mutant("one of three is a quorum", "voting", "QUORUM_MIN_FROM = 3", "QUORUM_MIN_FROM = 9"),
    Mutant(
        "slot is not checked",
        "voting",
        "(data.slot != question.slot, Flaw.SLOT)",
        "(False, Flaw.SLOT)",
    ),
    Mutant(
        "future is not checked",
        "voting",
        "(question.slot > question.now_slot, Flaw.FUTURE)",
        "(False, Flaw.FUTURE)",
    ),
    Mutant("now is the future", "voting", "question.slot > question", "question.slot >= question"),
    Mutant("index is not checked", "voting", "data.index not in (0,", "data.index in (99,"),
    Mutant("no head is a head", "voting", "_NO_ROOT = bytes(32)", "_NO_ROOT = bytes(31)"),
    Mutant("target is not checked", "voting", "data.target.epoch != epoch", "epoch < 0"),
    Mutant(
        "source may be the target",
        "voting",
        "data.source.epoch >= max(",
        "data.source.epoch > max(",
    ),
    Mutant("genesis has no source", "voting", "max(data.target.epoch, 1)", "data.target.epoch"),
    Mutant(
        "head before branch",
        "voting",
        "lambda ballot: ballot.branch, configured",
        "lambda ballot: ballot.data, configured",
    ),
    Mutant("worst score wins", "voting", "return max(ballot.score", "return -max(ballot.score"),
    Mutant(
        "finality is not heard",
        "voting",
        "if ballot.data.source == source:\n        return True",
        "return ballot.data.source == source",
    ),
    Mutant("previous justified is not heard", "voting", ", known.previous_justified)", ",)"),
    Mutant("alone is a majority", "voting", "if len(valid) == 1 and", "if len(valid) == 0 and"),
    Mutant(
        "outvoted are not named", "voting", "if each.node not in supporters", "if not supporters"
    ),
    Mutant(
        "settled one early",
        "voting",
        "quorum(electorate, configured=question.configured)\n\n\ndef convincing",
        "1\n\n\ndef convincing",
    ),
    Mutant("one of three convinces", "voting", "return not lone", "return True"),
    Mutant("down one failure early", "health", "failures_down: int = 3", "failures_down: int = 2"),
    Mutant("successes forget nothing", "health", "return replace(self, failures=0)", "return self"),
    Mutant("one success is enough", "health", "successes < rules.successes_up", "successes < 1"),
    Mutant(
        "failed probe is forgiven",
        "health",
        "case Circuit.HALF_OPEN:\n                return self._opened(now_s, rules)",
        "case Circuit.HALF_OPEN:\n                return self",
    ),
    Mutant("backoff does not grow", "health", "min(self.trips, 30)", "0"),
    Mutant("backoff has no end", "health", "min(doubled_s, rules.backoff_max_s)", "doubled_s"),
    Mutant(
        "backoff is not reset",
        "health",
        "failures=0, successes=0, trips=0, probing=False",
        "failures=0, successes=0, probing=False",
    ),
    Mutant("two probes at once", "health", "return not self.probing", "return True"),
    Mutant("probe before its time", "health", "return now_s >= self.retry_at_s", "return True"),
    Mutant(
        "abandoned probe blocks",
        "health",
        "case ProbeAbandoned():\n                return replace(self, probing=False)",
        "case ProbeAbandoned():\n                return self",
    ),
    Mutant("optimistic is healthy", "health", "            or report.is_optimistic\n", ""),
    Mutant("no execution node is healthy", "health", "            or report.el_offline\n", ""),
    Mutant(
        "distance is healthy",
        "health",
        "            or report.sync_distance > rules.distance_max\n",
        "",
    ),
    Mutant(
        "one good report is enough", "health", "self.good_reports + 1 >= rules.reports_up", "True"
    ),
    Mutant(
        "late failure reopens",
        "health",
        "case Circuit.OPEN:  # an answer to what was asked before it opened\n                return self",
        "case Circuit.OPEN:\n                return self._opened(now_s, rules)",
    ),
    Mutant("one parent is agreed", "block_choice", "len(all_offers) // 2 + 1", "1"),
    Mutant("parent does not matter", "block_choice", ">= needed]", ">= 0]"),
    Mutant("value does not matter", "block_choice", "-(offer.value_wei or 0)", "0"),
    Mutant("score does not matter", "block_choice", "-offer.score", "0"),
    Mutant("arrival does not matter", "block_choice", "offer.arrived_s, offer.node", "offer.node"),
    Mutant(
        "half agrees",
        "agreement",
        "2 * len(largest) > len(ordered)",
        "2 * len(largest) >= len(ordered)",
    ),
    Mutant("most is a majority", "agreement", "largest if by_majority else ordered", "largest"),
    Mutant(
        "best score against majority", "agreement", "largest if by_majority else ordered", "ordered"
    ),
    Mutant("attesters are decided later", "epoch_cache", "ATTESTERS = 1", "ATTESTERS = 0.5"),
    Mutant("proposers are decided earlier", "epoch_cache", "PROPOSERS = 0", "PROPOSERS = 0.5"),
    Mutant("reorg spares its first slot", "epoch_cache", ">= ancestor_slot", "> ancestor_slot"),
    Mutant(
        "old answers are kept",
        "epoch_cache",
        "if generation != self.generation:",
        "if generation < 0:",
    ),
    Mutant(
        "next epoch is spared", "epoch_cache", "(epoch + 1, current_root)", "(epoch, previous_root)"
    ),
    Mutant("latency does not matter", "scoring", "near * included * quick", "near * included"),
    Mutant("distance does not matter", "scoring", "near * included * quick", "included * quick"),
    Mutant("inclusion does not matter", "scoring", "near * included * quick", "near * quick"),
    Mutant(
        "overdue lowers latency",
        "scoring",
        "self if known_ms >= waited_ms else",
        "self if known_ms < 0 else",
    ),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
