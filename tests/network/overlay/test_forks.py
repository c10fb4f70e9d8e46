"""A warning needs most of the trusted nodes, and time."""

import pytest
from tests.network.overlay.support import NOW_S, node_id

from tetrarch.network.overlay.forks import LASTING_S, ForkVerdict, ForkWatch, Standing, standing_of

A, B, C = (node_id(number) for number in range(3))
TOGETHER, AHEAD, FORKED = Standing


@pytest.mark.parametrize(
    ("height", "is_known", "fork_depth", "standing"),
    [
        (100, True, 0, TOGETHER),
        (90, True, 10, TOGETHER),
        (90, True, 11, FORKED),
        (300, True, 11, FORKED),
        (110, False, 0, TOGETHER),
        (111, False, 0, AHEAD),
        (50, False, 0, TOGETHER),
    ],
)
def test_standing(height: int, is_known: bool, fork_depth: int, standing: Standing) -> None:
    found = standing_of(own_height=100, height=height, is_known=is_known, fork_depth=fork_depth)
    assert found is standing


def test_most_of_them_for_a_while() -> None:
    watch = ForkWatch()
    told = {A: FORKED, B: FORKED, C: TOGETHER}
    assert watch.look(told, now_s=NOW_S) is None
    assert watch.look(told, now_s=NOW_S + LASTING_S - 1) is None
    expected = ForkVerdict(FORKED, 2, 3, NOW_S)
    assert watch.look(told, now_s=NOW_S + LASTING_S) == expected


def test_half_of_them_is_not_most_and_time_begins_anew() -> None:
    watch = ForkWatch()
    watch.look({A: AHEAD}, now_s=NOW_S)
    assert watch.look({A: AHEAD, B: TOGETHER}, now_s=NOW_S + 200) is None
    assert watch.look({A: AHEAD}, now_s=NOW_S + LASTING_S) is None
    assert watch.look({A: AHEAD}, now_s=NOW_S + 2 * LASTING_S) is not None


def test_nobody_answered() -> None:
    assert ForkWatch().look({}, now_s=NOW_S) is None
