"""Who has not shown who it is takes one of few places; one address has only so many, and not in no time."""

from ipaddress import ip_address

from tetrarch.network.overlay.doors import HELD_MAX, DoorLimits, Doors, Refused, door_of

LIMITS = DoorLimits(callers_max=6, of_address_max=4, unproven_max=3, unproven_of_address_max=2)


def enter(doors: Doors, hosts: str, now_s: float = 0.0) -> list[Refused | None]:
    return [doors.enter(host, now_s=now_s) for host in hosts]


def test_an_address_has_few_unproven_places() -> None:
    doors = Doors(LIMITS)
    assert enter(doors, "aaa") == [None, None, Refused.ADDRESS_FULL]
    doors.proven("a")
    assert enter(doors, "a") == [None]


def test_all_together_have_few_unproven_places() -> None:
    doors = Doors(LIMITS)
    assert enter(doors, "abcd") == [None, None, None, Refused.DOOR_FULL]
    doors.leave("a", proven=False, entered_s=0.0)
    assert enter(doors, "d") == [None]


def test_proven_callers_are_bounded_too() -> None:
    doors = Doors(LIMITS)
    for host in "aaaabb":
        assert enter(doors, host) == [None]
        doors.proven(host)
    assert enter(doors, "c") == [Refused.FULL]
    doors.leave("b", proven=True, entered_s=0.0)
    assert enter(doors, "a", LIMITS.proven_held_s) == [Refused.ADDRESS_FULL]
    assert enter(doors, "c") == [None]
    assert doors.callers == 6


def test_a_place_is_taken_for_some_time_however_short_the_visit() -> None:
    doors = Doors(LIMITS)
    assert enter(doors, "aa") == [None, None]
    for _ in range(2):
        doors.leave("a", proven=False, entered_s=0.0)
    assert enter(doors, "ab", 4.9) == [Refused.ADDRESS_FULL, None]
    assert enter(doors, "a", 5.0) == [None]


def test_a_visit_of_who_showed_itself_is_shorter_and_takes_no_place_of_strangers() -> None:
    doors = Doors(LIMITS)
    for _ in range(4):
        assert enter(doors, "a") == [None]
        doors.proven("a")
        doors.leave("a", proven=True, entered_s=0.0)
    assert enter(doors, "a", 0.9) == [Refused.ADDRESS_FULL]
    assert enter(doors, "a", 1.0) == [None]


def test_the_place_of_who_erred_is_taken_for_longer() -> None:
    doors = Doors(LIMITS)
    enter(doors, "aa")
    doors.leave("a", proven=False, entered_s=0.0, until_s=60.0)
    doors.leave("a", proven=False, entered_s=0.0)
    assert enter(doors, "aa", 59.0) == [None, Refused.ADDRESS_FULL]
    assert enter(doors, "a", 60.0) == [None]


def test_who_left_takes_no_place_of_others() -> None:
    doors = Doors(LIMITS)
    for host in "abcdefgh":
        assert enter(doors, host) == [None]
        doors.leave(host, proven=False, entered_s=0.0)


def test_nothing_is_kept_of_who_left() -> None:
    doors = Doors(LIMITS)
    for number in range(HELD_MAX + 100):
        host = f"host{number}"
        assert doors.enter(host, now_s=0.0) is None
        if number % 2:
            doors.proven(host)
        doors.leave(host, proven=bool(number % 2), entered_s=0.0)
    assert len(doors._held) == HELD_MAX
    assert enter(doors, "a", 5.0) == [None]
    doors.leave("a", proven=False, entered_s=5.0)
    assert enter(doors, "b", 10.0) == [None]
    doors.leave("b", proven=False, entered_s=10.0)
    assert doors.callers == 0
    assert not doors._callers
    assert not doors._unproven
    assert len(doors._held) == 1


def test_a_customer_has_one_door_and_two_have_two() -> None:
    def doors_of(*texts: str) -> set[str]:
        return {door_of(ip_address(text)) for text in texts}

    assert len(doors_of("1.2.3.4", "1.2.3.5")) == 2
    assert len(doors_of("2001:db8:1::1", "2001:db8:1:ffff::2")) == 1
    assert len(doors_of("2001:db8:1::1", "2001:db8:2::1")) == 2
