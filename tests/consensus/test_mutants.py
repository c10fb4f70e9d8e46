"""Each of these broken machines must fail at least one rule: a survivor is a hole in the tests.

A mutant is the source of one pure module with one piece of text replaced; the modules that stand
on it are loaded anew over it. Equal text must occur exactly once, so a mutant cannot rot silently.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest
from tests.consensus.rules import RULES, Machine
from tests.mutants import Mutant, mutated_source, source_of

PACKAGE = "tetrarch.consensus"
LOADED_ANEW = ("tally", "justify", "qbft")  # in the order of their imports


MUTANTS = (
    Mutant("quorum one less", "tally", "quorum(node_count)", "quorum(node_count) - 1"),
    Mutant("quorum one more", "tally", "quorum(node_count)", "quorum(node_count) + 1"),
    Mutant("proofs need one less", "justify", "len(parts) >= quorum", "1 + len(parts) >= quorum"),
    Mutant(
        "round changes need one less",
        "justify",
        "len(changes) < quorum(node_count)",
        "len(changes) < quorum(node_count) - 1",
    ),
    Mutant("leader asks one less", "qbft", "len(changes) < self._quorum", "len(changes) < 2"),
    Mutant("f is enough to follow", "qbft", "len(higher) <= faulty", "len(higher) < faulty"),
    Mutant("follow to the highest", "qbft", "min(higher)", "max(higher)"),
    Mutant("own round change counts", "qbft", "self.round and source != self._own", "self.round"),
    Mutant(
        "sources may repeat in proofs",
        "justify",
        "return len(set(sources)) == len(sources)",
        "return True",
    ),
    Mutant(
        "evidence mixes values",
        "tally",
        "if vote is not None and vote.message.value_hash == value_hash:",
        "if vote is not None:",
    ),
    Mutant("contradictions go unseen", "tally", "known is not None and", "known is None and"),
    Mutant("votes are not bounded", "tally", "len(votes) >= PENDING_MAX", "len(votes) < 0"),
    Mutant("says twice", "qbft", "if (kind, self.round) in self._sent:", "if not kind:"),
    Mutant(
        "second proposal is taken",
        "qbft",
        "        if self.accepted is not None:\n            return effects",
        "        if self.accepted == message.value_hash:\n            return effects",
    ),
    Mutant(
        "past proposals are taken",
        "qbft",
        "        if message.round < self.round:\n            return effects\n",
        "",
    ),
    Mutant(
        "zero value proposed",
        "justify",
        "if not leads or message.value_hash == NO_VALUE:",
        "if not leads:",
    ),
    Mutant("anybody may lead", "justify", "if not leads or message", "if message"),
    Mutant("no proof after round 1", "justify", "== ROUND_FIRST:", ">= ROUND_FIRST:"),
    Mutant("lowest prepared round binds", "justify", "highest = max(", "highest = min("),
    Mutant("prepared value is forgotten", "qbft", "        self._prepared = found\n", ""),
    Mutant(
        "leader ignores what was prepared",
        "qbft",
        "self._input if best.message.prepared_round == 0 else best.message.prepared_hash",
        "self._input",
    ),
    Mutant("lowest prepared first", "qbft", "key=lambda change: -", "key=lambda change: "),
    Mutant(
        "round change may prepare its own round",
        "justify",
        "message.prepared_round >= message.round",
        "message.prepared_round > message.round",
    ),
    Mutant("other duties justify", "justify", "part.message.duty != message.duty", "not part"),
    Mutant("decision needs no proof of its value", "justify", "== value_hash\n", "!= b''\n"),
    Mutant("prepares without a check", "qbft", "verdict is not Verdict.OK or", "not verdict or"),
    Mutant("refusal is forgotten", "qbft", "self._refused.add(value_hash)", "pass"),
    Mutant("stale timers count", "qbft", "or round_ != self.round or", "or"),
    Mutant("never times out", "qbft", "return self._change_round(round_ + 1)", "return []"),
    Mutant("late nodes get no answer", "qbft", "return self._catch_up(message,", "return [] and ("),
    Mutant("answers equal rounds", "qbft", "and message.round > highest", "and True"),
    Mutant("answers without end", "qbft", "and answers < DECIDED_ANSWERS_MAX", ""),
    Mutant("decides twice", "qbft", "        self.decided = Decide(value_hash, round_)\n", ""),
    Mutant(
        "only own round commits",
        "qbft",
        "quorum(MessageType.COMMIT)",
        "quorum(MessageType.COMMIT, 1)",
    ),
    Mutant(
        "keeps accepting in the next round",
        "qbft",
        "        self.round = round_\n        self.accepted = self._proposal = None\n",
        "        self.round = round_\n",
    ),
    Mutant("votes need no proposal", "justify", "or len(parts) != 1", "or not parts"),
    Mutant(
        "anybody's proposal will do",
        "justify",
        "and proposal.source == leader(message.duty, message.round, node_count)",
        "and proposal.source >= 0",
    ),
    Mutant(
        "any proposal will do",
        "justify",
        "(proposal.round, proposal.value_hash) == (message.round, message.value_hash)",
        "proposal.round == message.round",
    ),
    Mutant(
        "two tales of a leader go unseen", "qbft", "if known == proposal.value_hash:", "if known:"
    ),
    Mutant(
        "dissent goes unseen",
        "qbft",
        'Blame(source, "commit_of_another_value") for source in dissenters',
        "Blame(source, str(round_)) for source in ()",
    ),
    Mutant(
        "early dissent goes unseen",
        "qbft",
        "        return [*self._blame_dissent(found[0], found[1]), *said]",
        "        return said",
    ),
    Mutant(
        "late dissent goes unseen", "qbft", "return asks or self._belies(", "return asks and bool("
    ),
    Mutant(
        "late dissent of other rounds is blamed", "qbft", "message.round == decided.round", "True"
    ),
    Mutant(
        "restart forgets its votes",
        "qbft",
        "self._sent[message.type, message.round] = message.value_hash",
        "pass",
    ),
    Mutant(
        "restart forgets its round", "qbft", "self.round = max(self.round, message.round)", "pass"
    ),
    Mutant("values consented to are dropped", "qbft", "        self._consent(value_hash)\n", ""),
)


@contextmanager
def mutated(mutant: Mutant) -> Iterator[Machine]:
    """The machine's class, loaded over the mutant's source; real modules are back afterwards."""
    names = [f"{PACKAGE}.{name}" for name in LOADED_ANEW]
    originals = {name: sys.modules[name] for name in names}
    try:
        for short, name in zip(LOADED_ANEW, names, strict=True):
            changed = short == mutant.module
            source = mutated_source(PACKAGE, mutant) if changed else source_of(name)
            module = ModuleType(name)
            sys.modules[name] = module
            exec(compile(source, name, "exec"), module.__dict__)
        machine: Machine = sys.modules[f"{PACKAGE}.qbft"].Qbft
        yield machine
    finally:
        sys.modules.update(originals)


def killer(machine: Machine) -> str | None:
    """The first rule that the machine breaks."""
    for rule in RULES:
        try:
            rule(machine)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return rule.__name__
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    with mutated(mutant) as machine:
        assert killer(machine) is not None, f"survived: {mutant.name}"


def test_unchanged_machine_survives_the_same_way_of_loading() -> None:
    same = Mutant("none", "qbft", "class Qbft:", "class Qbft:")
    with mutated(same) as machine:
        assert killer(machine) is None
