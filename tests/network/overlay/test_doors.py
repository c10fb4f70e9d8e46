"""Who has not shown who it is takes one of few places; one address has only so many."""

from tetrarch.network.overlay.doors import DoorLimits, Doors, Refused

LIMITS = DoorLimits(callers_max=6, of_address_max=4, unproven_max=3, unproven_of_address_max=2)


def test_an_address_has_few_unproven_places() -> None:
    doors = Doors(LIMITS)
    assert [doors.enter("a") for _ in range(3)] == [None, None, Refused.ADDRESS_FULL]
    doors.proven("a")
    assert doors.enter("a") is None


def test_all_together_have_few_unproven_places() -> None:
    doors = Doors(LIMITS)
    assert [doors.enter(host) for host in "abcd"] == [None, None, None, Refused.DOOR_FULL]
    doors.leave("a", proven=False)
    assert doors.enter("d") is None


def test_proven_callers_are_bounded_too() -> None:
    doors = Doors(LIMITS)
    for host in "aaaabb":
        assert doors.enter(host) is None
        doors.proven(host)
    assert doors.enter("c") is Refused.FULL
    doors.leave("b", proven=True)
    assert doors.enter("a") is Refused.ADDRESS_FULL
    assert doors.enter("c") is None
    assert doors.callers == 6


def test_nothing_is_kept_of_who_left() -> None:
    doors = Doors(LIMITS)
    for number in range(1000):
        assert doors.enter(f"host{number}") is None
        if number % 2:
            doors.proven(f"host{number}")
        doors.leave(f"host{number}", proven=bool(number % 2))
    assert doors.callers == 0
    assert not doors._callers
    assert not doors._unproven
