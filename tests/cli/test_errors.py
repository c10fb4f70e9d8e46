"""Expected errors become one line and an exit code; bugs keep their traceback."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from tetrarch.cli.errors import run_command
from tetrarch.cluster.errors import ClusterFolderExists
from tetrarch.errors import ConfigInvalid, InvariantBroken, Transient


def outcome(error: BaseException):
    app = typer.Typer()

    @app.command()
    @run_command
    def fail() -> None:
        raise error

    return CliRunner().invoke(app, [])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            ConfigInvalid("read", key="a\nb"),
            78,
            "error: read: config_invalid (key=a b); correct the named setting",
        ),
        (
            ClusterFolderExists("create"),
            73,
            "error: create: cluster_folder_exists; name a new folder",
        ),
        (Transient("ask"), 70, "error: ask: transient; try again, and report it if it stays"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_expected(error, code, line):
    result = outcome(error)
    assert result.exit_code == code
    assert result.stderr == line + "\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("bug"), "bug (RuntimeError: bug)"),
        (InvariantBroken("one leader"), "bug (broken invariant: one leader)"),
        (ExceptionGroup("tasks", [ValueError("inner")]), "bug (ValueError: inner)"),
        (
            BaseExceptionGroup("tasks", [ValueError("a"), InvariantBroken("b")]),
            "bug (broken invariant: b)",
        ),
    ],
)
def test_bugs_keep_their_traceback(error, line):
    result = outcome(error)
    assert result.exit_code == 70
    assert "Traceback (most recent call last)" in result.stderr
    assert line in result.stderr.splitlines()[-1]


def test_expected_errors_of_tasks_are_one_line():
    result = outcome(ExceptionGroup("tasks", [ExceptionGroup("", [ClusterFolderExists("create")])]))
    assert result.exit_code == 73
    assert result.stderr == "error: create: cluster_folder_exists; name a new folder\n"


@pytest.mark.parametrize(
    ("ending", "code"), [(typer.Exit(3), 3), (typer.Abort(), 1), (typer.BadParameter("no"), 2)]
)
def test_typer_ends_commands_its_own_way(ending, code):
    result = outcome(ending)
    assert result.exit_code == code
    assert "Traceback" not in result.stderr


def test_who_stops_reading_our_output_is_no_bug(tmp_path):
    """As ``tetrarch ... | head -1`` does."""
    program = (
        "from tetrarch.cli.errors import run_command\n"
        "import typer\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "@run_command\n"
        "def tell():\n"
        "    for number in range(100_000):\n"
        "        typer.echo(f'line {number}')\n"
        "app()\n"
    )
    script = tmp_path / "tell.py"
    script.write_text(program)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""
