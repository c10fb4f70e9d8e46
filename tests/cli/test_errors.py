"""Expected errors become one line and an exit code; bugs keep their traceback."""

import pytest
import typer
from typer.testing import CliRunner

from tetrarch.cli.errors import run_command
from tetrarch.cluster.errors import ClusterFolderExists
from tetrarch.errors import ConfigInvalid, Transient


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
        (ConfigInvalid("read", key="a\nb"), 78,
         "error: read: config_invalid (key=a b); correct the named setting"),
        (ClusterFolderExists("create"), 73,
         "error: create: cluster_folder_exists; name a new folder"),
        (Transient("ask"), 70, "error: ask: transient"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)  # fmt: skip
def test_expected(error, code, line):
    result = outcome(error)
    assert result.exit_code == code
    assert result.stderr == line + "\n"


def test_bugs_are_not_hidden():
    assert isinstance(outcome(RuntimeError("bug")).exception, RuntimeError)
