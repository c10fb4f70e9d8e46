"""Each of these broken rules must fail at least one explicit claim: a survivor is a hole in the tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.ledger"

MUTANTS = (
    Mutant(
        "two for one slot", "finality", "if link.target.height <= self.target_height:", "if False:"
    ),
    Mutant(
        "around an older vote",
        "finality",
        "if link.source.height < self.source_height:",
        "if False:",
    ),
    Mutant("backwards", "finality", "if link.source.height >= link.target.height:", "if False:"),
    Mutant("final by any link", "finality", "== self.source.height + 1", "> self.source.height"),
    Mutant("half a quorum", "finality", "(total + liars + 2) // 2", "(total + liars) // 2"),
    Mutant("two thirds", "finality", "2 * total // 3 + 1", "2 * total // 3"),
    Mutant("no quorum needed", "finality", "if weight < each.needed:", "if False:"),
    Mutant("strangers vote", "finality", "if any(not any(", "if False and any(not any("),
    Mutant("any order", "finality", "if voter <= latest:", "if False:"),
    Mutant("any chain", "finality", ".raw(LABEL).raw(block0)", ".raw(LABEL)"),
    Mutant(
        "anybody votes", "ballots", "if not any(vote.voter in", "if False and any(vote.voter in"
    ),
    Mutant("any time", "ballots", "<= height <= height_now + HEIGHTS_AHEAD_MAX:", "<= height:"),
    Mutant("of long ago", "ballots", "not height_now - HEIGHTS_KEPT <= height <=", "not height <="),
    Mutant("never split", "ballots", "            < each.needed", "            < 0"),
    Mutant("whoever lies counts", "ballots", "if contradicted is not None:", "if False:"),
    Mutant(
        "certified again",
        "ballots",
        "if vote.link in at_height.certified or not enough:",
        "if not enough:",
    ),
    Mutant("around is no lie", "ballots", "outer.source.height < inner.source.height", "False"),
    Mutant("twice is no lie", "ballots", "inner.target.height == outer.target.height", "False"),
    Mutant("votes without end", "ballots", "if height < height_now - HEIGHTS_KEPT", "if False"),
    Mutant("two lives at once", "lives", "if span.first < free_from:", "if False:"),
    Mutant(
        "back before its beginning",
        "lives",
        "before.until if is_next else before.first",
        "before.until if is_next else 0",
    ),
    Mutant("given back", "lives", "max(span.until, before.until)", "span.until"),
    Mutant(
        "of any kind",
        "lives",
        "if (each.holder, each.kind) == (span.holder, span.kind.value)",
        "if each.holder == span.holder",
    ),
    Mutant(
        "of anybody's",
        "lives",
        "if (each.holder, each.kind) == (span.holder, span.kind.value)",
        "if each.kind == span.kind.value",
    ),
    Mutant("of several spans", "lives", "if len(spans) != 1:", "if not spans:"),
    Mutant(
        "another's receipts",
        "lives",
        "if (span.holder, span.life) != (self._holder, self._life):",
        "if False:",
    ),
    Mutant("unsigned", "lives", "            each.check(block0)", "            pass"),
    Mutant("too few", "lives", "if group.weight(granters) < group.needed:", "if False:"),
    Mutant(
        "signed without", "lives", "if not any(number in span for span in spans):", "if not spans:"
    ),
    Mutant("forgotten at once", "lives", "(*self._spans.get(span.kind, ()), span)", "(span,)"),
    Mutant("strangers ask", "span_desk", "if not _may(span.holder, voters) or", "if"),
    Mutant("strangers grant", "span_desk", "or not _may(receipt.granter, voters)", ""),
    Mutant("asked without end", "span_desk", "if count > REQUESTS_OF_SLOT_MAX:", "if False:"),
    Mutant("kept without end", "span_desk", "list(kept.items())[1 - SPANS_KEPT :]", "kept.items()"),
    Mutant(
        "copies make blocks",
        "keyring",
        "            self._held.require(Kind.SLOTS, date_number(header.date))",
        "            pass",
    ),
    Mutant(
        "copies vote",
        "keyring",
        "            self._held.require(Kind.HEIGHTS, link.target.height)",
        "            pass",
    ),
    Mutant(
        "granted and forgotten",
        "keyring",
        "        self._change(grants=granted(self._kept.grants, request.span))\n",
        "        granted(self._kept.grants, request.span)\n",
    ),
    Mutant("granted to anybody", "keyring", "        request.check(block0)\n", ""),
    Mutant("a slot twice", "keyring", "if mark is not None and", "if False and"),
    Mutant(
        "the same slot", "keyring", ") <= (mark.epoch, mark.slot)", ") < (mark.epoch, mark.slot)"
    ),
    Mutant(
        "no mark",
        "keyring",
        "self._put(msgspec.structs.replace(leader, mark=_mark(header)))\n            return",
        "return",
    ),
    Mutant("a pool's no mark", "keyring", "keys=keys, mark=_mark(header)", "keys=keys"),
    Mutant(
        "drawn always",
        "keyring",
        "if lottery is None or not self.drawn_in",
        "if lottery is None and not self.drawn_in",
    ),
    Mutant("a way back", "keyring", "if kes_period < kes.period:", "if False:"),
    Mutant(
        "votes without marks",
        "keyring",
        "self._change(source_height=marks.source_height, target_height=marks.target_height)",
        "pass",
    ),
    Mutant("spends", "keyring", "or not fragment.body.free_for_voters", ""),
    Mutant("for others", "keyring", "fragment.payer != self.voter or", ""),
    Mutant("any chain", "keyring", "elif self._kept.block0 != block0:", "elif False:"),
    Mutant(
        "numbers again",
        "keyring",
        "next_number=kept.next_number + 1",
        "next_number=len(kept.leaders) + 1",
    ),
    Mutant(
        "signed before it is stored",
        "keyring",
        "        self._store(kept)\n        self._kept = kept",
        "        self._kept = kept\n        self._store(kept)",
    ),
    Mutant(
        "at once",
        "membership",
        "if membership.pending is not None and final_height >= membership.pending_height:",
        "if membership.pending is not None:",
    ),
    Mutant(
        "no gap is bridged",
        "membership",
        "return (previous,) if height < membership.since else (members, previous)",
        "return (members,)",
    ),
    Mutant("old ones are enough", "membership", "else (members, previous)", "else (previous,)"),
    Mutant(
        "both for ever",
        "membership",
        "elif membership.previous is not None and final_height >= membership.since:",
        "elif False:",
    ),
    Mutant(
        "both for no time",
        "membership",
        "elif membership.previous is not None and final_height >= membership.since:",
        "elif membership.previous is not None:",
    ),
    Mutant("anybody changes", "membership", "if weight < voters.needed or not", "if not"),
    Mutant(
        "strangers sign",
        "membership",
        "or not voters.weights.keys() >= change.signatures.keys()",
        "",
    ),
    Mutant("again", "membership", "if change.sequence != membership.sequence + 1:", "if False:"),
    Mutant("two at a time", "membership", "if membership.is_changing:", "if False:"),
    Mutant("stake is no change", "membership", "voters != membership.members", "False"),
    Mutant(
        "stake changes changes",
        "membership",
        "if not membership.is_changing and voters",
        "if voters",
    ),
    Mutant("members beside stake", "membership", "is Mode.PRAOS:", "is None:"),
    Mutant("strangers count", "tallies", "if not is_voter(draft, voter):", "if False:"),
    Mutant(
        "the first choice stays",
        "tallies",
        "choices[voter] = choice",
        "choices.setdefault(voter, choice)",
    ),
    Mutant("any choice counts", "tallies", "if chosen == choice]", "]"),
    Mutant("votes without end", "tallies", "if len(kept) > OPEN_MAX:", "if False:"),
    Mutant("withdrawn for all", "tallies", "if each != voter}", "if False}"),
    Mutant("one of both", "tallies", "if all(each.weight(agreed)", "if any(each.weight(agreed)"),
    Mutant("open for ever", "tallies", "OPEN_VOTES.remove(draft, voter)", "pass"),
    Mutant("stake alike", "epochs", "stakes.get(registration.vote_key, 0) + stake", "1"),
    Mutant(
        "without stake",
        "epochs",
        "        if stake:\n            stakes",
        "        if True:\n            stakes",
    ),
    Mutant("the smallest", "epochs", "(-stakes[key], key)", "(stakes[key], key)"),
    Mutant(
        "equals count",
        "tree",
        "if _rank(place) <= _rank(self.tip):",
        "if _rank(place) < _rank(self.tip):",
    ),
    Mutant("a tree without end", "tree", "return len(self) >= self._blocks_max", "return False"),
    Mutant(
        "justified is nothing", "tree", "if self.stands_upon(place, self._justified) else None", ""
    ),
    Mutant(
        "justified for ever",
        "tree",
        "if not any(place.id == self._justified for place in upon):",
        "if False:",
    ),
    Mutant(
        "justified anew",
        "tree",
        "if not any(place.id == self._justified for place in upon):",
        "if True:",
    ),
    Mutant("twice in the tree", "tree", "if place.id in self._places:", "if False:"),
    Mutant("undone in vain", "tree", "while old and new and old[-1] is new[-1]:", "while False:"),
    Mutant("final and not below", "tree", "self._base.take(place.layer.changes)", "pass"),
    Mutant("no slot before", "applying", "if header.date <= before.date:", "if False:"),
    Mutant("any parent", "applying", "if header.parent != parent.id:", "if False:"),
    Mutant(
        "any length",
        "applying",
        "if header.chain_length != before.chain_length + 1:",
        "if False:",
    ),
    Mutant("false signatures", "applying", "        check_signature(fragment, block0)\n", ""),
    Mutant("any size", "applying", "if content.paid_size_bytes > maximum:", "if False:"),
    Mutant(
        "no room for members",
        "applying",
        "for each in self.paid)",
        "for each in (*self.paid, *self.certificates))",
    ),
    Mutant("epochs never begin", "applying", "if date.epoch <= before:", "if True:"),
    Mutant("the nonce stays", "applying", "put_nonce(draft, evolve", "(draft, evolve"),
    Mutant("turns begin anew", "leaders", "slot if self.compat else", "slot if True else"),
    Mutant(
        "any turn", "leaders", "if header.proof.leader != self.leader(", "if None != None and ("
    ),
    Mutant("any draw", "leaders", ">= self.threshold(proof.pool):", ">= 2**64:"),
    Mutant("any period", "leaders", "if period != expected:", "if False:"),
    Mutant("any time of a key", "leaders", "if expected is None:", "if False:"),
    Mutant("a term twice", "elections", "if election.term <= before.term:", "if False:"),
    Mutant(
        "signed by nobody",
        "elections",
        "check_leader(self.certificate, self.rules.configuration, self.rules.keys)",
        "pass",
    ),
    Mutant(
        "in any form",
        "elections",
        "if encode_election(certificate, rules.configuration) != data:",
        "if False:",
    ),
    Mutant("keys that are not there", "elections", "None in keys.raw", "False"),
    Mutant("leaders of others", "elections", "if configuration.count != leaders:", "if False:"),
    Mutant("nobody leads", "elections", "or not elected.term", ""),
    Mutant(
        "elected after",
        "applying",
        "    _apply_elections(draft, content.elections, parent.block0)\n    leaders = leaders_of(draft, header.date.epoch)\n",
        "    leaders = leaders_of(draft, header.date.epoch)\n    _apply_elections(draft, content.elections, parent.block0)\n",
    ),
    Mutant("elections without end", "applying", "if len(elections) > 1:", "if False:"),
    Mutant("another epoch", "leaders", "if header.date.epoch != epoch:", "if False:"),
    Mutant("half up", "praos", "return ceil((1 - exact) * _ALL)", "return int((1 - exact) * _ALL)"),
    Mutant("stake of today", "epochs", "_key(max(0, epoch - 1))", "_key(max(0, epoch))"),
    Mutant("drawn again for ever", "epochs", "if passed > before + 1:", "if False:"),
    Mutant("left over is lost", "epochs", "+ due - treasury - paid", "+ 0"),
    Mutant("retired and drawn", "epochs", "registration.retires > epoch + 1", "True"),
    Mutant("counts go on", "epochs", "        BLOCKS_MADE.remove(draft, pool)\n", "        pass\n"),
    Mutant(
        "a digest never", "state_digest", "return date.epoch > before.epoch or", "return False or"
    ),
    Mutant("new voters unsaid", "state_digest", "or 0 < since >= (", "or 0 > since >= ("),
    Mutant(
        "said again and again",
        "state_digest",
        "DIGESTED.put(draft, _ONE, height)",
        "DIGESTED.put(draft, _ONE, 0)",
    ),
    Mutant(
        "said in any chain", "state_digest", "parameters.compat:", "parameters.compat and False:"
    ),
    Mutant("any digest", "state_digest", "lowest=NUMBER, highest=NUMBER", ""),
    Mutant("unsized keys", "state_chunks", "len(key).to_bytes(4", "(0).to_bytes(4"),
    Mutant(
        "a value cut",
        "state_chunks",
        "written, size_bytes = [data[whole:]]",
        "written, size_bytes = []",
    ),
    Mutant("the last chunk lost", "state_chunks", "    if size_bytes:\n", "    if False:\n"),
    Mutant("voters in any order", "state_chunks", "if key <= latest:", "if False:"),
    Mutant(
        "a state without voters", "state_chunks", "Writer().u8(voters.by_stake)", "Writer().u8(0)"
    ),
    Mutant(
        "for any block",
        "state_proofs",
        "if (link.target.height, link.target.block) != (end.chain_length, end.id):",
        "if False:",
    ),
    Mutant("by any link", "state_proofs", "if not link.makes_final or", "if"),
    Mutant("by anybody", "state_proofs", "if voter in trusted.weights]", "]"),
    Mutant("by too few", "state_proofs", "if weight < trusted.needed:", "if False:"),
    Mutant(
        "unsigned",
        "state_proofs",
        "Vote(link, voter, self.certificate.signatures[voter]).check(block0)",
        "pass",
    ),
    Mutant("voters of one's own", "state_proofs", "!= self.digest.voters:", "== b'':"),
    Mutant("any headers", "state_proofs", "if header.parent != end.id or", "if False and"),
    Mutant(
        "voters for ever",
        "state_proofs",
        "trusted, height = proof.voters, proof.state_height",
        "height = proof.state_height",
    ),
    Mutant(
        "in any order of proofs", "state_proofs", "if proof.state_height <= height:", "if False:"
    ),
    Mutant("no handing over", "state_proofs", "if proof.voters != trusted:", "if False:"),
    Mutant("a gap is filled", "main_chain", "if begin < self.lowest:", "if False:"),
    Mutant("over a gap", "main_chain", "if max(begin + 1, 1) < self.lowest:", "if False:"),
    Mutant("the first is gone", "main_chain", "if block != self.block0:", "if True:"),
    Mutant(
        "a digest unread",
        "applying",
        "if decode_digest(data) != digest_of(parent.layer):",
        "if False:",
    ),
    Mutant("snapshots without end", "epochs", "snapshot.epoch + SNAPSHOTS_KEPT <= epoch", "False"),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
