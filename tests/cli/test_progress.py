"""Whoever waits without a terminal hears once a minute how far it is, and nothing of what is soon over."""

import pytest

from tetrarch.cli.progress import _lines, progress_bar


def test_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    times_s = iter([0.0, 30.0, 61.0, 90.0, 122.0])
    show = _lines("rounds", lambda: next(times_s))
    for done in range(1, 5):
        show(done, 9)
    assert capsys.readouterr().err.splitlines() == [
        "rounds: 2 of 9 after 1 min",
        "rounds: 4 of 9 after 2 min",
    ]


def test_what_is_soon_over_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("rounds") as show:
        show(1, 2)
        show(2, 2)
    assert capsys.readouterr().err == ""
