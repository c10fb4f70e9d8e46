"""Goal: there is no commit at which a node may not lose power.

Method: a quiet run of whole nodes tells which kinds of transactions there are; then one run for each
kind, in which a node dies in that very write, before or after it reached the disk, and comes back.
The checkers of the workflow's seeds judge each run: nothing slashable, nothing contradicted,
nothing durable lost, every duty done once it is back. New transactions are found by themselves.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tetrarch.sim.beacon_node import BeaconFaults
from tetrarch.sim.chain import SLOTS_PER_EPOCH
from tetrarch.sim.network import Faults
from tetrarch.sim.workflow_profile import SLOT_S, Ask, Crash, Profile
from tetrarch.sim.workflow_world import run_seed

NODES = 4
EPOCH_S = SLOTS_PER_EPOCH * SLOT_S
FIRST_S = EPOCH_S / 2
BACK_AFTER_S = EPOCH_S  # transactions that come once an epoch must have come
SEED = 5
EXIT_EPOCH = 50  # long over in the run's first slot
KINDS_MIN = 16  # of transactions in a quiet run


def quiet(*crashes: Crash) -> Profile:
    """Four honest nodes, short delays, something asked for, and no trouble but ``crashes``."""
    heal_s = max([2 * EPOCH_S, *(crash.back_s + 1 for crash in crashes)])
    return Profile(
        node_count=NODES,
        validator_count=3,
        heal_s=heal_s,
        faults=Faults(),
        beacon=(BeaconFaults(),) * NODES,
        offsets_s=(0.0,) * NODES,
        commit_s=0.02,
        liars=(),
        crashes=crashes,
        partitions=(),
        full_disks=(),
        upgrade_s=(0.0,) * NODES,
        builders=(True,) * NODES,
        asks=tuple(
            ask
            for node in range(NODES)
            for ask in (
                Ask(node=node, at_s=FIRST_S, position=0, epoch=EXIT_EPOCH, broadcast=True),
                Ask(node=node, at_s=FIRST_S, position=0, timestamp_s=24),
            )
        ),
        beacon_liars=(None,) * NODES,
        attest_on_head=False,
    )


def crashes_in(kind: str, *, write: int, after_commit: bool) -> Crash:
    return Crash(
        node=0,
        at_s=FIRST_S,
        back_s=FIRST_S + BACK_AFTER_S,
        at_write=write,
        after_commit=after_commit,
        write_kind=kind,
    )


RESTORED = Crash(
    node=0,
    at_s=FIRST_S,
    back_s=FIRST_S + 2,
    at_write=0,
    after_commit=False,
    backup_s=FIRST_S - 2 * SLOT_S,
)


@pytest.mark.integration
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("write", [1, 3])
def test_node_survives_a_crash_in_every_kind_of_commit(
    write: int, tell: Callable[[object], None]
) -> None:
    kinds = run_seed(SEED, profile=quiet()).written
    assert len(kinds) >= KINDS_MIN
    died = [
        (kind, after)
        for kind in kinds
        for after in (False, True)
        if died_in(quiet(crashes_in(kind, write=write, after_commit=after)), kind)
    ]
    if write == 1:  # some come once only
        assert {kind for kind, _ in died} == set(kinds)
    tell(f"{len(kinds)} kinds of commits, {len(died)} crashes in them, nothing lost")


@pytest.mark.integration
@pytest.mark.timeout(2400)
def test_restored_node_survives_a_crash_in_every_commit_of_its_recovery(
    tell: Callable[[object], None],
) -> None:
    """What is written only by a node whose folder is old."""
    known = set(run_seed(SEED, profile=quiet()).written)
    kinds = set(run_seed(SEED, profile=quiet(RESTORED)).written) - known
    assert kinds
    died = 0
    for kind in sorted(kinds):
        for after in (False, True):
            again = replace(
                crashes_in(kind, write=1, after_commit=after),
                at_s=RESTORED.back_s,
                back_s=RESTORED.back_s + SLOT_S,
            )
            died += died_in(quiet(RESTORED, again), kind)
    assert died == 2 * len(kinds)
    tell(f"{', '.join(sorted(kinds))}: {died} crashes, nothing lost")


def died_in(profile: Profile, kind: str) -> bool:
    """Run it, and whether the node came to that write at all."""
    lines: list[str] = []
    run_seed(SEED, profile=profile, show=lines.append)
    return any(line.endswith(f" 0 crashes {kind}") for line in lines)
