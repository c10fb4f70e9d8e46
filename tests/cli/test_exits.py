"""``tetrarch exit`` and ``tetrarch fee-recipient``: what an operator types, and what he is told."""

import asyncio
import json
from functools import partial
from pathlib import Path
from sqlite3 import Connection

import pytest
from tests.cluster.cluster_world import create
from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.clock import SystemClock
from tetrarch.cluster.load import load_cluster
from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.parsig_rows import Status, insert
from tetrarch.duties.requested import ExitRequest, RegistrationRequest
from tetrarch.duties.types import (
    Duty,
    DutyType,
    ExitPayload,
    PartialSet,
    PartialSignature,
    ShareIndex,
    SignedData,
    SignedDataSet,
)
from tetrarch.ethereum.spec.messages import VoluntaryExit
from tetrarch.launch import DATABASE_FILE
from tetrarch.node import SCHEMAS
from tetrarch.operator_files import OperatorFolder
from tetrarch.storage.database import Database


def insert_heard(connection: Connection, partial_set: PartialSet) -> None:
    insert(connection, partial_set, Status.BROADCASTED, now_s=1)


PAYEE = "0x" + "ab" * 20


def run(*arguments: object, typed: str = ""):
    return CliRunner().invoke(app, list(map(str, arguments)), input=typed)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    create(tmp_path / "cluster")
    return tmp_path / "cluster/node0"


def key(node: Path, index: int = 0) -> str:
    return "0x" + load_cluster(node).validators[index].pubkey.hex()


def test_exit_is_asked_for_after_a_warning(node: Path) -> None:
    wanted = ("exit", "sign", node, "--validator", key(node), "--epoch", 9)
    refused = run(*wanted, typed="n\n")
    assert refused.exit_code == 1
    assert "cannot be taken back" in refused.stderr
    assert OperatorFolder.requests_of(node) == ()
    accepted = run(*wanted, "--broadcast", typed="y\n")
    assert accepted.exit_code == 0, accepted.stderr
    assert "PUBLISH" in accepted.stderr
    pubkey = load_cluster(node).validators[0].pubkey
    assert OperatorFolder.requests_of(node) == (
        ExitRequest(pubkey=pubkey, epoch=9, broadcast=True),
    )


def test_all_validators_can_be_asked_for_at_once(node: Path) -> None:
    told = run("exit", "sign", node, "--all", "--epoch", 9, "--yes", "--json")
    cluster = load_cluster(node)
    assert len(json.loads(told.stdout)["requests"]) == len(cluster.validators)
    assert {each.pubkey for each in OperatorFolder.requests_of(node)} == set(cluster.by_pubkey)


@pytest.mark.parametrize("names", [(), ("--validator", "0x00"), ("--validator", "0x" + "99" * 48)])
def test_unknown_validators_are_refused(node: Path, names: tuple[str, ...]) -> None:
    ended = run("exit", "sign", node, *names, "--epoch", 9, "--yes")
    assert ended.exit_code == 78
    assert "validator_unknown" in ended.stderr
    assert OperatorFolder.requests_of(node) == ()


def test_node_of_a_validator_client_is_not_asked(node: Path) -> None:
    (node / "tetrarch.toml").write_text('signing = "validator_client"\n')
    for command in (
        ("exit", "sign", "--epoch", 9),
        ("fee-recipient", "sign", "--fee-recipient", PAYEE),
    ):
        group, verb, *options = command
        ended = run(group, verb, node, "--all", *options, "--yes")
        assert (ended.exit_code, "client_signs" in ended.stderr) == (78, True)


def test_list_and_status_tell_who_asked_and_what_is_missing(node: Path) -> None:
    cluster = load_cluster(node)
    pubkey = cluster.validators[0].pubkey
    message = VoluntaryExit(epoch=9, validator_index=5)
    duty, payload = Duty(72, DutyType.EXIT), ExitPayload(message=message)
    assert "no exit" in run("exit", "list", node).stdout

    async def store(signed: bool) -> None:
        (node / DATABASE_FILE).parent.mkdir(exist_ok=True)
        database = Database.open(node / DATABASE_FILE, SCHEMAS)
        for share in (1, 3):
            one = PartialSignature(
                pubkey=pubkey,
                share_index=ShareIndex(share),
                payload=payload,
                signature=bytes([share]) * 96,
            )
            partials = PartialSet(duty=duty, partials=(one,))
            await database.write(partial(insert_heard, partial_set=partials))
        if signed:
            item = SignedData(pubkey=pubkey, payload=payload, signature=bytes(96))
            group = SignedDataSet(duty=duty, items=(item,))
            await AggSigDB(storage=database).store(group)
            await AggSigDB(storage=database).note_submitted(group)
        await database.close()

    asyncio.run(store(signed=False))
    status = ("exit", "status", node, "--validator", key(node))
    told = run(*status).stdout
    assert "waits, 2 of 3 operators" in told
    assert "not asked yet: node1, node3" in told
    assert "this node's operator has not asked" in told
    asyncio.run(store(signed=True))
    (found,) = json.loads(run("exit", "list", node, "--json").stdout)["exits"]
    assert (found["nodes"], found["signed"], found["published"]) == ([0, 2], True, True)
    assert "published" in run(*status).stdout


def test_file_that_is_no_exit_is_not_published(tmp_path: Path) -> None:
    wrong = tmp_path / "exit.json"
    wrong.write_text("{}")
    for file in (wrong, tmp_path / "none.json"):
        ended = run("exit", "broadcast", file, "--beacon-node", "http://127.0.0.1:1", "--yes")
        assert (ended.exit_code, "exit_file_invalid" in ended.stderr) == (65, True)


def test_fee_recipient_is_asked_for_and_the_others_are_told_how(node: Path) -> None:
    ended = run("fee-recipient", "sign", node, "--all", "--fee-recipient", PAYEE, "--yes")
    assert ended.exit_code == 0, ended.stderr
    requests = OperatorFolder.requests_of(node)
    (time_s,) = {r.message.timestamp for r in requests if isinstance(r, RegistrationRequest)}
    assert f"--timestamp {time_s}" in ended.stdout
    listed = json.loads(run("fee-recipient", "list", node, "--json").stdout)
    assert {each["fee_recipient"] for each in listed["waiting"]} == {PAYEE}
    assert PAYEE not in {each["fee_recipient"] for each in listed["registrations"]}


@pytest.mark.parametrize(
    "options",
    [
        ("--fee-recipient", "0x" + "00" * 20),
        ("--fee-recipient", "0xab"),
        ("--fee-recipient", PAYEE, "--timestamp", 1),
        ("--fee-recipient", PAYEE, "--timestamp", int(SystemClock().wall_s()) + 10_000),
    ],
)
def test_wrong_registrations_are_refused(node: Path, options: tuple[object, ...]) -> None:
    ended = run("fee-recipient", "sign", node, "--all", *options, "--yes")
    assert (ended.exit_code, "config_invalid" in ended.stderr) == (78, True)
    assert OperatorFolder.requests_of(node) == ()
