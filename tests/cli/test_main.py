"""The command's parts are there, and are imported only when they are called for."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tetrarch import __version__
from tetrarch.cli.main import PARTS, app

LOADED = "import sys; from tetrarch.cli.main import app; app(sys.argv[1:], standalone_mode=False); "
LOADED += "print(sorted(each for each in sys.modules if each.startswith('tetrarch.')))"


def loaded_by(*arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True
    )
    return ended.stdout.splitlines()[-1]


def test_a_command_imports_nothing_of_the_others() -> None:
    found = loaded_by("version")
    assert "tetrarch.cli.errors" in found
    for part in PARTS.values():
        assert f"'tetrarch.cli.{part.module}'" not in found
    assert "tetrarch.ledger" not in found
    assert "'tetrarch.cli.pool'" in loaded_by("pool", "--help")


@pytest.mark.parametrize("name", PARTS)
def test_each_part_has_help(name: str) -> None:
    told = CliRunner().invoke(app, [name, "--help"])
    assert told.exit_code == 0, told.output
    assert f"Usage: tetrarch {name} " in told.output


def test_all_are_listed_and_what_is_misspelt_is_guessed() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    assert all(f" {name} " in listed for name in (*PARTS, "version"))
    told = CliRunner().invoke(app, ["pol"])
    assert told.exit_code == 2
    assert "Did you mean 'pool'?" in told.output
    assert CliRunner().invoke(app, ["version"]).output.strip() == __version__
