"""Goal: whatever befell nodes, each state that they prove is the chain's, and one that begins with it goes on in step.

Method: worlds with all the faults of ``test_ledger_world``, where some nodes forget old blocks, and one begins when all is
well, with a state of others.
"""

import os
from pathlib import Path
from random import Random

import pytest
from tests.ledger.state_world import GENESIS, change, live
from tests.ledger.test_chain import opened, run
from tests.ledger.test_checking import edited

from tetrarch.errors import PeerFault
from tetrarch.ledger.parameters import Mode
from tetrarch.sim.ledger_checkers import Broken
from tetrarch.sim.ledger_profile import LedgerProfile
from tetrarch.sim.ledger_states import check_states
from tetrarch.sim.ledger_world import lived
from tetrarch.sim.seeds import STATES_SEEDS_FAST, STATES_SEEDS_INTEGRATION, batches, seeds

FAST = seeds(os.environ, default=STATES_SEEDS_FAST)
MORE = seeds(os.environ, default=STATES_SEEDS_INTEGRATION, first=1_000)


def world(seed: int) -> None:
    outcome = lived(LedgerProfile.drawn_states(Random(f"{seed}/profile"), slots=60), seed=seed)
    assert outcome.states


@pytest.mark.parametrize("some", batches(FAST, size=5), ids=lambda some: f"{some.start}")
def test_what_must_hold_holds_whatever_happens(some: range) -> None:
    for seed in some:
        world(seed)


@pytest.mark.integration
@pytest.mark.parametrize("some", batches(MORE, size=20), ids=lambda some: f"{some.start}")
def test_what_must_hold_holds_in_more_worlds(some: range) -> None:
    for seed in some:
        world(seed)


FAILED = {
    3: "a state of short epochs was gone before it was asked for, and older ones were asked for then",
    132: "proofs, which each node has of its own, were asked of nodes that had them not",
}


@pytest.mark.parametrize("seed", FAILED, ids=FAILED.get)
def test_seeds_that_failed(seed: int) -> None:
    world(seed)


@pytest.mark.parametrize("mode", [Mode.BFT, Mode.PRAOS])
def test_who_comes_late_begins_with_a_state(mode: Mode) -> None:
    profile = LedgerProfile(
        mode=mode, slots=90, settle_slots=30, late=0, with_state=True, prunes=(1, 3)
    )
    outcome = lived(profile, seed=2)
    assert outcome.states >= 4
    late, pruned, whole, _ = outcome.lowest
    assert late > 0
    assert pruned > 0
    assert whole == 0
    assert min(outcome.finals) >= max(outcome.tips) - 2


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("DELETE FROM ledger_proofs WHERE height = 15", "needed"),
        ("DELETE FROM ledger_chunks WHERE number = 0 AND state = 19", "is not given"),
        ("UPDATE ledger_proofs SET content = zeroblob(9), id = zeroblob(32)", "read state proof"),
    ],
)
def test_the_checkers_can_fail(tmp_path: Path, query: str, reason: str) -> None:
    async def main() -> None:
        async with opened(tmp_path, GENESIS) as ledger:
            await live(ledger, 1, 24, changes={13: change()})
            assert await check_states([ledger.chain], [ledger.store], GENESIS) == 3
            before = await ledger.chain.giving.contents()
            assert before is not None
            edited(tmp_path, lambda connection: connection.execute(query))
            with pytest.raises((Broken, PeerFault), match=reason):
                await check_states([ledger.chain], [ledger.store], GENESIS)

    run(main())
