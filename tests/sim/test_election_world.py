"""Members die, come back, are cut off and lose messages: soon there is a leader again, and one only."""

from random import Random

import pytest
from tests.election.support import sharing

from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.quorums import Mode
from tetrarch.election.timing import Timing
from tetrarch.sim.election_world import ElectionWorld, Network

# Goals: a killed leader is replaced within 3 s, lists are equal 5 s after a partition heals.
REPLACED_S = 3.0
COALESCED_S = 5.0
LOSSY_S = 30.0  # a term whose messages get lost is followed by one that may take twice as long
modes = pytest.mark.parametrize(
    ("count", "mode"),
    [(4, Mode.BFT), (7, Mode.BFT), (10, Mode.BFT), (3, Mode.CRASH), (7, Mode.CRASH)],
)


def configuration(
    count: int, mode: Mode, lease_ms: int = 1000, rule: Rule = Rule.LOWEST
) -> Configuration:
    names = tuple(f"node{index:03}" for index in range(count))
    return Configuration(members=names, mode=mode, lease_ms=lease_ms, rule=rule)


def elected(world: ElectionWorld, *members: int, at_most_s: float = REPLACED_S) -> float:
    return world.pass_until(lambda: world.agree(*members), at_most_s=at_most_s)


def leader_of(world: ElectionWorld, index: int) -> int:
    newest = world.leader(index)
    assert newest is not None
    return newest.leader.leader


def started(count: int, mode: Mode, seed: int = 0, **more: object) -> ElectionWorld:
    world = ElectionWorld(seed, configuration(count, mode), **more)  # type: ignore[arg-type]
    world.start()
    elected(world, *range(count))
    return world


def test_two_elect_and_one_alone_does_not() -> None:
    world = ElectionWorld(0, configuration(2, Mode.CRASH))
    world.start(0)
    world.pass_s(10)
    assert world.leader(0) is None
    world.start(1)
    elected(world, 0, 1)
    assert leader_of(world, 1) == 0


@modes
def test_killed_leader_is_replaced_and_follows_when_it_is_back(count: int, mode: Mode) -> None:
    world = started(count, mode)
    first = leader_of(world, count - 1)
    world.kill(first)
    alive = [index for index in range(count) if index != first]
    elected(world, *alive)
    second = leader_of(world, alive[0])
    assert second != first
    world.start(first)
    elected(world, *range(count), at_most_s=COALESCED_S)
    assert leader_of(world, first) == second
    assert world.conflicts == []


@modes
def test_as_many_as_may_fail_do_not_stop_it(count: int, mode: Mode) -> None:
    world = started(count, mode)
    failing = configuration(count, mode).faulty_max
    world.kill(*range(failing))
    elected(world, *range(failing, count), at_most_s=COALESCED_S)


@modes
def test_below_a_quorum_nobody_is_elected(count: int, mode: Mode) -> None:
    world = started(count, mode)
    c = configuration(count, mode)
    certified = len(world.certificates)
    world.kill(*range(c.count - c.quorum + 1))
    world.pass_s(20)
    assert len(world.certificates) == certified


def test_in_crash_mode_the_greater_part_alone_goes_on_and_lists_coalesce() -> None:
    world = started(7, Mode.CRASH)
    world.split(range(3), range(3, 7))  # the leader, 0, is with the smaller part
    elected(world, *range(3, 7), at_most_s=COALESCED_S)
    term = max(world.certificates)
    world.pass_s(10)
    assert all(newest.term < term for i in range(3) if (newest := world.leader(i)) is not None)
    world.heal()
    elected(world, *range(7), at_most_s=COALESCED_S)
    assert world.conflicts == []


def test_in_bft_mode_neither_part_goes_on_and_lists_coalesce() -> None:
    world = started(7, Mode.BFT)
    certified = len(world.certificates)
    world.split(range(3), range(3, 7))
    world.pass_s(20)
    assert len(world.certificates) == certified
    world.heal()
    world.pass_s(COALESCED_S)
    assert world.agree(*range(7))


@modes
def test_whole_cluster_restarts_one_by_one_in_good_order(count: int, mode: Mode) -> None:
    world = started(count, mode)
    for index in range(count):
        world.kill(index)
        world.pass_s(0.2)
        world.start(index)
        elected(world, *range(count), at_most_s=3 * COALESCED_S)
    assert world.conflicts == []


@modes
def test_leader_holds_its_lease_again_after_restarts_that_nobody_noticed(
    count: int, mode: Mode
) -> None:
    """So short that no list changes; but who was restarted grants nothing in terms it may have left."""
    world = started(count, mode)
    for index in range(1, count):
        world.pass_s(1)
        world.kill(index)
        world.start(index)
    world.pass_s(COALESCED_S)
    assert [world.holds_lease(index) for index in range(count)] == [True] + [False] * (count - 1)
    assert world.conflicts == []


def test_leader_holds_its_lease_again_after_all_were_down() -> None:
    """They have counters, and so need nobody else to go on."""
    world = started(4, Mode.BFT)
    world.pass_s(1)
    for _ in range(3):
        world.kill(*range(4))
        world.pass_s(2)
        world.start(is_newest=True)
        world.pass_until(lambda: world.holds_lease(0), at_most_s=COALESCED_S)
    assert world.conflicts == []


