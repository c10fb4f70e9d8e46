"""Moving histories in and out of a node's folder: by command, into both databases, for good."""

import asyncio
import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.enclave.enclave_world import OLD_CHAIN, block, vote
from tests.integration.small_disk import fill, small_disk
from tests.vectors_path import vectors
from typer.testing import CliRunner

from tetrarch.cli import histories
from tetrarch.cli.histories import ImportHalfDone
from tetrarch.cli.main import app
from tetrarch.cluster.load import load_cluster
from tetrarch.enclave import history
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.interchange import FILE_SIZE_MAX_BYTES, Interchange
from tetrarch.enclave.ports import Approved, Denied
from tetrarch.enclave.rules import Block, Reason, Refused, Verdict, Vote, Wish
from tetrarch.launch import DATABASE_FILE
from tetrarch.share_files import share_files
from tetrarch.signing_source import ENCLAVE_DATABASE_FILE
from tetrarch.storage.lock import OwnerLock
from tetrarch.storage.migrations import migrate

CASES = sorted((vectors("eip3076") / "tests" / "generated").glob("*.json"))
DATABASES = (ENCLAVE_DATABASE_FILE, DATABASE_FILE)
CHAIN = OLD_CHAIN.forks.genesis_validators_root


def run(*arguments: object):
    return CliRunner().invoke(app, ["slashing-protection", *map(str, arguments)])


