"""Heartbeats become a list; it has to stand for a while; and some lists cannot be right."""

from tests.election.support import configuration

from tetrarch.election.messages import Heartbeat
from tetrarch.election.timing import Timing
from tetrarch.election.watching import Watching

TIMING = Timing()
BEAT_S = TIMING.heartbeat_s


class Member:
    """Member 0 of four or more; the others beat as they are told to."""

    def __init__(self, count: int = 4) -> None:
        self.now_s = 0.0
        self.beats = 0
        self.count = count
        self.watching = Watching(configuration(count), 0, TIMING, 0.0)

    def beat(self, *alive: int, times: int = 1, down: tuple[int, ...] = ()) -> None:
        for _ in range(times):
            self.now_s += BEAT_S
            self.beats += 1
            for member in alive:
                said = tuple(each for each in down if each != member)
                self.watching.hear(member, Heartbeat(self.beats, down=said), self.now_s)
            self.watching.look(self.now_s)

    def settled(self) -> tuple[int, ...] | None:
        return self.watching.settled(self.now_s)


def test_all_that_beat_are_on_the_list_after_a_while() -> None:
    member = Member()
    member.beat(1, 2, 3)
    assert member.settled() is None
    member.beat(1, 2, 3, times=4)
    assert member.settled() == (0, 1, 2, 3)


def test_below_a_quorum_there_is_no_list() -> None:
    member = Member()
    member.beat(1, times=50)
    assert member.settled() is None


def test_silent_member_leaves_when_the_others_say_so_too() -> None:
    member = Member()
    member.beat(1, 2, 3, times=20)
    member.beat(1, 2, times=20)
    assert member.watching.down == (3,)
    assert member.settled() == (0, 1, 2, 3)  # one observer's word is not enough
    member.beat(1, 2, times=6, down=(3,))
    assert member.settled() == (0, 1, 2)


def test_member_that_comes_back_is_on_the_list_again() -> None:
    member = Member()
    member.beat(1, 2, 3, times=20)
    member.beat(1, 2, times=20, down=(3,))
    member.beat(1, 2, 3, times=6)
    assert member.settled() == (0, 1, 2, 3)


def test_old_heartbeats_say_nothing() -> None:
    member = Member()
    member.beat(1, 2, 3, times=20)
    for _ in range(20):
        member.beat(1, 2)
        member.watching.hear(3, Heartbeat(5), member.now_s)
    assert member.watching.down == (3,)
    member.watching.forget(3, member.now_s)
    member.watching.hear(3, Heartbeat(1), member.now_s)
    member.watching.look(member.now_s)
    assert not member.watching.down


def test_who_hears_a_member_that_others_do_not_joins_them_in_time() -> None:
    member = Member(7)
    member.beat(*range(1, 7), times=20)
    member.beat(*range(1, 7), times=3, down=(6,))
    assert member.watching.echoed(member.now_s) == ()
    member.beat(1, 2, 3, 6, times=20, down=(6,))
    assert 6 in member.watching.echoed(member.now_s)


class Counting(Watching):
    """Counts how often conclusions are drawn: each time takes as long as there are members."""

    looks = 0

    def look(self, now_s: float) -> None:
        self.looks += 1
        super().look(now_s)


def test_news_count_at_once_and_repetitions_cost_nothing() -> None:
    member = Member()
    member.watching = watching = Counting(configuration(), 0, TIMING, 0.0)
    member.beat(1, 2, 3, times=20)
    before = watching.looks
    for source in (1, 2, 3):
        watching.hear(source, Heartbeat(100), member.now_s)
    assert watching.looks == before
    for source in (1, 2):
        watching.hear(source, Heartbeat(101, down=(3,)), member.now_s)
        watching.hear(source, Heartbeat(102, down=(3,)), member.now_s)
    assert watching.looks == before + 2
    assert member.settled() is None  # two say so: it is unstable, without another look


def test_member_that_is_heard_again_counts_at_once() -> None:
    member = Member()
    member.beat(1, 2, 3, times=20)
    member.beat(1, 2, times=20)
    assert member.watching.down == (3,)
    member.watching.hear(3, Heartbeat(1000), member.now_s)
    assert not member.watching.down


def test_another_s_list_may_differ_in_whom_one_is_not_sure_of() -> None:
    member = Member()
    member.beat(1, 2, 3, times=20)
    accepts = member.watching.accepts
    assert accepts((0, 1, 2, 3))
    assert not accepts((0, 1, 2))  # 3 is here
    assert not accepts((1, 2, 3))
    member.beat(1, 2, times=20)
    assert accepts((0, 1, 2))  # we alone do not hear it
    assert accepts((0, 1, 2, 3))
    member.beat(1, 2, times=6, down=(3,))
    assert not accepts((0, 1, 2, 3))
