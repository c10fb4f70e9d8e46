"""Only a machine that stood still excuses a test in real time."""

import time
from pathlib import Path

import pytest
from tests.integration.machine_watch import Seen, read, watched


def test_what_the_program_wrote_is_read_and_a_line_that_was_cut_off_is_not() -> None:
    text = "counted 100 1000\nlate 12.5 0.31\ncounted 110 1200\nlate 19.0 0.5\nlate 2"
    seen = read(text, since_s=10.0)
    assert seen == Seen(((2.5, 0.31), (9.0, 0.5)), 0.05)
    assert str(seen) == (
        "the machine stood still 2 times (0.31 s at +2 s, 0.50 s at +9 s),"
        " 5.0% of its time was stolen"
    )


@pytest.mark.parametrize("text", ["", "counted 5 100\n", "counted 5 100\ncounted 5 100\n"])
def test_without_anything_seen_it_ran(text: str) -> None:
    assert read(text, since_s=0.0) == Seen()
    assert not Seen().stood_still
    assert "never" in str(Seen())


@pytest.mark.parametrize(
    ("seen", "stood_still"),
    [(Seen(((1.0, 0.2),)), True), (Seen((), 0.049), False), (Seen((), 0.05), True)],
)
def test_late_or_stolen_is_an_excuse(seen: Seen, stood_still: bool) -> None:
    assert seen.stood_still == stood_still


def test_the_program_counts_while_the_block_lasts_and_ends_with_it(tmp_path: Path) -> None:
    with watched(tmp_path) as window:
        time.sleep(1.5)
        assert window.seen == Seen()
    lines = (tmp_path / "machine.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines].count("counted") >= 1
    assert 0 <= window.seen.stolen_share <= 1
