from tetrarch.network.dialer import BACKOFF_FIRST_S, BACKOFF_MAX_S, backoff_s


def test_backoff_doubles_to_its_maximum_within_the_jitter() -> None:
    lowest = [backoff_s(attempt, bytes) for attempt in range(1, 40)]
    highest = [backoff_s(attempt, lambda size: b"\xff" * size) for attempt in range(1, 40)]
    assert highest[0] == BACKOFF_FIRST_S
    assert highest[1] == 2 * BACKOFF_FIRST_S
    assert highest[-1] == BACKOFF_MAX_S
    assert all(low == high / 2 for low, high in zip(lowest, highest, strict=True))
