"""``tetrarch pool`` and payments: fragments are signed with the next counter and the fee, and wait at the node."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.ledger_asked import Asked, asked
from tests.ledger.makers import bft_public, pool_keys
from typer.testing import CliRunner

from tetrarch.cli.fragments import account_of, read_account_key
from tetrarch.cli.main import app
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.fragments.delegate import Delegate
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.fragments.pool_retire import PoolRetire
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.pools import Tax, pool_id

KEYS = pool_keys(0)


@pytest.mark.parametrize("command", ["keys", "register", "delegate", "retire"])
def test_help_has_an_example_and_the_exit_codes(command: str) -> None:
    text = CliRunner().invoke(app, ["pool", command, "--help"]).stdout
    assert f"Example: tetrarch pool {command}" in text
    assert "Exit codes: 0" in text


def account(folder: Path) -> AccountId:
    key_file = folder / "alice"
    assert CliRunner().invoke(app, ["ledger", "account", str(key_file)]).exit_code == 0
    return account_of(read_account_key(key_file))


def test_a_pools_keys_are_made_once(tmp_path: Path) -> None:
    alice = account(tmp_path)

    def ran(*arguments: object) -> str:
        result = CliRunner().invoke(app, ["pool", "keys", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.stdout

    told = json.loads(ran(tmp_path / "node", alice.hex(), "--json"))
    assert told["pool"] == pool_id(alice, 0).hex()
    assert {len(told[name]) for name in ("vrf_key", "kes_key", "vote_key")} == {64}
    assert json.loads(ran(tmp_path / "node", alice.hex(), "--json")) == told
    shown = ran(tmp_path / "node", alice.hex(), "--serial", 3)
    assert pool_id(alice, 3).hex() in shown
    assert told["vrf_key"] not in shown
    assert told["vote_key"] in shown, "of its node, whatever its pools"
    wrong = CliRunner().invoke(app, ["pool", "keys", str(tmp_path / "node"), "ab"])
    assert wrong.exit_code == 78


def waiting(node: Asked, payer: AccountId) -> list[Any]:
    found = node.ledger.chain.mempool.waiting_of(payer)
    return [
        (found[counter].fragment.fee, found[counter].fragment.body) for counter in sorted(found)
    ]


def test_each_fragment_follows_the_one_before(tmp_path: Path) -> None:
    alice = account(tmp_path)
    pool = pool_id(alice, 0)
    how = ("--key-file", tmp_path / "alice", "--folder", tmp_path)

    async def main() -> None:
        async with asked(tmp_path, alice) as node:
            vrf, kes = KEYS.vrf.public_key.hex(), KEYS.kes_public.hex()
            keys = ("--vrf-key", vrf, "--kes-key", kes, "--vote-key", bft_public(1).hex())
            told = await node.told("pool", "register", *keys, "--tax-fixed", 5, *how)
            assert (told["pool"], told["counter"], told["fee"]) == (pool.hex(), 0, 3)
            await node.ask("pool", "delegate", pool.hex(), *how)
            await node.ask("pool", "retire", pool.hex(), "--epoch", 5, *how)
            await node.ask("pool", "delegate", "none", *how)
            sent = await node.told("ledger", "send", "ab" * 32, 100, *how)
            assert sent["counter"] == 4
            register = PoolRegister(
                serial=0,
                vrf_key=KEYS.vrf.public_key,
                kes_key=KEYS.kes_public,
                vote_key=bft_public(1),
                kes_start_slot=0,
                tax=Tax(5, 0),
            )
            assert waiting(node, alice) == [
                (3, register),
                (3, Delegate(pool)),
                (3, PoolRetire(pool, 5)),
                (3, Delegate(None)),
                (3, Transfer((Output(AccountId(bytes.fromhex("ab" * 32)), 100),))),
            ]

    asyncio.run(main())


def test_what_cannot_hold_is_told_why(tmp_path: Path) -> None:
    alice = account(tmp_path)
    how = ("--key-file", tmp_path / "alice", "--folder", tmp_path)

    async def main() -> None:
        async with asked(tmp_path, alice) as node:
            too_much = await node.ask("ledger", "send", "ab" * 32, 1000, *how, exit_code=65)
            assert "control_refused" in too_much
            assert "1000" in too_much
            none = await node.ask("pool", "delegate", "ab" * 32, *how, exit_code=65)
            assert "pool" in none
            await node.ask("pool", "delegate", "ab", *how, exit_code=78)
            assert waiting(node, alice) == []

    asyncio.run(main())
