"""``tetrarch consensus replay``: a story for people, JSON for programs, one line for bad files."""

import json
from pathlib import Path

import pytest
from tests.consensus.test_replay import FIRST, OTHERS, play
from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.consensus.dump import encode_dump


@pytest.fixture(scope="module")
def dump_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("dump") / "dump.json"
    file.write_bytes(encode_dump(play(dead=FIRST, watcher=OTHERS[0]).dump))
    return file


def test_story_is_told_round_by_round(dump_file: Path) -> None:
    result = CliRunner().invoke(app, ["consensus", "replay", str(dump_file), "--messages"])
    assert result.exit_code == 0
    head, first, second, *messages = result.stdout.splitlines()
    assert "decided" in head
    assert "in round 2" in head
    assert f"round 1 led by node{FIRST}:" in first
    assert first.endswith("no_proposal")
    assert "round 2" in second
    assert any("heard" in line and "commit" in line for line in messages)


def test_json_has_every_duty(dump_file: Path) -> None:
    result = CliRunner().invoke(app, ["consensus", "replay", str(dump_file), "--json"])
    (duty,) = json.loads(result.stdout)["duties"]
    assert duty["decided_round"] == 2
    assert duty["rounds"][0]["lacked"] == "no_proposal"


def test_other_slots_are_left_out(dump_file: Path) -> None:
    result = CliRunner().invoke(app, ["consensus", "replay", str(dump_file), "--slot", "99999"])
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("content", [None, b"no dump"])
def test_file_that_is_no_dump_ends_with_one_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "dump.json"
    if content is not None:
        file.write_bytes(content)
    result = CliRunner().invoke(app, ["consensus", "replay", str(file)])
    assert result.exit_code == 65
    assert "dump_unreadable" in result.stderr
