"""Each of these broken rules must fail at least one explicit claim: a survivor is a hole in the tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.network.overlay"
K, N, S, G = "known", "nodes", "spreading", "greeting"

MUTANTS = (
    Mutant("one observer is enough", "observed", "count >= AGREEING_MIN and", ""),
    Mutant("a few may agree", "observed", "and 2 * count > len(self._words)", ""),
    Mutant("a network counts twice", "observed", "group = observer.group", "group = str(observer)"),
    Mutant("reached by one", "observed", "if len(self._reached_from) < AGREEING_MIN:", "if False:"),
    Mutant(
        "reached from one network",
        "observed",
        "self._reached_from.add(observer.group)",
        "self._reached_from.add(str(observer))",
    ),
    Mutant(
        "reached elsewhere",
        "observed",
        "if address != self._candidate or address == self.confirmed:",
        "if address == self.confirmed:",
    ),
    Mutant(
        "what was reached before counts", "observed", "        self._reached_from.clear()\n", ""
    ),
    Mutant("words without end", "observed", "if len(self._words) > OBSERVERS_MAX:", "if False:"),
    Mutant(
        "any address is a word",
        "observed",
        "        if not may_be_told(",
        "        if False and may_be_told(",
    ),
    Mutant("old words count", "trusted_tips", "now_s - tip.told_s > FRESH_S", "False"),
    Mutant(
        "said each time",
        "trusted_tips",
        "self.verdict is not None and before is None",
        "self.verdict is not None",
    ),
    Mutant("forks are unknown", "trusted_tips", "is_known=depth is not None", "is_known=False"),
    Mutant("own place counts", "ring", "if other != node:", "if True:"),
    Mutant(
        "no way around", "ring", "self._places[index % size]", "self._places[min(index, size - 1)]"
    ),
    Mutant("old is new", K, "if profile.time_s <= before.time_s:", "if False:"),
    Mutant(
        "networks without end",
        K,
        "if self._groups[group] >= self._limits.of_group_max:",
        "if False:",
    ),
    Mutant(
        "who moves is not counted",
        K,
        "if group != group_before and self._groups[group] >= self._limits.of_group_max:",
        "if False:",
    ),
    Mutant(
        "talkers without end",
        K,
        "self._introduced[introducer] >= self._limits.of_introducer_max",
        "False",
    ),
    Mutant("own word counts as another's", K, "if introducer != node and (", "if True and ("),
    Mutant("met is not met", K, "if introducer is not None:", "if False:"),
    Mutant(
        "sets without end",
        K,
        "if len(self._profiles) >= self._limits.nodes_max and",
        "if False and",
    ),
    Mutant("views make room", K, " and not self._held(node)", ""),
    Mutant("the living make room", K, "profiles[node].time_s <= heard_until_s and", ""),
    Mutant(
        "wanted is nothing", K, "(0 if wanted else self._limits.silent_s)", "self._limits.silent_s"
    ),
    Mutant("the newest makes room", K, "oldest = min(free", "oldest = max(free"),
    Mutant("banned is heard", N, "if profile.node in self._bans:", "if False:"),
    Mutant("future is heard", N, "if self._rules.is_ahead(profile, now_s):", "if False:"),
    Mutant("no future", "policy", "> now_s + self.profile_ahead_max_s", "> now_s"),
    Mutant(
        "past is heard",
        "policy",
        "return profile.time_s <= now_s - self.profile_age_max_s",
        "return False",
    ),
    Mutant(
        "any address",
        "policy",
        "return may_be_told(profile.address, private_allowed=self.private_addresses)",
        "return True",
    ),
    Mutant("an address is of use", N, "return self._rules.has_use(profile)", "return True"),
    Mutant("own profile", N, "if profile.node == self._own:", "if False:"),
    Mutant("one failure", "policy", ">= self.failures_max", ">= 1"),
    Mutant(
        "failures do not count",
        "policy",
        "if len(conduct.failures_s) >= self.failures_max:",
        "if False:",
    ),
    Mutant("faults do not count", "policy", 'return "score" if is_bad else None', "return None"),
    Mutant(
        "fewer still",
        "policy",
        "points <= self.quarantine_at_points",
        "points < self.quarantine_at_points",
    ),
    Mutant(
        "alone is no excuse",
        N,
        "met_s is not None and now_s - met_s <= self._rules.alone_after_s",
        "True",
    ),
    Mutant(
        "named is put aside",
        N,
        "reason is not None and not self._whitelist(profile)",
        "reason is not None",
    ),
    Mutant(
        "longest first",
        "policy",
        "return min(self.quarantine_max_s",
        "return max(self.quarantine_max_s",
    ),
    Mutant("never longer", "policy", "* 2.0 ** min(times_before, 32)", ""),
    Mutant("no time of quarantine", N, "if now_s < quarantine.until_s:", "if False:"),
    Mutant("still bad is forgiven", N, "if self._rules.is_bad(conduct, now_s=now_s):", "if False:"),
    Mutant(
        "the silent come back",
        N,
        "elif not self._quarantines.is_renewed(node, now_s=now_s):",
        "elif False:",
    ),
    Mutant(
        "stale words renew",
        "quarantines",
        "if self._rules.is_stale(quarantine.profile, now_s):",
        "if False:",
    ),
    Mutant(
        "nobody comes back",
        N,
        "elif not self._quarantines.is_renewed(node, now_s=now_s):",
        "elif True:",
    ),
    Mutant("old words renew", "quarantines", "profile.time_s > since_s", "profile.time_s > 0"),
    Mutant(
        "newest word is lost",
        "quarantines",
        "if profile.time_s > quarantine.profile.time_s:",
        "if True:",
    ),
    Mutant("showing itself is nothing", "quarantines", "quarantine.reason != UNREACHABLE", "True"),
    Mutant("showing itself is all", "quarantines", " or quarantine.reason != UNREACHABLE", ""),
    Mutant(
        "shown and not heard",
        "quarantines",
        "return quarantine.ended or quarantine",
        "return quarantine",
    ),
    Mutant(
        "put aside and known",
        N,
        "        self.known.remove(profile.node)\n\n    def _judge_q",
        "        pass\n\n    def _judge_q",
    ),
    Mutant(
        "put aside and a guest",
        N,
        "        self._guests.pop(profile.node, None)\n        self.known.remove(profile.node)\n\n",
        "        self.known.remove(profile.node)\n\n",
    ),
    Mutant(
        "guests are not judged",
        N,
        "elif node in self._guests:\n            self._judge_available",
        "elif node in self._guests:\n            self._guests.get",
    ),
    Mutant(
        "a guest says what it is not asked",
        N,
        "if before is not None and profile.time_s > before.time_s:",
        "if profile:",
    ),
    Mutant(
        "an older word counts",
        N,
        "if before is not None and profile.time_s > before.time_s:",
        "if before is not None:",
    ),
    Mutant(
        "known and a guest",
        N,
        "            self._guests.pop(profile.node, None)\n        heard",
        "        heard",
    ),
    Mutant(
        "a guest stays for ever", N, "if self._guests.pop(node, None) is not None:", "if False:"
    ),
    Mutant(
        "a linked node is let go",
        N,
        "if is_linked and node in self._conducts and",
        "if False and",
    ),
    Mutant(
        "no TLS is taken",
        "policy",
        "if not profile.certificate and not self.plain_nodes:",
        "if False:",
    ),
    Mutant(
        "the quarantined are welcome",
        N,
        "if node in self.known or node in self.quarantined:\n            return\n        self._guests",
        "if node in self.known:\n            return\n        self._guests",
    ),
    Mutant(
        "forgotten is remembered",
        N,
        "        self._conducts.pop(node, None)\n        self._guests.pop(node, None)\n        self.known",
        "        self._guests.pop(node, None)\n        self.known",
    ),
    Mutant(
        "the silent are kept",
        N,
        "if self._rules.is_stale(profile, now_s) and not self._whitelist(profile):",
        "if False:",
    ),
    Mutant(
        "the named are dropped",
        N,
        "if self._rules.is_stale(profile, now_s) and not self._whitelist(profile):",
        "if self._rules.is_stale(profile, now_s):",
    ),
    Mutant(
        "quarantines without end",
        "quarantines",
        "len(self._by_node) >= self._rules.quarantined_max",
        "False",
    ),
    Mutant(
        "a place for a second time", "quarantines", "if node not in self._by_node and len", "if len"
    ),
    Mutant("whoever makes room stays", N, "if crowded is not None:", "if False:"),
    Mutant(
        "a crowd ends other quarantines", "quarantines", "min(crowd, key", "min(self._by_node, key"
    ),
    Mutant(
        "bans without end",
        N,
        "if node not in self._bans and len(self._bans) >= BANS_MAX:",
        "if False:",
    ),
    Mutant("a ban counts twice", N, "if node not in self._bans and len", "if len"),
    Mutant("a ban that forgets", N, "self._bans[node] = Ban(reason, now_s)", "pass"),
    Mutant("always both ways", S, "if after <= before:", "if True:"),
    Mutant("only onward", S, "if before <= after:", "if False:"),
    Mutant(
        "back to its source",
        S,
        "            known.holders.add(source)\n        known.holders.update(self._ow",
        "            pass\n        known.holders.update(self._ow",
    ),
    Mutant(
        "twice along a link",
        S,
        "            known.holders.add(peer)\n            effects.append(Send",
        "            effects.append(Send",
    ),
    Mutant(
        "given on each time",
        S,
        "            known.holders.add(peer)\n            return []",
        "            pass",
    ),
    Mutant("no shortcuts", S, "min(shortcuts, len(others))", "0"),
    Mutant("large is sent", S, "sent = size_bytes <= self._rules.sent_max_bytes", "sent = True"),
    Mutant(
        "asked of all",
        S,
        "            elif len(self._asked) < ASKED_MAX and",
        "            if len(self._asked) < ASKED_MAX and",
    ),
    Mutant("asks without end", S, "len(self._asked) < ASKED_MAX and ", ""),
    Mutant("one may owe all", S, " and self._owed_by[peer] < OWED_OF_PEER_MAX", ""),
    Mutant("what came is owed", S, "self._owed_by[peer] -= 1", "pass"),
    Mutant("waits for ever", S, "if asked.until_s <= now_s", "if False"),
    Mutant("nobody else is asked", S, "if not asked.others:", "if True:"),
    Mutant("withheld is no fault", S, "effects.append(Withheld(peer, item))", "pass"),
    Mutant("who is slow is blamed", S, "now_s + self._rules.withheld_after_s", "now_s + 0.5"),
    Mutant(
        "late is withheld",
        S,
        "        self._settle(peer, item)\n        known",
        "        known",
    ),
    Mutant("owed anew", S, "if (peer, item) not in self._owed:", "if True:"),
    Mutant("owed without end", S, "if len(self._owed) > OWED_MAX:", "if False:"),
    Mutant(
        "the gone owe",
        S,
        "            self._settle(peer, item)\n        for",
        "            pass\n        for",
    ),
    Mutant(
        "the gone are waited for",
        S,
        "                asked.until_s = 0.0\n",
        "                pass\n",
    ),
    Mutant(
        "false is withheld",
        S,
        "        self._settle(peer, item)\n\n    def left",
        "\n    def left",
    ),
    Mutant(
        "refused is here",
        S,
        "        self._asked.pop(item, None)\n        self._settle",
        "        self._asked.get(item)\n        self._settle",
    ),
    Mutant("late for ever", S, "self._late[0][0] < now_s - self._rules.late_for_s", "False"),
    Mutant("told all at once", S, "if now_s >= self._tell_s:", "if True:"),
    Mutant("told who has it", S, "if peer not in self._items[item].holders)", ")"),
    Mutant("remembered for ever", S, "if len(self._items) > REMEMBERED_MAX:", "if False:"),
    Mutant(
        "strangers are answered",
        "topology",
        "is_welcome = is_guest or sender in self._known",
        "is_welcome = True",
    ),
    Mutant(
        "newcomers wait", "topology", "if answered and greeted and is_welcome and", "if False and"
    ),
    Mutant("all are newcomers", "topology", " and len(self._known) < NEWCOMER_KNOWS", ""),
    Mutant("newcomers ask on and on", "topology", "if answered and greeted and", "if answered and"),
    Mutant(
        "guests are told nothing",
        "topology",
        "is_welcome = is_guest or sender in self._known",
        "is_welcome = sender in self._known",
    ),
    Mutant(
        "guests are strangers",
        "machine",
        "is_guest=sender in self.nodes.guests",
        "is_guest=False",
    ),
    Mutant(
        "answers are answered", "topology", "answered = sender in self._begun", "answered = False"
    ),
    Mutant("answers without end", "topology", "and self._answered[sender] < ANSWERS_MAX:", ":"),
    Mutant(
        "told of itself",
        "topology",
        "for known_to_it in (node, own.node, *given):",
        "for known_to_it in ():",
    ),
    Mutant("messages without end", "topology", "[:room]", "[:]"),
    Mutant("who begins keeps itself", "topology", "given += [sender] * bool(given)", "pass"),
    Mutant("a link begins nothing", "topology", "        self._begun.add(node)\n", ""),
    Mutant(
        "a link tells all",
        "topology",
        "        return Gossip(own, (), ())\n",
        "        return self._gossip(own, self._known.profiles[node], swap=False)\n",
    ),
    Mutant("crowds at the door", "doors", "self._unproven.total() >= limits.unproven_max", "False"),
    Mutant(
        "one address at the door",
        "doors",
        "or unproven >= limits.unproven_of_address_max",
        "or False",
    ),
    Mutant("one address inside", "doors", "if callers >= limits.of_address_max or", "if"),
    Mutant("short visits are free", "doors", "self._held[door, proven] += 1", "pass"),
    Mutant("errors are free", "doors", "max(entered_s + least_s, until_s)", "entered_s + least_s"),
    Mutant("places for ever", "doors", "self._held_until[0][0] <= now_s", "False"),
    Mutant("a customer of many doors", "doors", "(ip, IPV6_GROUP_BITS)", "(ip, 128)"),
    Mutant("crowds of one address", "crowds", "while len(crowd) >", "while False and len(crowd) >"),
    Mutant(
        "crowds without end", "crowds", "while len(waiting) -", "while False and len(waiting) -"
    ),
    Mutant("the youngest go", "crowds", "gone.append(crowd.popleft())", "gone.append(crowd.pop())"),
    Mutant("callers are cut", "crowds", "if caller not in talking]", "]"),
    Mutant("rules without bounds", "tuning", "bounds.lowest <= value <= bounds.highest and", ""),
    Mutant("half a failure", "tuning", "not bounds.whole or float(value).is_integer()", "True"),
    Mutant("faults cost what they did", "tuning", ", **faults}", "}"),
    Mutant("no end of messages", "pace", "if left < 0:", "if False:"),
    Mutant(
        "a bucket without brim",
        "pace",
        "min(self._tokens_max, bucket.tokens + gained)",
        "bucket.tokens + gained",
    ),
    Mutant("what is asked for costs", "pace", "min(tokens, bucket.asked)", "0.0"),
    Mutant("asked once, said for ever", "pace", "bucket.asked -= from_asked", "pass"),
    Mutant(
        "time runs back",
        "pace",
        "max(0.0, now_s - bucket.filled_s)",
        "abs(now_s - bucket.filled_s)",
    ),
    Mutant(
        "buckets without end",
        "pace",
        "if len(self._buckets) >= BUCKETS_MAX:\n                self",
        "if False:\n                self",
    ),
    Mutant(
        "all buckets go",
        "pace",
        "if bucket.tokens >= self._tokens_max and not bucket.asked:",
        "if True:",
    ),
    Mutant("what was asked for is forgotten", "pace", " and not bucket.asked:", ":"),
    Mutant("no end of callers", "doors", "self._callers.total() >= limits.callers_max", "False"),
    Mutant("half warn", "forks", "if 2 * count <= len(told):", "if 2 * count < len(told):"),
    Mutant("warns at once", "forks", "if now_s - since_s >= self._lasting_s:", "if True:"),
    Mutant("any depth", "forks", "fork_depth > depth_max", "fork_depth > 0"),
    Mutant("any height", "forks", "height > own_height + depth_max", "height > own_height"),
    Mutant("any chain", G, "if theirs.block0 != block0:", "if False:"),
    Mutant("any version", G, "if theirs.version != VERSION:", "if False:"),
    Mutant("anybody", G, "if expected is not None and theirs.node != expected:", "if False:"),
    Mutant("oneself", G, "if theirs.node == own:", "if False:"),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
