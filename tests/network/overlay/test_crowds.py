"""Of connections that wait without a caller there are few, and those that go are a crowd's oldest."""

from tests.network.overlay.support import address

from tetrarch.network.overlay.connections import Connection
from tetrarch.network.overlay.crowds import Crowds
from tetrarch.network.overlay.doors import DoorLimits

LIMITS = DoorLimits(waiting_max=5, waiting_of_address_max=3)


def of(ip: str, *ports: int) -> list[Connection]:
    return [Connection(port, address(ip, port)) for port in ports]


def test_of_one_address_the_oldest_go() -> None:
    crowds = Crowds(LIMITS)
    first = of("1.1.1.1", 9, 8)
    assert crowds.surplus(first, ()) == []
    later = [*of("1.1.1.1", 1, 2, 3), *first]
    assert crowds.surplus(later, ()) == first, "descriptors and ports tell nothing of age"
    assert crowds.surplus(later[:3], ()) == []


def test_who_talks_is_no_crowd() -> None:
    crowds = Crowds(LIMITS)
    callers = of("1.1.1.1", *range(1, 9))
    talking = [each.caller for each in callers[:5]]
    assert crowds.surplus(callers, talking) == []
    assert crowds.surplus(callers, talking[1:]) == callers[:1]


def test_of_all_together_those_of_the_largest_crowd_go() -> None:
    crowds = Crowds(LIMITS)
    one, two = of("1.1.1.1", 1), of("2.2.2.2", 1, 2)
    many = of("3.3.3.3", 1, 2, 3)
    assert crowds.surplus([*one, *many, *two], ()) == many[:1]


def test_an_ipv6_customer_is_one_crowd() -> None:
    crowds = Crowds(LIMITS)
    many = [Connection(number, address(f"2001:db8:1:{number}::1", 5)) for number in range(1, 7)]
    assert crowds.surplus(many, ()) == many[:3]


def test_of_who_went_nothing_is_kept() -> None:
    crowds = Crowds(LIMITS)
    for number in range(100):
        crowds.surplus(of("1.1.1.1", number + 1), ())
    assert len(crowds._seen) == 1
