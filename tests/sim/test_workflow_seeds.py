"""Goal: whatever the network, beacon nodes, disks, crashes, clocks and up to f liars do, nothing
slashable is signed, honest nodes agree, and every duty is done in time once all heals.

Method: whole nodes on a virtual clock, from scheduler to beacon node, enclave included; each seed
draws its own faults. A failure prints how to replay it:
``python -m tetrarch.sim --workflow --seed N --show``.
"""

import os

import pytest
from tests.sim.replaying import replayed

from tetrarch.sim.beacon_liars import Lie
from tetrarch.sim.seeds import (
    WORKFLOW_SEEDS_FAST,
    WORKFLOW_SEEDS_INTEGRATION,
    batches,
    seeds,
    uses_real_crypto,
)
from tetrarch.sim.workflow_profile import NEVER_S, Kind, draw
from tetrarch.sim.workflow_world import run_seed

SOAK_SEEDS = 5_000
SOAK_BATCH = 25

# Seeds that once failed, with what they found.
REGRESSIONS = {
    2: "a full disk stopped the node at its next vote",
    6: "own partials left the node before they were durable; later, with lying beacon nodes, what"
    " one of them said alone was kept for the epoch",
    24: "rounds of an agreement ran out while nodes still waited for a mute peer's statement",
    100_144: "an old folder signed another sync message than before its backup",
    101_314: "an old folder that had signed nothing but a sync message since its backup signed another",
    201: "a node restored from a backup had signed nothing since, and contradicted its own votes",
    100_028: "an honest leader asked a slow beacon node for one aggregate after the other",
    103_912: "the checker asked for duties of a restored node that its disk kept from starting",
    104_796: "a node answered into a one-way cut until its answers were used up, and never after it",
    1070: "what one beacon node took and lost never reached those that were down then",
    1125: "beacon nodes that were back stayed unnoticed for up to a minute",
    1237: "validators that were unknown for a while missed their turn in the sync committee",
    392: "a node that had waited for its disk sent a payload that no peer reads",
    58: "a group signature that was stored just before a crash was never submitted",
    87: "a group signature made before the node's own decision was forgotten in a crash",
}


@pytest.mark.parametrize("seed", seeds(os.environ, default=WORKFLOW_SEEDS_FAST))
def test_cluster_does_its_duties(seed: int) -> None:
    run_seed(seed, real_crypto=uses_real_crypto(seed))


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_seed_that_once_failed(seed: int) -> None:
    run_seed(seed)


@pytest.mark.integration
@pytest.mark.parametrize("seed", seeds(os.environ, default=WORKFLOW_SEEDS_INTEGRATION, first=1_000))
def test_cluster_does_its_duties_on_more_seeds(seed: int) -> None:
    run_seed(seed, real_crypto=uses_real_crypto(seed))


@pytest.mark.soak
@pytest.mark.parametrize(
    "some", batches(seeds(os.environ, default=SOAK_SEEDS, first=100_000), size=SOAK_BATCH), ids=str
)
def test_cluster_does_its_duties_for_hours(some: range) -> None:
    for seed in some:
        run_seed(seed, real_crypto=uses_real_crypto(seed))


def test_seeds_cover_every_fault() -> None:
    """The swarm must not have gone to sleep."""
    profiles = [draw(seed) for seed in range(WORKFLOW_SEEDS_FAST)]
    assert {kind for p in profiles for _, kind in p.liars} == set(Kind)
    assert {liar.lie for p in profiles for liar in p.beacon_liars if liar} == set(Lie)
    assert any(p.beacon_liars[0] is None for p in profiles)
    assert {p.attest_on_head for p in profiles} == {True, False}
    assert {p.node_count for p in profiles} == {3, 4, 5, 7}
    assert any(crash.at_write > 0 and crash.after_commit for p in profiles for crash in p.crashes)
    assert any(
        crash.at_write > 0 and not crash.after_commit for p in profiles for crash in p.crashes
    )
    assert any(crash.backup_s is not None for p in profiles for crash in p.crashes)
    assert any(p.partitions for p in profiles)
    updated = [{p.upgrade_s[node] for node in p.honest} for p in profiles]
    assert any({0.0, NEVER_S} <= moments for moments in updated)  # two versions to the end
    assert any(max(moments) < NEVER_S and len(moments) > 2 for moments in updated)  # one by one
    assert any({p.builders[node] for node in p.honest} == {True, False} for p in profiles)
    assert any(p.full_disks for p in profiles)
    assert any(ask.too_few for p in profiles for ask in p.asks)
    assert any(ask.broadcast and p.crashes and p.liars for p in profiles for ask in p.asks)
    assert any(p.faults.loss > 0.3 for p in profiles)
    assert any(max(p.offsets_s) > 0.1 for p in profiles)
    for fault in ("forked", "head_lag", "error_rate", "submit_error_rate"):
        assert any(getattr(beacon, fault) for p in profiles for beacon in p.beacon), fault
    assert sum(map(uses_real_crypto, range(WORKFLOW_SEEDS_FAST))) * 10 >= WORKFLOW_SEEDS_FAST


def test_equal_seed_gives_an_equal_run_and_another_seed_another() -> None:
    first, second = run_seed(17), run_seed(17)
    assert first == second
    assert run_seed(18).digest != first.digest


def test_equal_seed_gives_an_equal_run_in_processes_with_other_hash_seeds() -> None:
    """Sets and dicts of bytes must not leak their order into a run."""
    first = replayed("--workflow", "--seed", "20", hash_seed=1)
    assert first == replayed("--workflow", "--seed", "20", hash_seed=2)
    assert "digest=" in first


def test_replay_shows_one_line_per_event() -> None:
    lines: list[str] = []
    outcome = run_seed(1, show=lines.append)
    assert len(lines) == outcome.events_count
    assert any("partials" in line and "/attester" in line for line in lines)
    assert any("report" in line and "done" in line for line in lines)
