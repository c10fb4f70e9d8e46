"""``tetrarch sim``: anybody can repeat the figures of the documentation."""

import json
import os
import subprocess
import sys
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.sim.overlay_figures import OverlayFigures
from tetrarch.sim.overlay_life import OverlayLife

LIFE = ("sim", "life", "--nodes", "30", "--rounds", "3", "--churn-rounds", "2", "--seed", "7")
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


def test_a_life_is_told_to_a_program_and_to_a_person() -> None:
    life = json.loads(told(*LIFE, "--json"))
    assert list(life) == [field.name for field in fields(OverlayLife)]
    assert (life["hits"], life["rings_right_by_round"][-1]) == (1.0, 1.0)
    assert (len(life["churn"]), len(life["vanish"])) == (2, 11)
    lines = told(*LIFE).splitlines()
    assert lines[0] == "nodes            30, seed 7"
    assert [line[:17].strip() for line in lines[1:]] == [
        *("true neighbours", "items reached", "copies", "gossip", "under churn", "half vanished"),
    ]
    assert lines[6].endswith("100.000% 10 rounds later")
    in_peace = told(*LIFE, "--churn-rounds", "0", "--rounds-after", "0").splitlines()
    assert in_peace == lines[:5]


@pytest.mark.parametrize("command", [LIFE, (*SMALL, "--liars", "0.5")])
def test_figures_do_not_hang_on_the_order_of_hashes(command: tuple[str, ...]) -> None:
    """Two processes that order sets otherwise see the same."""

    def printed(hash_seed: str) -> str:
        program = "import sys; from tetrarch.cli.main import app; app(sys.argv[1:])"
        return subprocess.run(
            [sys.executable, "-c", program, *command, "--json"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    first, second = printed("1"), printed("2")
    assert json.loads(first)["seed"] == 7
    assert first == second
