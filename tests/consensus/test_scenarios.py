"""Stories of ``tests/scenarios/qbft_*.txt``. ``REWRITE=1`` writes down what happens now."""

import os
from pathlib import Path

import pytest
from tests.consensus.scenario import play

FILES = sorted((Path(__file__).parent.parent / "scenarios").glob("qbft_*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario_goes_as_written(path: Path) -> None:
    written = path.read_text()
    played = play(written)
    if os.environ.get("REWRITE"):
        path.write_text(played)
    else:
        assert played == written


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 6
