"""A ledger among simulated nodes with faults: what must hold holds, and two equal runs are equal."""

import os
from random import Random

import pytest

from tetrarch.ledger.parameters import Mode
from tetrarch.sim.ledger_checkers import Broken
from tetrarch.sim.ledger_profile import Crash, Cut, LedgerProfile
from tetrarch.sim.ledger_world import LedgerWorld, lived
from tetrarch.sim.loop import simulate
from tetrarch.sim.seeds import LEDGER_SEEDS_FAST, LEDGER_SEEDS_INTEGRATION, batches, seeds

FAST = seeds(os.environ, default=LEDGER_SEEDS_FAST)
MODES = (Mode.BFT, Mode.PRAOS)  # mode elected: ``test_ledger_elected``
MORE = seeds(os.environ, default=LEDGER_SEEDS_INTEGRATION, first=1_000)


def live(seed: int, *, slots: int = 60) -> None:
    lived(LedgerProfile.drawn(Random(f"{seed}/profile"), slots=slots), seed=seed)


@pytest.mark.parametrize("some", batches(FAST, size=5), ids=lambda some: f"{some.start}")
def test_what_must_hold_holds_whatever_happens(some: range) -> None:
    for seed in some:
        live(seed)


@pytest.mark.integration
@pytest.mark.parametrize("some", batches(MORE, size=20), ids=lambda some: f"{some.start}")
def test_what_must_hold_holds_in_more_worlds(some: range) -> None:
    """Most are shorter: the same faults, closer together."""
    for seed in some:
        live(seed, slots=60 if seed % 11 < 5 else 32)


FAILED = {
    568: "blocks came early by a voter's clock: it waited for the newest one's rivals, always",
    581: "the same",
    661: "the same",
    850: "no blocks of a leader whose turns a neighbour's clock had over were called a fault",
    1130: "who was behind waited at each height, and voters were never at the same one",
    1220: "a copy that lost power had reserved more heights than came in the time to settle",
    1411: "a voter with a fast clock voted from an older source than all others, for each second block",
}


@pytest.mark.parametrize("seed", FAILED)
def test_seeds_that_failed(seed: int) -> None:
    live(seed)


@pytest.mark.parametrize("mode", MODES)
def test_all_blocks_are_made_and_final_when_nothing_is_wrong(mode: Mode) -> None:
    outcome = lived(LedgerProfile(mode=mode, slots=60, slots_per_epoch=20), seed=7)
    assert len(set(outcome.tips)) == len(set(outcome.finals)) == 1
    assert outcome.finals[0] >= outcome.tips[0] - 1
    assert not outcome.statuses["rejected"]
    made = outcome.statuses["accepted"] + outcome.statuses["orphaned"]
    if mode is Mode.BFT:
        assert (outcome.tips[0], made, outcome.statuses["orphaned"]) == (60, 60, 0)
        dates = {str(entry.date) for entry in outcome.entries}
        assert {"1.0", "2.0"} <= dates, "the first slot of an epoch is led as any other"
    else:
        assert outcome.tips[0] > 20


def test_a_chain_passes_from_turns_to_stake() -> None:
    """By its members' votes; pools then make the blocks, and make them final."""
    outcome = lived(LedgerProfile(slots=130, slots_per_epoch=20, passes_at=2), seed=1)
    assert set(outcome.modes) == {Mode.PRAOS}
    assert min(outcome.members_since) > 40, "other voters, and others again as stake changes"
    assert min(outcome.finals) >= max(outcome.tips) - 2
    assert {entry.date.epoch for entry in outcome.entries if entry.made} >= {0, 1, 2, 3, 4, 5}


def test_a_partition_longer_than_any_depth_heals() -> None:
    cut = Cut(5, 100, (0, 1))
    for mode in MODES:
        outcome = lived(LedgerProfile(mode=mode, cuts=(cut,), slots=130), seed=3)
        assert outcome.reorganisations > 0
        assert min(outcome.finals) >= max(outcome.tips) - 2


def test_who_loses_power_is_back_and_signs_nothing_twice() -> None:
    crashes = tuple(Crash(node, 3.3 + 7 * node, 2) for node in range(4))
    outcome = lived(LedgerProfile(crashes=crashes, slots=60), seed=5)
    assert min(outcome.finals) >= max(outcome.tips) - 1


def test_keys_evolve_whether_their_pool_is_drawn_or_not() -> None:
    profile = LedgerProfile(
        mode=Mode.PRAOS, coefficient_milli=30, slots=65, slots_per_epoch=20, settle_slots=30
    )
    outcome = lived(profile, seed=4)
    assert max(outcome.tips) < 12
    assert outcome.kes_periods == (6,) * 4, "periods have ten slots"


def test_equal_seeds_give_equal_runs() -> None:
    profile = LedgerProfile.drawn(Random("1/profile"), slots=60)
    digests = {lived(profile, seed=1).digest for _ in range(2)}
    assert len(digests) == 1
    assert lived(profile, seed=2).digest not in digests


def test_two_copies_of_one_node_sign_nothing_twice_and_one_goes_on_for_the_other() -> None:
    """Copies run at once; the one that signs loses power, and the other takes over."""
    crash = Crash(0, 40.5, 100)
    for seed in range(4):
        profile = LedgerProfile(twins=True, slots=100, crashes=(crash,))
        outcome = lived(profile, seed=seed)
        reasons = {entry.reason for entry in outcome.entries if entry.reason}
        assert any("ledger_not_reserved" in reason for reason in reasons)
        assert min(outcome.finals) >= max(outcome.tips) - 2


def test_the_checkers_can_fail() -> None:
    """Two nodes with one copy of the keys and no rule between them sign one slot twice."""

    async def scenario() -> None:
        world = LedgerWorld(LedgerProfile(slots=40), seed=1)
        world.share_keys(0, 1)
        await world.run()

    with pytest.raises(ExceptionGroup) as caught:
        simulate(scenario, seed=1)
    assert caught.value.split(Broken)[1] is None
