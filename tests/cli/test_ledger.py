"""``tetrarch ledger``: from keys to a first block to a node that is asked; what is wrong is one clear line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.ledger import state_world
from tests.ledger.makers import account_id, bft_public
from tests.ledger.test_chain import GENESIS, opened
from tests.ledger.test_checking import SLOTS, filled
from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.ledger.blocks import decode_block, encode_block
from tetrarch.ledger.genesis import read_genesis
from tetrarch.ledger.pools import pool_id

COMMANDS = (
    "keys",
    "genesis",
    "node",
    "check",
    "export",
    "import",
    "export-state",
    "import-state",
    "account",
    "send",
    "sign-members",
    "change-members",
    "vote-parameters",
    "parameters",
    "watch",
    "status",
    "tip",
    "block",
)
SPEC = f'name = "x"\nstart = 2026-12-01T12:00:00Z\nmembers = ["{bft_public(0).hex()}"]\n'


def ran(*arguments: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["ledger", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result.stdout if exit_code == 0 else result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_the_exit_codes(command: str) -> None:
    text = ran(command, "--help")
    assert f"Example: tetrarch ledger {command}" in text
    assert "Exit codes: 0" in text


def test_keys_are_made_once_and_leaders_are_added(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    first = json.loads(ran("keys", folder, "--json"))
    assert first["leaders"] == []
    turn = json.loads(ran("keys", folder, "--add-leader", "--json"))
    assert turn["voter"] == first["voter"]
    both = json.loads(ran("keys", folder, "--add-pool", account_id(0).hex(), "--json"))
    assert both["leaders"][0] == turn["leaders"][0]
    assert both["leaders"][1]["pool"] == pool_id(account_id(0), 0).hex()
    assert both["leaders"][1]["kes_period"] == 0
    shown = ran("keys", folder)
    assert first["voter"] in shown
    assert both["leaders"][1]["vrf_key"] in shown
    again = ran("keys", folder, "--add-pool", account_id(0).hex(), exit_code=78)
    assert "its keys are here already" in again
    assert "64 hexadecimal digits" in ran("keys", folder, "--add-pool", "ab", exit_code=78)


def test_a_first_block_is_made_of_text(tmp_path: Path) -> None:
    spec, out = tmp_path / "genesis.toml", tmp_path / "block0"
    spec.write_text(SPEC)
    told = json.loads(ran("genesis", spec, "--out", out, "--json"))
    block = decode_block(out.read_bytes())
    assert told["chain"] == block.header.id.hex()
    assert read_genesis(block).name == "x"
    assert told["chain"] in ran("genesis", spec, "--out", out)
    spec.write_text(SPEC + "leaderz = []")
    assert "leaderz" in ran("genesis", spec, "--out", out, exit_code=78)
    spec.write_bytes(b"\xff")
    ran("genesis", spec, "--out", out, exit_code=78)
    ran("genesis", tmp_path / "none", "--out", out, exit_code=66)


def test_a_node_does_not_start_with_what_is_no_first_block(tmp_path: Path) -> None:
    block0 = tmp_path / "block0"
    block0.write_bytes(b"something")
    how = ("--listen", "127.0.0.1:0", "--genesis", block0)
    assert str(block0) in ran("node", tmp_path / "node", *how, exit_code=78)
    assert not (tmp_path / "node").exists()


def test_an_account_is_made_once_and_its_file_is_nobody_elses(tmp_path: Path) -> None:
    key_file = tmp_path / "alice"
    made = ran("account", key_file).strip()
    assert ran("account", key_file).strip() == made
    assert key_file.stat().st_mode & 0o077 == 0
    assert made not in key_file.read_text()
    key_file.write_text("nothing")
    assert "it holds no key" in ran("account", key_file, exit_code=66)


def test_who_sends_needs_a_key_a_token_and_a_node(tmp_path: Path) -> None:
    ran("account", tmp_path / "alice")
    to, how = "ab" * 32, ("--key-file", tmp_path / "alice", "--folder", tmp_path)
    assert "64 hexadecimal" in ran("send", "ab", 1, *how, exit_code=78)
    assert "control_token_unusable" in ran("send", to, 1, *how, exit_code=66)
    (tmp_path / "control-token").write_text("ab" * 32 + "\n")
    assert "node_away" in ran("send", to, 1, *how, "--url", "http://127.0.0.1:1", exit_code=69)


@pytest.mark.parametrize(
    "command", [("status",), ("tip",), ("watch",), ("parameters",), ("block", "ab" * 32)]
)
def test_nobody_answers(command: tuple[str, ...]) -> None:
    assert "node_away" in ran(*command, "--url", "http://127.0.0.1:1", exit_code=69)


def test_a_chain_goes_from_one_folder_to_another(tmp_path: Path) -> None:
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    filled(tmp_path / "from")
    (tmp_path / "block0").write_bytes(encode_block(GENESIS))
    out, how = tmp_path / "chain", ("--genesis", tmp_path / "block0")
    told = ran("export", tmp_path / "from", "--out", out)
    assert f"{SLOTS} final blocks" in told
    assert ran("import", out, tmp_path / "to", *how).startswith(f"{SLOTS - 1} blocks verified")
    again = json.loads(ran("import", out, tmp_path / "to", *how, "--json"))
    assert (again["blocks"], again["known"], again["height"]) == (0, SLOTS - 1, SLOTS - 1)
    assert "as they should be" in ran("check", tmp_path / "to", *how)
    (tmp_path / "short").write_bytes(out.read_bytes()[:-9])
    (tmp_path / "new").mkdir()
    said = ran("import", tmp_path / "short", tmp_path / "new", *how, exit_code=65)
    assert "ledger_archive_invalid" in said
    assert "file_unreadable" in ran("import", tmp_path / "no", tmp_path / "to", *how, exit_code=66)
    assert "ledger_damaged" in ran("export", tmp_path / "new2", "--out", out, exit_code=65)


def test_a_state_goes_from_one_folder_to_another(tmp_path: Path) -> None:
    for name in ("from", "young"):
        (tmp_path / name).mkdir()

    async def main() -> None:
        async with opened(tmp_path / "from", state_world.GENESIS, prunes=True) as ledger:
            await state_world.live(ledger, 1, 34, changes={13: state_world.change()})
        async with opened(tmp_path / "young", state_world.GENESIS):
            pass

    asyncio.run(main())
    (tmp_path / "block0").write_bytes(encode_block(state_world.GENESIS))
    out, how = tmp_path / "state", ("--genesis", tmp_path / "block0")
    told = ran("export-state", tmp_path / "from", *how, "--out", out)
    assert "the state that block 29" in told
    assert "proven by 2 blocks" in told
    again = json.loads(ran("export-state", tmp_path / "from", *how, "--out", out, "--json"))
    assert again["bytes"] == out.stat().st_size
    began = json.loads(ran("import-state", out, tmp_path / "to", *how, "--json"))
    assert (began["height"], began["date"]) == (29, "2.9")
    assert began["block"] == again["block"]
    told = ran("check", tmp_path / "to", *how)
    assert "2 final blocks from height 29 on, as they should be" in told
    said = ran("import-state", out, tmp_path / "to", *how, exit_code=65)
    assert "has a chain already" in said
    assert "file_unreadable" in ran("import-state", tmp_path / "no", tmp_path, *how, exit_code=66)
    for folder, reason in (("young", "ledger_no_state"), ("nowhere", "ledger_damaged")):
        said = ran("export-state", tmp_path / folder, *how, "--out", tmp_path / "x", exit_code=65)
        assert reason in said
        assert not list(tmp_path.glob("x*")), "nothing is left half-written"
    said = ran("export", tmp_path / "from", "--out", tmp_path / "x", exit_code=65)
    assert "ledger_pruned" in said
    (tmp_path / "cut").write_bytes(out.read_bytes()[:-1])
    said = ran("import-state", tmp_path / "cut", tmp_path / "new", *how, exit_code=65)
    assert "ledger_state_file_invalid" in said


def test_a_block_that_proves_an_election_says_who_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("block", "height", "date", "parent", "maker", "content_size_bytes")
    told: dict[str, Any] = dict.fromkeys(names, 0)
    told |= {"certificates": [], "fragments": [], "election": None}
    monkeypatch.setattr("tetrarch.cli.ledger.ask_node", lambda *_: told)
    assert "term" not in ran("block", "ab" * 32)
    told["election"] = {"term": 4, "leader": 2, "name": "node2", "signers": 3}
    assert ran("block", "ab" * 32).endswith("\nterm 4              node2 leads, 3 signed\n")
