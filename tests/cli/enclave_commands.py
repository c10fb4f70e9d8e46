"""Runs `tetrarch enclave` in this process, with real enclave processes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tetrarch.cli.main import app


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Ended:
    result = CliRunner().invoke(app, ["enclave", *map(str, arguments)])
    return Ended(result.exit_code, result.stdout, result.stderr)


def told(*arguments: object) -> dict[str, Any]:
    """What the command prints with --json."""
    ended = run(*arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def refused(*arguments: object) -> tuple[int, str]:
    """The exit code and the one line; nothing is told beside it."""
    ended = run(*arguments)
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return ended.returncode, line


def content(folder: Path) -> dict[str, bytes]:
    """All files by name, but for locks and what a database leaves beside itself."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith((".lock", "-wal", "-shm"))
    }