def run_process(*arguments: object):
    return subprocess.run(
        [sys.executable, "-m", "tetrarch", "slashing-protection", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def only_error(result) -> str:
    line: str
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def create(folder: Path, *options: str) -> Path:
    arguments = ["cluster", "create", "--insecure-keystores", *options, str(folder)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The keys 0 to 2 are those of the official vectors."""
    return create(
        tmp_path_factory.mktemp("cli") / "cluster", "--interop", "0..2", "--base-port", "9000"
    )


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original / "node0", tmp_path / "node0")
    return tmp_path / "node0"


def document(entries, *, chain: bytes = CHAIN, version: str = "5") -> bytes:
    """``entries``: public key -> blocks (slot) and votes (source, target), without roots."""
    return json.dumps(
        {
            "metadata": {
                "interchange_format_version": version,
                "genesis_validators_root": "0x" + chain.hex(),
            },
            "data": [
                {
                    "pubkey": "0x" + key.hex(),
                    "signed_blocks": [{"slot": str(r)} for r in records if isinstance(r, int)],
                    "signed_attestations": [
                        {"source_epoch": str(r[0]), "target_epoch": str(r[1])}
                        for r in records
                        if not isinstance(r, int)
                    ],
                }
                for key, records in entries.items()
            ],
        }
    ).encode()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def rows(folder: Path) -> list[list[tuple[object, ...]]]:
    """All that both databases hold of slashing."""
    found = []
    for name in DATABASES:
        with closing(sqlite3.connect(folder / name)) as connection:
            found += [
                sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
                for table in ("slashing_block", "slashing_vote", "slashing_key", "slashing_chain")
            ]
    return found


def verdicts(folder: Path, wishes: list[Wish], *, name: str) -> list[Verdict]:
    with closing(sqlite3.connect(folder / name)) as connection:
        return [history.check(connection, (wish,))[0] for wish in wishes]


def denied(folder: Path, wish: Wish) -> bool:
    """In both histories alike."""
    answers = {isinstance(verdicts(folder, [wish], name=name)[0], Refused) for name in DATABASES}
    (answer,) = answers
    return answer


# Import, and what is refused afterwards.


def test_after_an_import_the_real_enclave_and_the_node_refuse(folder, tmp_path) -> None:
    """Records under the share's key and under the root key count for the same validator."""
    cluster = load_cluster(folder)
    one, two, three = cluster.validators
    share = one.public_share(cluster.share_index)
    file = write(
        tmp_path / "in.json",
        document({share: [40, (5, 6)], one.pubkey: [(7, 8)], two.pubkey: [50]}),
    )
    result = run_process("import", folder, file, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "ok": True,
        "folder": str(folder),
        "file": str(file),
        "genesis_validators_root": "0x" + CHAIN.hex(),
        "newly_tied": True,
        "keys": 2,
        "blocks": 2,
        "votes": 2,
        "made_floors": 0,
        "without_records": ["0x" + three.pubkey.hex()],
        "foreign": [],
    }

    async def ask_enclave():
        client = await EnclaveClient.start(
            database=folder / ENCLAVE_DATABASE_FILE,
            shares=share_files(folder, cluster),
            answer_timeout_s=60,
        )
        try:
            await client.configure(OLD_CHAIN)
            return await client.sign(
                (
                    vote(one.pubkey, 5, 6),  # one that was signed elsewhere, root unknown
                    vote(one.pubkey, 6, 8),
                    vote(one.pubkey, 4, 9),
                    block(one.pubkey, 40),
                    block(two.pubkey, 50),
                    vote(one.pubkey, 8, 9),
                    block(two.pubkey, 51),
                    block(three.pubkey, 1),
                )
            )
        finally:
            await client.close()

    answers = asyncio.run(ask_enclave())
    reasons = [answer.reason for answer in answers if isinstance(answer, Denied)]
    assert reasons == [
        Reason.DOUBLE_VOTE,
        Reason.DOUBLE_VOTE,
        Reason.SOURCE_BELOW_FLOOR,
        Reason.DOUBLE_BLOCK,
        Reason.DOUBLE_BLOCK,
    ]
    assert all(isinstance(answer, Approved) for answer in answers[5:])
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as connection:
        asked = (Wish(one.pubkey, Vote(source=4, target=9, signing_root=b"x" * 32)),)
        assert history.check(connection, asked) == (Refused(Reason.SOURCE_BELOW_FLOOR),)


def raw(text):
    return None if text is None else bytes.fromhex(text[2:])


def wishes_of(step):
    for one in step["blocks"]:
        what: Block | Vote = Block(slot=int(one["slot"]), signing_root=raw(one.get("signing_root")))
        yield one, Wish(raw(one["pubkey"]), what)
    for one in step["attestations"]:
        what = Vote(
            source=int(one["source_epoch"]),
            target=int(one["target_epoch"]),
            signing_root=raw(one.get("signing_root")),
        )
        yield one, Wish(raw(one["pubkey"]), what)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_official_vector_through_the_command(path, folder, tmp_path) -> None:
    """Both histories deny at least what every client must, and no more than the strictest may."""
    case = json.loads(path.read_text())
    bind(folder, raw(case["genesis_validators_root"]))
    for number, step in enumerate(case["steps"]):
        file = write(tmp_path / f"{number}.json", json.dumps(step["interchange"]).encode())
        result = run("import", folder, file)
        assert result.exit_code == (0 if step["should_succeed"] else 78), result.stderr
        for expected, wish in wishes_of(step):
            allowed = not denied(folder, wish)
            assert expected["should_succeed"] <= allowed <= expected["should_succeed_complete"]
            record(folder, [wish])


def bind(folder: Path, chain: bytes) -> None:
    (folder / "database").mkdir(mode=0o700, exist_ok=True)
    for name in DATABASES:
        with closing(sqlite3.connect(folder / name, isolation_level=None)) as connection:
            migrate(connection, (history.SCHEMA,))
            history.bind_chain(connection, chain)


def record(folder: Path, wishes: list[Wish], *, names=DATABASES) -> None:
    for name in names:
        with closing(sqlite3.connect(folder / name, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            history.check_and_record(connection, tuple(wishes))
            connection.execute("COMMIT")


def test_importing_twice_changes_nothing(folder, tmp_path) -> None:
    key = load_cluster(folder).validators[0].pubkey
    file = write(tmp_path / "in.json", document({key: [3, 9, (1, 2), (2, 3), (5, 4), (1, 3)]}))
    first = run("import", folder, file)
    assert first.exit_code == 0
    assert first.stdout == f"imported {file}: 1 keys, 2 blocks, 4 votes, of which 2 became floors\n"
    before = rows(folder)
    second = run("import", folder, file)
    assert second.exit_code == 0
    assert "tied" in first.stderr
    assert "tied" not in second.stderr
    assert rows(folder) == before


def test_foreign_keys_are_told_counted_and_refused_when_strict(folder, tmp_path) -> None:
    cluster = load_cluster(folder)
    one = cluster.validators[0]
    elsewhere = {b"\x01" * 48: [1, (2, 3)], one.public_shares[2]: [7]}
    mixed = write(tmp_path / "mixed.json", document({one.pubkey: [5], **elsewhere}))
    refused = run("import", folder, mixed, "--strict")
    assert refused.exit_code == 65
    assert "foreign_keys=2" in only_error(refused)
    assert not (folder / "database").exists()

    told = json.loads(run("import", folder, mixed, "--json").stdout)
    assert told["blocks"] == 1
    assert (
        told["foreign"]
        == [
            {"pubkey": "0x" + "01" * 48, "records": 2, "whose": None},
            {
                "pubkey": "0x" + one.public_shares[2].hex(),
                "records": 1,
                "whose": "share of node 2 for validator 0",
            },
        ]
        or told["foreign"][::-1] == told["foreign"]
    )
    lines = run("import", folder, mixed).stderr.splitlines()
    assert f"note: left out foreign key 0x{'01' * 48}: 2 records" in lines
    assert "note: 2 of 3 validators are not in the file" in lines

    foreign = write(tmp_path / "foreign.json", document(elsewhere))
    before = rows(folder)
    assert run("import", folder, foreign).exit_code == 65
    many = {number.to_bytes(48, "big"): [1] for number in range(30)}
    crowd = write(tmp_path / "crowd.json", document({one.pubkey: [5], **many}))
    lines = run("import", folder, crowd).stderr.splitlines()
    assert "note: left out 20 more foreign keys" in lines
    assert len(lines) == 12
    assert rows(folder) == before


def test_a_file_of_another_chain_changes_nothing(folder, tmp_path) -> None:
    key = load_cluster(folder).validators[0].pubkey
    assert run("import", folder, write(tmp_path / "a", document({key: [5]}))).exit_code == 0
    before = rows(folder)
    other = write(tmp_path / "b", document({key: [9]}, chain=b"\x09" * 32))
    result = run_process("import", folder, other)
    assert result.returncode == 78
    assert "interchange_of_another_chain" in only_error(result)
    assert rows(folder) == before


def test_a_fresh_folder_of_a_public_network_takes_only_its_own_chain(tmp_path) -> None:
    """Else a wrong file would tie the folder to a chain that its node can never run on."""
    address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    options = ("--network", "hoodi", "--fee-recipient", address, "--withdrawal-address", address)
    folder = create(tmp_path / "cluster", *options) / "node1"
    key = load_cluster(folder).validators[0].pubkey
    result = run("import", folder, write(tmp_path / "a", document({key: [5]})))
    assert result.exit_code == 78
    hoodi = bytes.fromhex("212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f")
    result = run("import", folder, write(tmp_path / "b", document({key: [5]}, chain=hoodi)))
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "truncated"),
        (b"not JSON", "malformed"),
        (b"\x00\xff" * 100, "malformed"),
        (document({}, version="\0").replace(b"\\u0000", b"\xff"), "utf-8"),
        (b"[" * 100_000, ""),
        (b'{"metadata": {}, "data": ' + b"[" * 100_000, ""),
        (document({}, version="4"), "version=4"),
        (document({b"\x01" * 47: []}), "where=data[0]"),
        (document({b"\x01" * 48: [2**63]}), "where=data of 0x0101"),
        (document({b"\x01" * 48: [(2**64, 1)]}), "field=source_epoch"),
        (document({}).replace(b"0x07", b"0x"), "genesis_validators_root"),
        (document({b"\x01" * 48: []}).replace(b"signed_blocks", b"blocks"), "signed_blocks"),
        (document({b"\x01" * 48: [1]}).replace(b'"slot"', b'"s"'), "slot"),
    ],
)
def test_a_wrong_file_is_one_line_and_65(folder, tmp_path, content, named) -> None:
    file = write(tmp_path / "in.json", content)
    result = run("import", folder, file)
    assert result.exit_code == 65
    line = only_error(result)
    assert named in line
    assert f"file={file}" in line
    assert len(line) < 600
    assert not (folder / "database").exists()


def test_a_file_that_breaks_after_good_keys_leaves_no_trace(folder, tmp_path) -> None:
    good, _, bad = sorted(validator.pubkey for validator in load_cluster(folder).validators)
    bind(folder, CHAIN)
    before = rows(folder)
    file = write(tmp_path / "in.json", document({good: [1, 2, (3, 4)], bad: [5, 2**63]}))
    assert run("import", folder, file).exit_code == 65
    assert rows(folder) == before


def test_files_that_cannot_be_read(folder, tmp_path) -> None:
    for file in (tmp_path / "none.json", tmp_path):
        result = run("import", folder, file)
        assert result.exit_code == 66
        assert str(file) in only_error(result)
    huge = write(tmp_path / "huge.json", b"")
    os.truncate(huge, FILE_SIZE_MAX_BYTES + 1)
    result = run("import", folder, huge)
    assert result.exit_code == 65
    assert "too large" in only_error(result)
    assert run("import", tmp_path, huge).exit_code == 66  # no node's folder


def test_a_half_done_import_says_so_and_can_be_repeated(folder, tmp_path) -> None:
    """The node's database is full when the enclave's has the import already."""
    key = load_cluster(folder).validators[0].pubkey
    bind(folder, CHAIN)
    content = document({key: [(n, n + 1) for n in range(2000)]})
    file = Interchange.parse(content)
    with histories.opened(folder, create=True) as both:
        pages = both[1].connection.execute("PRAGMA page_count").fetchone()[0]
        both[1].connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ImportHalfDone) as caught:
            histories.import_into(both, file, {key: (key,)}, lambda *_: None)
    assert caught.value.fields["done"] == "enclave"
    assert caught.value.fields["failed"] == "node"
    assert "storage_full" in str(caught.value)
    assert "run the same import again" in str(caught.value)
    enclave, node = rows(folder)[1], rows(folder)[5]
    assert (len(enclave), len(node)) == (2000, 0)
    assert run("import", folder, write(tmp_path / "in.json", content)).exit_code == 0
    assert rows(folder)[1] == rows(folder)[5] == enclave


# Export.


def some_wishes(key: bytes, *, seed: int, count: int = 60) -> list[Wish]:
    rng = random.Random(seed)
    found: list[Wish] = []
    for number in range(count):
        root = bytes([seed, number]) * 16
        if rng.random() < 0.3:
            found.append(Wish(key, Block(slot=number * 8 + rng.randrange(8), signing_root=root)))
        else:
            vote = Vote(source=max(number - rng.randrange(4), 0), target=number, signing_root=root)
            found.append(Wish(key, vote))
    return found


def probes(key: bytes) -> list[Wish]:
    root = b"x" * 32
    found: list[Block | Vote] = [Block(slot=slot, signing_root=root) for slot in range(500)]
    found += [Vote(source=s, target=t, signing_root=root) for s in range(66) for t in range(66)]
    return [Wish(key, what) for what in found]


@pytest.mark.parametrize("kind", ["root", "share"])
def test_what_goes_out_denies_the_same_where_it_comes_in(original, folder, tmp_path, kind) -> None:
    """A crash left a vote in one database only; the file has it."""
    cluster = load_cluster(folder)
    bind(folder, CHAIN)
    keys = [validator.pubkey for validator in cluster.validators]
    for seed, key in enumerate(keys):
        record(folder, some_wishes(key, seed=seed))
    late = Wish(keys[0], Vote(source=60, target=61, signing_root=b"l" * 32))
    record(folder, [late], names=[ENCLAVE_DATABASE_FILE])
    file = tmp_path / "out.json"
    result = run_process("export", folder, file, "--keys", kind, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert (told["ok"], told["keys"], told["named_by"]) == (True, 3, kind)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node0", "out.json"]
    written = json.loads(file.read_bytes())
    named = {entry["pubkey"] for entry in written["data"]}
    if kind == "root":
        assert named == {"0x" + key.hex() for key in keys}
    else:
        assert named == {"0x" + key.hex() for key in cluster.by_own_share}
    counted = [len(entry["signed_attestations"]) for entry in written["data"]]
    assert told["votes"] == sum(counted)

    new = tmp_path / "new"
    shutil.copytree(original / "node0", new)
    assert run("import", new, file, "--strict").exit_code == 0
    assert denied(new, Wish(keys[0], Vote(source=60, target=61, signing_root=b"x" * 32)))
    for key in keys:
        wishes = probes(key)
        for name in DATABASES:
            there = verdicts(new, wishes, name=name)
            here = verdicts(folder, wishes, name=ENCLAVE_DATABASE_FILE)
            assert [isinstance(v, Refused) for v in there] == [isinstance(v, Refused) for v in here]
    again = tmp_path / "again.json"
    assert run("export", new, again, "--keys", kind).exit_code == 0
    assert again.read_bytes() == file.read_bytes()


def test_export_overwrites_nothing_unless_forced(folder, tmp_path) -> None:
    bind(folder, CHAIN)
    file = write(tmp_path / "out.json", b"mine")
    file.chmod(0o644)
    result = run("export", folder, file)
    assert result.exit_code == 73
    assert only_error(result).endswith("; name another file, or add --force")
    assert file.read_bytes() == b"mine"
    assert run("export", folder, file, "--force").exit_code == 0
    assert json.loads(file.read_bytes())["data"] == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for target in (tmp_path, tmp_path / "none" / "out.json"):
        result = run("export", folder, target, "--force")
        assert result.exit_code == 73
        assert str(target) in only_error(result)


def test_keys_that_are_no_longer_in_the_cluster_are_left_out_by_share_only(
    folder, tmp_path
) -> None:
    key = load_cluster(folder).validators[0].pubkey
    bind(folder, CHAIN)
    gone = b"\x05" * 48
    record(folder, [Wish(each, Block(slot=4, signing_root=None)) for each in (key, gone)])
    result = run("export", folder, tmp_path / "a", "--keys", "share", "--json")
    told = json.loads(result.stdout)
    assert (told["keys"], told["left_out"]) == (1, ["0x" + gone.hex()])
    result = run("export", folder, tmp_path / "b", "--keys", "share")
    assert result.stderr.startswith("note: left out 1 keys of which this node has no share")
    result = run("export", folder, tmp_path / "c")
    assert result.stdout == f"exported {tmp_path / 'c'}: 2 keys by root, 2 blocks, 0 votes\n"
    assert result.stderr == ""


def test_export_of_a_folder_without_history_or_chain(folder, tmp_path) -> None:
    out = tmp_path / "out.json"
    for command in (("export", folder, out), ("prune", folder)):
        result = run(*command)
        assert result.exit_code == 66
        assert "history_missing" in only_error(result)
    (folder / "database").mkdir()
    with closing(sqlite3.connect(folder / DATABASE_FILE, isolation_level=None)) as connection:
        migrate(connection, (history.SCHEMA,))
    result = run("export", folder, out)
    assert result.exit_code == 78
    assert "history_without_chain" in only_error(result)
    assert not out.exists()


# Prune.


@pytest.mark.parametrize("seed", range(6))
def test_after_pruning_all_that_was_denied_is_denied(folder, seed) -> None:
    keys = [validator.pubkey for validator in load_cluster(folder).validators]
    bind(folder, CHAIN)
    for number, key in enumerate(keys):
        record(folder, some_wishes(key, seed=seed * 10 + number))
    wishes = [wish for key in keys for wish in probes(key)]
    before = [verdicts(folder, wishes, name=name) for name in DATABASES]
    keep = (1, 3, 10, 40, 59, 1000)[seed]
    result = run("prune", folder, "--keep-epochs", keep, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    after = [verdicts(folder, wishes, name=name) for name in DATABASES]
    for then, now in zip(before, after, strict=True):
        for wish, was, is_ in zip(wishes, then, now, strict=True):
            assert isinstance(is_, Refused) or not isinstance(was, Refused), wish
    assert told["enclave"] == told["node"]
    assert (told["node"]["removed_votes"] > 0) == (keep < 59)
    assert told["node"]["kept_votes"] == len(rows(folder)[5])
    newer = [Vote(source=s, target=61, signing_root=b"x" * 32) for s in (59, 60, 61)]
    for key in keys:  # what is newer than all records is as free as before
        assert not any(denied(folder, Wish(key, vote)) for vote in newer)


def test_prune_tells_what_it_removed(folder) -> None:
    key = load_cluster(folder).validators[0].pubkey
    bind(folder, CHAIN)
    votes = [Vote(source=n, target=n + 1, signing_root=None) for n in range(400)]
    record(folder, [Wish(key, each) for each in votes], names=[DATABASE_FILE])
    result = run_process("prune", folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"pruned history of the {name}: removed blocks 0, removed votes {removed}, "
        f"kept blocks 0, kept votes {kept}"
        for name, removed, kept in (("enclave", 0, 0), ("node", 143, 257))
    ]
    assert run("prune", folder, "--keep-epochs", "0").exit_code == 2


# The node must not run.


@pytest.mark.parametrize("name", DATABASES)
def test_a_running_node_or_enclave_keeps_every_command_out(folder, tmp_path, name) -> None:
    key = load_cluster(folder).validators[0].pubkey
    file = write(tmp_path / "in.json", document({key: [5]}))
    bind(folder, CHAIN)
    before = rows(folder)
    lock = OwnerLock.acquire((folder / name).with_name(Path(name).name + ".lock"))
    try:
        for command in (
            ("import", folder, file),
            ("export", folder, tmp_path / "x"),
            ("prune", folder),
        ):
            result = run_process(*command)
            assert result.returncode == 73
            assert f"owner_process={os.getpid()}" in only_error(result)
    finally:
        lock.release()
    assert rows(folder) == before
    assert not (tmp_path / "x").exists()


def test_a_real_node_keeps_the_commands_out_as_soon_as_it_starts(folder, tmp_path) -> None:
    """It holds its lock while it still waits for its beacon node, here in vain."""
    key = load_cluster(folder).validators[0].pubkey
    file = write(tmp_path / "in.json", document({key: [5]}))
    command = ["run", folder, "--beacon-node", "http://127.0.0.1:9", "--monitoring-port", "0"]
    with (tmp_path / "log").open("wb") as log:
        node = subprocess.Popen(
            [sys.executable, "-m", "tetrarch", *map(str, command)], stdout=log, stderr=log
        )
    try:
        while b"beacon_node_away" not in (tmp_path / "log").read_bytes():
            assert node.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        result = run("import", folder, file)
        assert result.exit_code == 73
        assert f"owner_process={node.pid}" in only_error(result)
    finally:
        node.kill()
        node.wait()
    assert run("import", folder, file).exit_code == 0


@pytest.mark.integration
def test_on_a_full_disk_an_import_is_one_line_and_can_be_repeated(folder, tmp_path) -> None:
    key = load_cluster(folder).validators[0].pubkey
    content = document({key: [(n, n + 1) for n in range(5000)]})
    file = write(tmp_path / "in.json", content)
    with small_disk(folder, 8):
        ballast = fill(folder, leave_bytes=300_000)
        result = run_process("import", folder, file)
        assert result.returncode == 74
        assert "storage_full" in only_error(result)
        ballast.unlink()
        result = run_process("import", folder, file)
        assert result.returncode == 0, result.stderr
        assert len(rows(folder)[1]) == len(rows(folder)[5]) == 5000
        fill(folder, leave_bytes=100_000)
        result = run_process("export", folder, folder / "out.json")
        assert result.returncode in {73, 74}
        only_error(result)
        assert sorted(path.name for path in folder.glob("*out.json*")) == []


@pytest.mark.parametrize("command", ["import", "export", "prune"])
def test_help_has_an_example_and_the_exit_codes(command) -> None:
    shown = run(command, "--help").stdout
    assert f"Example: tetrarch slashing-protection {command}" in shown
    assert "Exit codes: 0" in shown