def test_restored_member_takes_part_again() -> None:
    world = started(4, Mode.BFT)
    for _ in range(5):  # terms pass
        world.resign(leader_of(world, 0))
        world.pass_s(1)
    world.kill(3)
    world.pass_s(2)
    world.start_old(3)
    elected(world, 0, 1, 2, 3, at_most_s=COALESCED_S)
    world.kill(leader_of(world, 3))
    world.pass_s(2 * COALESCED_S)  # three are left, and all of them are needed
    alive = [i for i in range(4) if world.leader(i) is not None]
    assert world.agree(*alive)
    assert world.conflicts == []


def test_leader_resigns_and_another_follows_at_once() -> None:
    world = started(4, Mode.BFT)
    world.pass_s(1)
    assert world.holds_lease(0)
    world.resign(0)
    took_s = world.pass_until(lambda: leader_of(world, 3) != 0, at_most_s=REPLACED_S)
    assert took_s < 0.5
    assert leader_of(world, 3) == 1


def test_leader_that_is_cut_off_loses_its_lease_before_another_is_certified() -> None:
    world = started(4, Mode.BFT, drift=0.01)
    world.pass_s(1)
    assert world.holds_lease(0)
    world.split([0], [1, 2, 3])
    known = len(world.certificates)
    world.pass_until(lambda: len(world.certificates) > known, at_most_s=COALESCED_S)
    assert not world.holds_lease(0)


@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_lost_messages_delay_and_do_no_more(loss: float) -> None:
    patient = Timing(suspect_phi=12)
    world = ElectionWorld(1, configuration(7, Mode.BFT), network=Network(loss=loss), timing=patient)
    world.start()
    elected(world, *range(7), at_most_s=20)
    world.kill(leader_of(world, 6))
    world.pass_until(lambda: leader_of(world, 6) != 0, at_most_s=20)
    assert world.conflicts == []


def test_member_that_only_some_hear_leaves() -> None:
    """One link is cut: both ends are heard by the others, and by each other never."""
    world = started(4, Mode.BFT)
    world.cut(0, 1)
    world.pass_s(10)
    assert world.conflicts == []
    newest = world.leader(3)
    assert newest is not None  # the old list stands, or one without one of them: never a dispute
    assert len(newest.leader.view.members) >= 3


@pytest.mark.parametrize("seed", range(30))
def test_after_any_troubles_a_leader_is_certified_soon(seed: int) -> None:
    """Random kills, restarts from any time, partitions and losses; then all are well again."""
    rng = Random(seed)
    count, mode = rng.choice(
        [(4, Mode.BFT), (5, Mode.BFT), (7, Mode.BFT), (3, Mode.CRASH), (5, Mode.CRASH)]
    )
    c = configuration(count, mode, rule=rng.choice([Rule.LOWEST, Rule.ROUND_ROBIN]))
    world = ElectionWorld(seed, c, network=Network(loss=rng.choice([0, 0.02])), drift=0.01)
    world.start()
    world.pass_s(2)
    down: set[int] = set()
    for _ in range(12):
        trouble = rng.choice(["kill", "restart", "restore", "split", "heal", "resign"])
        index = rng.randrange(count)
        if trouble == "kill" and len(down) < c.faulty_max:
            world.kill(index)
            down.add(index)
        elif trouble in {"restart", "restore"} and len(down - {index}) == 0:
            # One at a time: a second one must not begin before the first has recovered.
            world.kill(index)
            (world.start_old if trouble == "restore" else world.start)(index)
            down.discard(index)
            world.heal()
            world.pass_s(5)
        elif trouble == "split":
            group = {each for each in range(count) if rng.random() < 0.5}
            world.split(group, set(range(count)) - group)
        elif trouble == "heal":
            world.heal()
        elif trouble == "resign":
            world.resign(index)
        world.pass_s(rng.uniform(0.1, 4))
    world.heal()
    for index in sorted(down):
        world.start(index)
        world.pass_s(3)
    elected(world, *range(count), at_most_s=40)
    assert world.conflicts == []
    assert world.faults() == []


def test_members_that_share_a_key_draw_their_leaders() -> None:
    """Real signatures. Each time the leader dies, the number decides who follows."""
    c, shares = sharing(4, Rule.BEACON)
    world = ElectionWorld(5, c, shares=shares, network=Network(loss=0.02))
    world.start()
    elected(world, 0, 1, 2, 3)
    seeds, leaders = set(), []
    for _ in range(6):
        leader = leader_of(world, 0)
        leaders.append(leader)
        world.kill(leader)
        elected(world, *(index for index in range(4) if index != leader), at_most_s=LOSSY_S)
        newest = world.leader((leader + 1) % 4)
        assert newest is not None
        assert newest.signatures == ()
        seeds.add(newest.leader.seed)
        world.start(leader)
        elected(world, 0, 1, 2, 3, at_most_s=LOSSY_S)
    assert len(seeds) == 6
    assert len(set(leaders)) > 2, "by rule lowest it would be 0 and 1 in turn"
    assert world.conflicts == []
