"""``tetrarch leader``: leaders are listed, added and removed while a node runs."""

import asyncio
from pathlib import Path

import pytest
from tests.cli.ledger_asked import asked
from tests.ledger.makers import account_id
from typer.testing import CliRunner

from tetrarch.cli.main import app


@pytest.mark.parametrize("command", ["list", "schedule", "logs", "add", "remove"])
def test_help_has_an_example_and_the_exit_codes(command: str) -> None:
    text = CliRunner().invoke(app, ["leader", command, "--help"]).stdout
    assert f"Example: tetrarch leader {command}" in text
    assert "Exit codes: 0" in text


def test_leaders_are_listed_added_and_removed(tmp_path: Path) -> None:
    async def main() -> None:
        async with asked(tmp_path, account_id(0)) as node:
            (first,) = (await node.told("leader", "list"))["leaders"]
            assert (first["number"], first["kind"]) == (0, "turn")
            made = await node.told("leader", "add", "--pool", "ab" * 32, "--folder", tmp_path)
            assert (made["number"], made["kind"]) == (1, "pool")
            shown = await node.ask("leader", "list")
            assert first["key"] in shown
            assert "ab" * 32 in shown
            await node.ask("leader", "remove", 0, "--folder", tmp_path)
            assert [each.number for each in node.leadership.leaders] == [1]
            refused = await node.ask("leader", "remove", 0, "--folder", tmp_path, exit_code=65)
            assert "control_refused" in refused
            await node.ask("leader", "add", "--folder", tmp_path / "none", exit_code=66)

    asyncio.run(main())


def test_the_schedule_and_the_logs_are_for_people_and_programs(tmp_path: Path) -> None:
    async def main() -> None:
        async with asked(tmp_path, account_id(0)) as node:
            assert (await node.told("leader", "schedule"))["schedule"] == []
            assert (await node.told("leader", "logs"))["logs"] == []
            assert await node.ask("leader", "schedule") == ""

    asyncio.run(main())
