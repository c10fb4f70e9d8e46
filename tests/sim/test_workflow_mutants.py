"""Each of these broken nodes must break a rule within a few seeds: a survivor is a hole in the checkers.

A mutant is the source of some modules with pieces of text replaced; ``tetrarch.node`` is loaded
anew over them. Each piece must occur exactly once, so a mutant cannot rot silently.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import pytest
from tests import test_node
from tests.mutants import source_of

from tetrarch.sim.workflow_node import BuildNode
from tetrarch.sim.workflow_world import run_seed

SEEDS_MAX = 20


LOADED_ANEW = (  # in the order of their imports
    "duties.features",
    "duties.info_sync",
    "duties.proof_fetcher",
    "duties.value_check",
    "duties.dutydb",
    "duties.parsig_group",
    "duties.parsigdb",
    "duties.aggsigdb",
    "duties.slashing",
    "duties.votelog",
    "duties.retry",
    "duties.evidence",
    "duties.agreement",
    "duties.parsigex",
    "duties.sigagg",
    "duties.signer",
    "duties.broadcaster",
    "duties.exits",
    "duties.wire",
    "duties.resume",
    "duties.witnesses",
    "duties.forgotten",
    "duties.twins",
    "duties.safe_start",
    "duties.held",
    "node_parts",
    "node",
)


@dataclass(frozen=True)
class Mutant:
    name: str
    changes: tuple[tuple[str, str, str], ...]  # module, old text, new text
    first_seed: int = 0  # just before one that is known to kill it, to save time


STORE_EDGE = '    c.agreement.decided.subscribe(on("consensus>dutydb.store", c.dutydb.store))  # durable first\n'
SIGN_EDGE = '        c.agreement.decided.subscribe(on("consensus>signer.sign", c.signer.sign))\n'
SYNC_MESSAGES = "            *await self._messages(partials, messages_from_slot),\n"

MUTANTS = (
    Mutant(
        "signs before a quorum has answered",
        (("duties.safe_start", "return self._trusts or len", "return True or len"),),
        first_seed=3,
    ),
    Mutant(
        "believes signatures that nobody made",
        (
            (
                "duties.forgotten",
                "enumerate(partials) if position not in false)",
                "enumerate(partials))",
            ),
        ),
        first_seed=1372,
    ),
    Mutant(
        "asks nobody for its forgotten words",
        (
            ("duties.safe_start", "            await self._recall(peer)\n", ""),
            # Else a forgotten sync message tells first that the folder is old.
            ("duties.forgotten", SYNC_MESSAGES, ""),
        ),
        first_seed=100_144,
    ),
    Mutant(
        "hears of no sync message that it forgot",
        (("duties.forgotten", SYNC_MESSAGES, ""),),
        first_seed=101_314,
    ),
    Mutant(
        "does not learn what the peers prove",
        (
            (
                "duties.safe_start",
                "                await history.learn(slashable(proven))\n",
                "                pass\n",
            ),
        ),
        first_seed=3,
    ),
    Mutant(
        "signs before the decision is durable",
        (
            ("duties.wire", STORE_EDGE, ""),
            ("duties.wire", SIGN_EDGE, SIGN_EDGE + "    " + STORE_EDGE),
            ("node", '        "consensus>signer.sign",\n', ""),
        ),
    ),
    Mutant(
        "decision is not stored",
        (("duties.dutydb", "        await self._storage.write(transaction)\n", ""),),
    ),
    Mutant(
        "own partials are not stored",
        (
            (
                "duties.parsigdb",
                "lambda connection: rows.insert(connection, partial_set, Status.INTERNAL, now_s=now_s)",
                "lambda connection: None",
            ),
        ),
    ),
    Mutant(
        "one partial less is enough",
        (
            (
                "duties.parsig_group",
                "if len(same) >= threshold:",
                "if len(same) >= threshold - 1:",
            ),
            (
                "duties.parsig_group",
                "while len(rest) >= threshold:",
                "while len(rest) >= threshold - 1:",
            ),
        ),
    ),
    Mutant(
        "one partial more is needed",
        (
            (
                "duties.parsig_group",
                "if len(same) >= threshold:",
                "if len(same) > threshold:",
            ),
        ),
    ),
    Mutant(
        "payloads are mixed",
        (
            (
                "duties.parsig_group",
                "same = [p for p in rest if p.payload == payload]",
                "same = [p for p in rest if p.payload]",
            ),
        ),
        first_seed=25,
    ),
    Mutant(
        "aggregates twice",
        (
            (
                "duties.parsigdb",
                "            if group.aggregated or group.aggregating:\n",
                "            if group.aggregating and not group.aggregated:\n",
            ),
        ),
    ),
    Mutant(
        "false partials stay",
        (("duties.wire", "    c.sigagg.rejected.subscribe(on(", "    str(on("),),
        first_seed=2,
    ),
    Mutant(
        "nothing is sent again",
        (("duties.wire", "    c.scheduler.slots.subscribe(c.parsigex.resend)\n", ""),),
        first_seed=23,
    ),
    Mutant(
        "value is not checked",
        (
            (
                "duties.value_check",
                "    reason = misplaced(value, duty, facts)\n",
                "    if value:\n        return None\n    reason = misplaced(value, duty, facts)\n",
            ),
        ),
        first_seed=11,
    ),
    Mutant(
        "own view is not asked",
        (
            (
                "duties.agreement",
                "        view = await self._evidence.own_view(duty, fresh=False)\n",
                "        view = None\n",
            ),
        ),
        first_seed=95,
    ),
    Mutant(
        "randao reveal is believed",
        (
            (
                "duties.evidence",
                "return reveal if await self._verifies(item.pubkey, payload, reveal) else",
                "return reveal if reveal else",
            ),
        ),
        first_seed=106,
    ),
    Mutant(
        "set that leaves validators out is voted for at once",
        (("duties.agreement", "round_ <= self._complete_rounds", "round_ <= 0"),),
        first_seed=11,
    ),
    Mutant(
        "slashing guard of the group is skipped",
        (
            (
                "duties.slashing",
                "isinstance(v, Refused)",
                "isinstance(v, Refused) and not v",
            ),
            (
                "duties.slashing",
                "if isinstance(verdict, Refused)",
                "if isinstance(verdict, Refused) and not verdict",
            ),
        ),
        first_seed=332,
    ),
    Mutant(
        "votes are forgotten in a crash",
        (
            (
                "duties.votelog",
                "        return tuple(\n            Vote(",
                "        return () and tuple(\n            Vote(",
            ),
            # Else the peers tell, and the node keeps silent.
            ("duties.safe_start", "            await self._recall(peer)\n", ""),
        ),
        first_seed=54,
    ),
    Mutant(
        "a full disk stops the vote log",
        (
            (
                "duties.votelog",
                "            except Transient:\n",
                "            except ZeroDivisionError:\n",
            ),
        ),
    ),
    Mutant(
        "a full disk stops the end of a duty",
        (
            (
                "duties.parsigdb",
                "        except Transient as error:  # the next start does it\n",
                "        except ZeroDivisionError as error:\n",
            ),
        ),
        first_seed=2,
    ),
    Mutant(
        "stored group signature is not submitted after a crash",
        (
            (
                "duties.resume",
                "            if stored.left:\n",
                "            if stored.left == 1:\n",
            ),
        ),
        first_seed=1008,
    ),
    Mutant(
        "submission is noted before it is made",
        (
            (
                "duties.broadcaster",
                "        match signed_set.duty.type:\n",
                "        await self.submitted.emit(signed_set)\n        match signed_set.duty.type:\n",
            ),
        ),
        first_seed=13,
    ),
    Mutant(
        "steps are not tried again",
        (
            (
                "duties.retry",
                "                self._log.debug(",
                "                break\n                self._log.debug(",
            ),
        ),
        first_seed=1,
    ),
    Mutant(
        "exits are published unasked",
        (("duties.exits", "        if not self._signs_by_itself:\n", "        if self._clock:\n"),),
    ),
    Mutant(
        "exits of a former life are forgotten",
        (("node", "        await c.exits.load(c.aggsigdb)\n", ""),),
        first_seed=23,
    ),
    Mutant(
        "requests wait for ever",
        (
            (
                "duties.wire",
                "        c.scheduler.slots.subscribe(c.requested.start_due)\n",
                "        pass\n",
            ),
        ),
    ),
    Mutant(
        "a feature is used before all take it",
        (
            (
                "duties.features",
                "for name in known if not without[name]",
                "for name in known if name",
            ),
        ),
    ),
    Mutant(
        "several contributions are sent without an agreement",
        (
            (
                "duties.proof_fetcher",
                "one_each = not self.features.may_send(PLURAL_CONTRIBUTIONS)",
                "one_each = False",
            ),
        ),
    ),
    Mutant(
        "builders are asked against a node's will",
        (
            (
                "duties.features",
                "len(result.supporters(PROPOSAL, BUILDER)) == len(result.sources)",
                "len(result.supporters(PROPOSAL, BUILDER)) > 0",
            ),
        ),
    ),
    Mutant(
        "an agreement is forgotten",
        (
            (
                "duties.info_sync",
                "        if duty.slot > self._agreed.slot:\n",
                "        if not duty:\n",
            ),
        ),
    ),
    Mutant(
        "nobody is asked",
        (
            (
                "duties.info_sync",
                "                for node in missing:\n",
                "                for node in ():\n",
            ),
        ),
    ),
    Mutant(
        "ended duties are kept",
        (("duties.wire", "    c.deadlines.expired.subscribe(c.parsigdb.expire)\n", ""),),
        first_seed=1,
    ),
)

# A node that comes back hears from its peers what was decided, and signs it for that: 180 seeds show
# no difference. What a life with silent peers shows is in ``tests.test_node``.
RESUMES_NOTHING = Mutant(
    "decided before a crash is not signed after it",
    (
        (
            "duties.resume",
            "            if c.signer is not None and not signed:\n",
            "            if c.signer is not None and not duty:\n",
        ),
    ),
)


@contextmanager
def mutated(mutant: Mutant) -> Iterator[BuildNode]:
    """The node's class over the mutant's sources; real modules are back afterwards."""
    names = [f"tetrarch.{name}" for name in LOADED_ANEW]
    originals = {name: sys.modules[name] for name in names}
    try:
        for name in names:
            source = source_of(name)
            for module, old, new in mutant.changes:
                if name == f"tetrarch.{module}":
                    assert source.count(old) == 1, f"{mutant.name}: not exactly once: {old}"
                    source = source.replace(old, new)
            sys.modules[name] = ModuleType(name)
            exec(compile(source, name, "exec"), sys.modules[name].__dict__)
        build: BuildNode = sys.modules["tetrarch.node"].Node
        yield build
    finally:
        sys.modules.update(originals)


def killing_seed(build: BuildNode, first_seed: int) -> int | None:
    """The first seed on which the node breaks a rule."""
    for seed in range(first_seed, first_seed + SEEDS_MAX):
        try:
            run_seed(seed, build=build)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return seed
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    with mutated(mutant) as build:
        assert killing_seed(build, mutant.first_seed) is not None, f"survived: {mutant.name}"


def test_node_that_does_not_resume_is_noticed_in_its_next_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = test_node.test_decision_of_a_former_life_is_signed_exchanged_combined_and_submitted
    same = Mutant("none", (("duties.resume", "class Resumption:", "class Resumption:"),))
    with mutated(same) as build:
        monkeypatch.setattr(test_node, "Node", build)
        life()
    with mutated(RESUMES_NOTHING) as build:
        monkeypatch.setattr(test_node, "Node", build)
        with pytest.raises(AssertionError):
            life()


def test_unchanged_node_survives_the_same_way_of_loading() -> None:
    same = Mutant("none", (("duties.parsigdb", "class ParSigDB:", "class ParSigDB:"),))
    with mutated(same) as build:
        for seed in range(3):
            run_seed(seed, build=build)
