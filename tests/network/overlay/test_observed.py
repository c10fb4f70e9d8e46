"""An address of our own counts when several networks name it and have reached us there."""

from ipaddress import ip_address

from tests.network.overlay.support import address

from tetrarch.network.overlay.observed import OBSERVERS_MAX, Observed, ObservedRules

HERE, ELSEWHERE = ip_address("20.1.1.1"), ip_address("20.2.2.2")
FIRST, SECOND, THIRD = address("30.0.0.1"), address("31.0.0.1"), address("32.0.0.1")
OURS = address("20.1.1.1", 3000)


def observed(private: bool = False) -> Observed:
    return Observed(ObservedRules(port=3000, private_addresses=private))


def test_one_network_is_not_enough() -> None:
    one = observed()
    one.seen(FIRST, HERE)
    one.seen(address("30.0.0.2"), HERE)  # of the same /24
    assert one.candidate is None
    one.seen(SECOND, HERE)
    assert one.candidate == OURS


def test_more_than_half_must_agree() -> None:
    one = observed()
    for number in range(3):
        one.seen(address(f"42.0.{number}.1"), ip_address(f"20.3.{number}.1"))
    one.seen(FIRST, HERE)
    one.seen(SECOND, HERE)
    assert one.candidate is None  # two of five
    one = observed()
    for number in range(3):
        one.seen(address(f"40.0.{number}.1"), ELSEWHERE)
    for number in range(3):
        one.seen(address(f"41.0.{number}.1"), HERE)
    assert one.candidate == address("20.2.2.2", 3000)
    one.seen(FIRST, HERE)
    assert one.candidate == OURS


def test_it_is_told_once_two_networks_have_reached_us() -> None:
    one = observed()
    one.seen(FIRST, HERE)
    one.seen(SECOND, HERE)
    assert not one.reached(FIRST, OURS)
    assert not one.reached(address("30.0.0.2"), OURS)
    assert one.confirmed is None
    assert one.reached(SECOND, OURS)
    assert one.confirmed == OURS
    assert not one.reached(THIRD, OURS)  # nothing new


def test_who_reached_us_elsewhere_says_nothing_of_here() -> None:
    one = observed()
    one.seen(FIRST, HERE)
    one.seen(SECOND, HERE)
    one.reached(FIRST, OURS)
    assert not one.reached(SECOND, address("20.2.2.2", 3000))
    assert one.confirmed is None


def test_after_a_move_it_is_found_anew() -> None:
    one = observed()
    for observer in (FIRST, SECOND):
        one.seen(observer, HERE)
    for observer in (FIRST, SECOND):
        one.reached(observer, OURS)
    one.seen(FIRST, ELSEWHERE)
    assert one.candidate == OURS
    one.seen(SECOND, ELSEWHERE)
    moved = address("20.2.2.2", 3000)
    assert one.candidate == moved
    assert one.confirmed == OURS
    assert not one.reached(FIRST, moved)
    assert one.reached(SECOND, moved)
    assert one.confirmed == moved


def test_an_address_that_is_of_no_use_is_no_word() -> None:
    one = observed()
    for observer in (FIRST, SECOND):
        one.seen(observer, ip_address("192.168.1.1"))
    assert one.candidate is None
    one = observed(private=True)
    for observer in (FIRST, SECOND):
        one.seen(observer, ip_address("192.168.1.1"))
    assert one.candidate == address("192.168.1.1", 3000)


def test_words_are_bounded_and_the_newest_count() -> None:
    one = observed()
    for number in range(OBSERVERS_MAX):
        one.seen(address(f"50.0.{number}.1"), ELSEWHERE)
    for number in range(OBSERVERS_MAX):
        one.seen(address(f"51.0.{number}.1"), HERE)
    assert one.candidate == OURS
    assert len(one._words) == OBSERVERS_MAX
