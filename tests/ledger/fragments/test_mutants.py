"""Each of these broken rules must fail at least one explicit claim: a survivor is a hole in the tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE, LEDGER = "tetrarch.ledger.fragments", "tetrarch.ledger"

MUTANTS = (
    Mutant("of tomorrow", "parameter_vote", "if self.epoch < earliest:", "if False:"),
    Mutant("decided again", "parameter_vote", "any(epoch == self.epoch for", "any(False for"),
    Mutant("more than there is room for", "parameter_vote", "len(coming) >= COMING_MAX", "False"),
    Mutant("time changes", "parameter_vote", "if differ:", "if False:"),
    Mutant("nobody leads", "parameter_vote", "if not somebody:", "if False:"),
    Mutant("one is enough", "parameter_vote", "        if vote(", "        if True or vote("),
    Mutant("any session", "key_vote", "if self.session != expected:", "if False:"),
    Mutant("any key", "key_vote", "choice_of(writer.data)", "choice_of(b'')"),
    Mutant("back", "external_block", "if self.block.number <= network.latest:", "if False:"),
    Mutant("without end", "external_block", ">= BLOCKS_WAITING_MAX", "< 0"),
    Mutant("any block", "external_block", "choice_of(self.block.block)", "choice_of(b'')"),
    Mutant("any order", "batch", "if self.id != network.next_batch:", "if False:"),
    Mutant("outputs twice", "batch", "first >= second", "first > second"),
    Mutant("signed by anybody", "batch", "        self._check_signature(draft", "        (draft"),
    Mutant("any session", "batch", "or self.session not in sessions", ""),
    Mutant("no way on", "batch", "signing_session=self.session", "signing_session=0"),
    Mutant("blocks again", "batch", ">= known.number", ">= 0"),
    Mutant("blocks once", "batch", ">= known.number", "> known.number"),
    Mutant("from nothing", "batch", "            change_supply(draft", "            (draft"),
    Mutant("on all chains", "batch", "LABEL + block0 +", "LABEL +"),
    Mutant("kept", "burn", "        take_coins(draft, context", "        (draft, context"),
    Mutant("still there", "burn", "-self.amount)", "0)"),
    Mutant("one number", "burn", "network.next_burn + 1", "network.next_burn"),
    Mutant("to himself", "coin_transfer", "if self.account == context.payer:", "if False:"),
    Mutant(
        "spent twice",
        "coin_transfer",
        "        take_coins(draft, context",
        "        (draft, context",
    ),
    Mutant("not final", "plan_list", "if self.upto.height > final:", "if False:"),
    Mutant("of any branch", "plan_list", "if not is_ancestor(", "if False and not is_ancestor("),
    Mutant(
        "planned again", "plan_list", "if self.upto.height <= network.planned_height:", "if False:"
    ),
    Mutant("listed again", "plan_list", "if is_twice or", "if"),
    Mutant("any order", "plan_list", "list(self.plans) != sorted(set(self.plans))", "False"),
    Mutant("later burns", "plan_list", "or burnt.height > self.upto.height", ""),
    Mutant("burns stay", "plan_list", "            BURNS.remove(draft", "            (draft"),
    Mutant("free for all", "signed", "and is_voter(view, fragment.payer)", ""),
    Mutant("never free", "signed", "fee = 0 if is_free else", "fee ="),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module, anew=LEDGER)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant, anew=LEDGER)
