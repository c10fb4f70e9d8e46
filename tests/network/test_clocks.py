import pytest

from tetrarch.network.clocks import ClockVerdict, OffsetWindow, judge_clocks


@pytest.mark.parametrize(
    ("offsets_s", "own_s", "wrong"),
    [
        ({}, None, ()),
        ({1: 0.2, 2: -0.3, 3: 0.0}, None, ()),
        ({1: 3.0, 2: 3.1, 3: 2.9}, -2.95, ()),  # all peers ahead: we are behind
        ({1: 0.0, 2: 0.0, 3: 3.0}, None, (3,)),
        ({1: 0.0, 2: -3.0, 3: 3.0}, None, (2, 3)),
        ({1: 3.0, 2: 3.0}, -3.0, ()),
        ({1: 3.0}, None, (1,)),  # one against one: name the peer
        ({1: -3.0}, None, (1,)),
        ({1: 3.0, 2: 3.0, 3: 0.0}, None, (1, 2)),  # two against two: keep to ours
        ({1: -3.0, 2: -3.0, 3: 0.0}, None, (1, 2)),
    ],
)
def test_verdict(offsets_s, own_s, wrong) -> None:
    verdict = judge_clocks(offsets_s, offset_max_s=1.0)
    if own_s is None:
        assert verdict == ClockVerdict(own_offset_s=None, wrong_peers=wrong)
    else:
        assert verdict.own_offset_s == pytest.approx(own_s, abs=0.11)
        assert verdict.wrong_peers == wrong


def test_single_late_pong_does_not_move_the_offset() -> None:
    window = OffsetWindow()
    assert window.offset_s is None
    for offset_s in (0.01, 5.0, 0.02):
        window.add(rtt_s=0.001, offset_s=offset_s)
    assert window.offset_s == 0.02
    assert window.rtt_s == 0.001
