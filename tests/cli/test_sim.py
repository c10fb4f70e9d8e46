"""``tetrarch sim``: anybody can repeat the figures of the documentation."""

import json
from dataclasses import fields

from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.sim.overlay_figures import OverlayFigures

SMALL = ("sim", "overlay", "--nodes", "30", "--rounds", "6", "--seed", "7")


def told(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_figures_of_one_run_are_printed_and_are_the_same_again() -> None:
    first, second = (told(*SMALL, "--json") for _ in range(2))
    assert first == second
    figures = json.loads(first)
    assert list(figures) == [field.name for field in fields(OverlayFigures)]
    assert (figures["rings_right"], figures["hit_ratio"]) == (1.0, 1.0)
    assert 1.0 <= figures["copies"] < 3.0
    assert figures["copies_large"] == 1.0
    assert len(figures["rings_right_by_round"]) == 6
    assert json.loads(told(*SMALL[:-1], "8", "--json")) != figures


def test_a_person_can_read_them() -> None:
    lines = told(*SMALL, "--liars", "0.5").splitlines()
    assert lines[0] == "nodes            30, 6 rounds, seed 7"
    assert [line[:17].strip() for line in lines[1:]] == [
        *("true neighbours", "items reached", "copies", "hops", "to the last", "gossip"),
        "crowd in views",
    ]
    assert lines[2].endswith("100.000% of the nodes")
