"""Each of these broken rules must fail at least one explicit claim: a survivor is a hole in the tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.election"
P, W, C, N = "promises", "witnesses", "certificates", "counting"

MUTANTS = (
    Mutant("half is a quorum", "quorums", "// 2 + 1", "// 2"),
    Mutant(
        "liars are not counted", "quorums", "(count + liars_max(count, mode)) // 2", "count // 2"
    ),
    Mutant("one answer fewer", "quorums", "+ 1 - quorum(", "- quorum("),
    Mutant("as many lie as crash", "quorums", "(3 if mode is Mode.BFT else 2)", "2"),
    Mutant("leader never stays", "choice", "if incumbent is not None", "if False"),
    Mutant("dead leader stays", "choice", " and incumbent in view.members", ""),
    Mutant("highest leads", "choice", "members[0]", "members[-1]"),
    Mutant("turns are not taken", "choice", "view.term % len", "0 % len"),
    Mutant("seed does not matter", "choice", "view.hash + seed", "view.hash"),
    Mutant("view does not matter", "choice", "view.hash + seed", "seed"),
    Mutant("any configuration", C, "view.configuration_hash != configuration.hash", "False"),
    Mutant("any size of view", C, "len(view.members) < configuration.quorum", "False"),
    Mutant("strangers in the view", C, "view.members[-1] >= configuration.count", "False"),
    Mutant("signer twice", C, "len(set(sources)) != len(sources)", "False"),
    Mutant("foreign signer", C, "not 0 <= source < configuration.count", "False"),
    Mutant("below a quorum", C, "len(sources) < configuration.quorum", "False"),
    Mutant(
        "one more is needed", C, "len(sources) < configuration", "len(sources) <= configuration"
    ),
    Mutant("votes for any view", C, "vote.what.view != certificate.view", "False"),
    Mutant("votes unsigned", C, "not vote.is_genuine(keys)", "False"),
    Mutant(
        "leader unsigned", C, "not keys.verify(source, leader.signing_bytes, signature)", "False"
    ),
    Mutant(
        "signed by members all the same",
        C,
        "        if certificate.signatures:",
        "        if False:",
    ),
    Mutant(
        "shared key unsigned",
        C,
        "not key.signed(leader.signing_bytes,",
        "key is None and (lambda *_: 0)(leader,",
    ),
    Mutant("key of nobody", C, "    if certificate.shared_signature:", "    if False:"),
    Mutant(
        "false seed",
        C,
        "if seed and (key is None or not key.signed(seed_bytes(view), seed))",
        "if False",
    ),
    Mutant(
        "own key in place of the share",
        C,
        "if configuration.cluster_key is not None:\n        return",
        "if False:\n        return",
    ),
    Mutant(
        "fewer shares are enough",
        C,
        "len(signatures) >= key.threshold",
        "len(signatures) + 1 >= key.threshold",
    ),
    Mutant(
        "fewer signatures are enough",
        C,
        "len(signatures) < configuration.quorum:\n        return None",
        "False:\n        return None",
    ),
    Mutant(
        "any share",
        "cluster_key",
        "self.public_shares[source], _digest",
        "self.public_shares[0], _digest",
    ),
    Mutant("digest of nothing", "cluster_key", "hashlib.sha256(data)", "hashlib.sha256()"),
    Mutant("leader from outside", C, "leader.leader not in leader.view.members", "False"),
    Mutant("any seed", C, "(configuration.rule is Rule.BEACON) != bool(seed)", "False"),
    Mutant("any leader before", C, "previous.hash != view.previous", "False"),
    Mutant(
        "votes before it recovered",
        P,
        "    if not promises.recovered:\n        return Reason.N",
        "    if False:\n        return Reason.N",
    ),
    Mutant(
        "any configuration is voted for",
        P,
        "view.configuration_hash != configuration.hash",
        "False",
    ),
    Mutant(
        "votes after it handed over",
        P,
        "    if promises.successor is not None:\n        return Reason",
        "    if False:\n        return Reason",
    ),
    Mutant(
        "grants after it handed over",
        P,
        "    if promises.successor is not None:\n        return Denied",
        "    if False:\n        return Denied",
    ),
    Mutant("hands over to two", P, "promises.successor not in (None, next_hash)", "False"),
    Mutant(
        "hands over in a later life",
        P,
        "if promises.floor == TERM_MAX or promises.successor",
        "if promises.successor",
    ),
    Mutant("says so in a later life", P, "    if promises.floor == TERM_MAX:\n", "    if False:\n"),
    Mutant("hands over unheard", P, "or promises.reserved_to != TERM_MAX", ""),
    Mutant(
        "hands over while it recovers",
        P,
        "def hand_over(promises: Promises, next_hash: bytes) -> Judged:",
        "def hand_over(promises: Promises, next_hash: bytes) -> Judged:\n    promises = replace(promises, recovered=True)",
    ),
    Mutant(
        "hands over within a lease",
        P,
        "if now_ms < max(promises.silent_to_ms, promises.granted_to_ms)",
        "if False",
    ),
    Mutant(
        "forgets its vote", P, "last_term=max(promises.floor, voted)", "last_term=promises.floor"
    ),
    Mutant("forgets its floor", P, "last_term=max(promises.floor, voted)", "last_term=voted"),
    Mutant(
        "successor begins anywhere",
        P,
        "recovered=True, floor=floor, asked",
        "recovered=True, asked",
    ),
    Mutant("successor forgets where it begins", P, "floor=floor, asked_to=floor", "floor=floor"),
    Mutant(
        "grants what a former life voted out",
        P,
        "if newest.view.term <= promises.floor",
        "if False",
    ),
    Mutant("lowest floor", "succession", "return max(handover", "return min(handover"),
    Mutant(
        "highest terms first",
        "succession",
        "key=lambda each: each.what.last_term",
        "key=lambda each: -each.what.last_term",
    ),
    Mutant("successor of fewer", "succession", "len(signed) >= configuration.quorum", "signed"),
    Mutant(
        "signers of a handover unchecked",
        "succession",
        "check_signers(action, sources, configuration)",
        "pass",
    ),
    Mutant("handover unsigned", "succession", "not handover.is_genuine(keys)", "False"),
    Mutant(
        "handover of any configuration",
        "succession",
        "said.configuration_hash != configuration.hash",
        "False",
    ),
    Mutant(
        "handover to any configuration",
        "succession",
        "said.next_hash != certificate.next_hash",
        "False",
    ),
    Mutant("votes for others' views", P, "promises.source not in view.members or", ""),
    Mutant("votes for strangers", P, " or view.members[-1] >= configuration.count", ""),
    Mutant("votes below a quorum", P, "len(view.members) < configuration.quorum", "False"),
    Mutant("votes below its floor", P, "if view.term <= promises.floor", "if False"),
    Mutant(
        "votes at its floor", P, "if view.term <= promises.floor", "if view.term < promises.floor"
    ),
    Mutant("votes twice", P, "voted is not None and view.term == voted.term", "False"),
    Mutant("goes back", P, "voted is not None and view.term < voted.term", "False"),
    Mutant(
        "votes in a led term", P, "newest is not None and view.term <= newest.view.term", "False"
    ),
    Mutant(
        "any leader before is voted for",
        P,
        "view.previous != (NOTHING_BEFORE if newest is None else newest.hash)",
        "False",
    ),
    Mutant("votes unreserved", P, "view.term > promises.reserved_to", "False"),
    Mutant(
        "votes during a lease",
        P,
        "now_ms < max(promises.silent_to_ms, 0 if stays else promises.granted_to_ms)",
        "False",
    ),
    Mutant(
        "forgets what it granted",
        P,
        "max(promises.silent_to_ms, 0 if stays else promises.granted_to_ms)",
        "promises.silent_to_ms",
    ),
    Mutant(
        "forgets former lives' grants",
        P,
        "max(promises.silent_to_ms, 0 if stays else promises.granted_to_ms)",
        "promises.granted_to_ms",
    ),
    Mutant("lease of a leader that stays", P, "0 if stays else", "0 if False else"),
    Mutant(
        "lease of nobody",
        P,
        "stays = newest is not None and newest.leader in view.members",
        "stays = newest is not None",
    ),
    Mutant("clocks are exact", P, "lease_ms + -(-2 * lease_ms // CLOCK_DRIFT_PARTS)", "lease_ms"),
    Mutant(
        "same number in every life",
        P,
        "incarnation=sealed.incarnation + 1",
        "incarnation=sealed.incarnation",
    ),
    Mutant(
        "believes its seal",
        P,
        "        recovered=False,\n        floor=TERM_MAX",
        "        recovered=True,\n        floor=TERM_MAX",
    ),
    Mutant("keeps what it had reserved", P, "floor=TERM_MAX", "floor=0"),
    Mutant(
        "forgets what it asked for",
        P,
        "asked_to=max(sealed.asked_to, sealed.reserved_to)",
        "asked_to=0",
    ),
    Mutant(
        "reserves without end",
        P,
        "term > max(promises.floor, promises.asked_to) + TERMS_AHEAD_MAX",
        "False",
    ),
    Mutant(
        "reserves while it recovers",
        P,
        "    if not promises.recovered:\n        return Denied(Reason.NOT_RECOVERED)\n    if term",
        "    if False:\n        return Denied(Reason.NOT_RECOVERED)\n    if term",
    ),
    Mutant("outbids its own copy", P, "promises.recovered or kept.boot == promises.boot", "False"),
    Mutant("outbids by nothing", P, "kept.incarnation + 1", "kept.incarnation"),
    Mutant(
        "outbids numbers only",
        P,
        "asked_to=max(promises.asked_to, kept.reserved_to)",
        "asked_to=promises.asked_to",
    ),
    Mutant("resumes below what was asked for", P, "floor=begun.asked_to", "floor=0"),
    Mutant(
        "resumes and asks all the same", P, "replace(begun, recovered=True, ", "replace(begun, "
    ),
    Mutant("registry is not counted", N, "after.registry != before.registry or ", ""),
    Mutant("terms are not counted", N, ", promises.asked_to", ", 0"),
    Mutant("lives are not counted", N, "promises.incarnation, promises.boot", "0, b''"),
    Mutant("counts before it seals", N, "        store(self._count + 1)\n", "        pass\n"),
    Mutant("seals with the old value", N, "store(self._count + 1)", "store(self._count)"),
    Mutant("copies go on", N, "value != self._count + 1", "False"),
    Mutant("forgets what it counted", N, "got=value)\n        self._count = value", "got=value)"),
    Mutant("counts everything", N, "if not counted", "if False"),
    Mutant("older is newest", N, "is_newest = value == self._count", "is_newest = True"),
    Mutant("one behind is newest", N, "value == self._count", "value - 1 <= self._count"),
    Mutant(
        "is not counted then",
        N,
        "value = self._counter.advance()\n        is",
        "value += 1\n        is",
    ),
    Mutant("power failure makes it old", N, "if value + 1 == self._count", "if False"),
    Mutant(
        "goes on from where it was",
        N,
        "        self._count = value\n        return",
        "        return",
    ),
    Mutant("old receipts count", P, "if receipt.reservation == own", "if True"),
    Mutant("its own receipt counts", P, "valid.pop(promises.source, None)", "pass"),
    Mutant("unrecovered receipts count", P, "if receipt.recovered]", "if True]"),
    Mutant("one receipt fewer", P, "configuration.quorum - 1", "configuration.quorum - 2"),
    Mutant("one receipt more", P, "configuration.quorum - 1", "configuration.quorum"),
    Mutant(
        "a quorum is enough to recover",
        P,
        "len(whole) >= configuration.recovery_quorum",
        "len(whole) >= configuration.quorum - 1",
    ),
    Mutant("cold starts unasked", P, "accepts_cold_start and len(valid)", "len(valid)"),
    Mutant("cold starts by some", P, "len(valid) == configuration.count - 1", "len(valid) >= 2"),
    Mutant("recovers below", P, "floor=own.reserved_to", "floor=0"),
    Mutant("older leader is learned", P, "newest.view.term >= certificate.term", "False"),
    Mutant(
        "any leader is granted a lease",
        P,
        "or newest.hash != grant.leader_hash",
        "",
    ),
    Mutant(
        "resigned leader is granted",
        P,
        "newest is None or promises.vacated or",
        "newest is None or",
    ),
    Mutant("resignations differ", P, "view.vacated != promises.vacated", "False"),
    Mutant(
        "next one has resigned too", P, "certificate.leader, vacated=False", "certificate.leader"
    ),
    Mutant("resigned leader stays", "choice", " and not view.vacated", ""),
    Mutant(
        "resigned leader follows", "choice", "others if view.vacated and others", "others if False"
    ),
    Mutant("grants after it voted", P, "promises.voted.term > newest.view.term", "False"),
    Mutant("anybody resigns for the leader", P, " or newest.leader != said.source", ""),
    Mutant("older life goes on", W, "if not (follows or goes_on) or", "if"),
    Mutant(
        "any copy goes on",
        W,
        "(new.incarnation, new.boot) == (newest.incarnation, newest.boot)",
        "new.incarnation == newest.incarnation",
    ),
    Mutant("begins below", W, " or new.reserved_to < known.highest.what.reserved_to", ""),
    Mutant("says nothing twice", W, "new.reserved_to < known", "new.reserved_to <= known"),
    Mutant(
        "liars alone unsettle", "tally", "configuration.liars_max + 1", "configuration.liars_max"
    ),
    Mutant("nothing is unstable", "tally", "if Standing.UNSTABLE in standings", "if False"),
    Mutant("old reports count", "tally", "known.sequence >= report.sequence", "False"),
    Mutant("observes itself", "tally", " or of_itself", ""),
    Mutant("observer counts twice", "tally", "report.echoed - report.down", "report.echoed"),
    Mutant(
        "echoes unsettle",
        "tally",
        "(self._down_by, report.down)",
        "(self._down_by, report.down | report.echoed)",
    ),
    Mutant("nobody joins", "tally", "report.echoed - report.down", "()"),
    Mutant(
        "who is gone counts",
        "tally",
        "self._down_by[subject] & observers",
        "self._down_by[subject]",
    ),
    Mutant("what was said stays", "tally", "self._count(known, add=False)", "pass"),
    Mutant(
        "who began anew still says it",
        "tally",
        "self._count(self._reports.pop(observer, None), add=False)",
        "self._reports.pop(observer, None)",
    ),
    Mutant("strangers count", "tally", "if strange or", "if"),
    Mutant(
        "all must see it",
        "tally",
        "min(configuration.count - configuration.faulty_max, configuration.count - 1)",
        "configuration.count - 1",
    ),
    Mutant("silence is an interval", "suspicion", "and self.phi(now_s) < PHI_MAX", ""),
    Mutant(
        "no slack",
        "suspicion",
        "max(math.sqrt(variance), self._slack_s)",
        "math.sqrt(variance) + 1e-9",
    ),
    Mutant(
        "deviation is not looked at",
        "suspicion",
        "max(math.sqrt(variance), self._slack_s)",
        "self._slack_s",
    ),
    Mutant(
        "votes below a quorum certify",
        "ballots",
        "len(votes) >= self._configuration.quorum",
        "votes",
    ),
    Mutant("votes are not checked", "ballots", "not vote.is_genuine(self._keys)", "False"),
    Mutant(
        "signatures are not checked",
        "ballots",
        "not is_signed_by(source, said.leader, said.signature, self._configuration, self._keys)",
        "False",
    ),
    Mutant(
        "seeds are not checked",
        "ballots",
        "not key.signed_share(source, seed_bytes(view), said.signature)",
        "False",
    ),
    Mutant("seed of fewer shares", "ballots", "len(shares) < key.threshold", "not shares"),
    Mutant("seed of any view", "ballots", " and kept[view.term].view == view", ""),
    Mutant(
        "seed of a decided term",
        "ballots",
        "self._seeds = [_above(term, kept) for kept in self._seeds]",
        "pass",
    ),
    Mutant(
        "false seed is elected by",
        "voter",
        "check_seed(certificate.view, seed, self._configuration)",
        "pass",
    ),
    Mutant("draws by any rule", "voter", " or self._configuration.rule is not Rule.BEACON", ""),
    Mutant(
        "draws for any view",
        "voter",
        "        check_view(certificate, self._configuration, self._keys)\n        if self._share",
        "        if self._share",
    ),
    Mutant(
        "signs leaders with its own key", "voter", "(self._share or self._signing)", "self._signing"
    ),
    Mutant(
        "seed is left out", "voter", "previous=newest, seed=seed)", "previous=newest, seed=b'')"
    ),
    Mutant(
        "two lives are one",
        "ballots",
        "TwoVotes(known, vote) if same_life else False",
        "TwoVotes(known, vote)",
    ),
    Mutant("floods are kept", "ballots", "if len(kept) > TERMS_MAX", "if False"),
    Mutant("one lifts the term", "ballots", "newest[self._configuration.liars_max]", "newest[0]"),
    Mutant("decided terms are kept", "ballots", "if each > term", "if True"),
    Mutant(
        "one grant is a lease",
        "leasing",
        "len(self._granted) >= self._configuration.quorum",
        "True",
    ),
    Mutant("old grants count", "leasing", "said.asked_ms != self._asked_ms or", ""),
    Mutant("grants are not checked", "leasing", "or not grant.is_genuine(self._keys)", ""),
    Mutant("grants for others", "leasing", "or said.leader_hash != self._leader.hash", ""),
    Mutant(
        "lease from when it is granted",
        "leasing",
        "self._asked_ms + self._configuration.lease_ms",
        "self._asked_ms + 2 * self._configuration.lease_ms",
    ),
    Mutant("never renewed", "leasing", "lease_ms // RENEWALS", "lease_ms * RENEWALS"),
    Mutant(
        "lease outlives the office",
        "leasing",
        "0 if leader is None else self._ends_ms",
        "self._ends_ms",
    ),
    Mutant(
        "lists need not stand",
        "watching",
        "now_s - self._settled_s < self._timing.settle_s",
        "False",
    ),
    Mutant("lists below a quorum", "watching", "len(observers) < self._quorum", "False"),
    Mutant(
        "repeats are heartbeats",
        "watching",
        "or heartbeat.sequence <= self._heard.get(source, -1)",
        "",
    ),
    Mutant(
        "everybody is sure",
        "watching",
        "standing is Standing.UP and member not in self._down",
        "standing is Standing.UP",
    ),
    Mutant(
        "the dead are welcome",
        "watching",
        "member in members and standing is Standing.DOWN",
        "False",
    ),
    Mutant(
        "the living are left out",
        "watching",
        "member not in members and standing is Standing.UP",
        "False",
    ),
    Mutant("lists without oneself", "watching", "if self._own not in members", "if False"),
    Mutant(
        "news are not looked at", "watching", "self._said.get(source) != (down, echoed)", "False"
    ),
    Mutant("the dead are not welcomed back", "watching", "if source in self._down or", "if"),
    Mutant("echoes at once", "watching", "now_s - since_s >= self._timing.echo_s and", ""),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
