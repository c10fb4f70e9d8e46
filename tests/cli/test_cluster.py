"""The cluster commands: what they print, and their exit codes by kind of failure."""

import json
import shutil

import pytest
from tests.cluster.cluster_world import edit_json, open_node, replace_file
from typer.testing import CliRunner

from tetrarch.cli.cluster import app
from tetrarch.cluster.load import load_cluster
from tetrarch.cluster.root_keys import interop_keys

ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
FAST = ["create", "--insecure-keystores"]


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def only_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "cluster"
    result = run(*FAST, "--interop", "0..1", "--base-port", 9000, folder)
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original, tmp_path / "cluster")
    return tmp_path / "cluster"


def test_created_cluster_loads_and_verifies(original):
    for index in range(4):
        cluster = load_cluster(original / f"node{index}")
        roots = [key.public_key() for key in interop_keys(range(2))]
        assert [validator.pubkey for validator in cluster.validators] == roots
        assert [each.address for each in cluster.operators][index] == f"127.0.0.1:{9000 + index}"
        assert list(open_node(original / f"node{index}")) == roots
    for target in (original / "node3", original / "node3" / "cluster-lock.json"):
        result = run("verify", target)
        assert result.exit_code == 0
        assert only_line(result.stdout).startswith("ok: ")
        assert result.stderr == ""


def test_create_prints_one_json_object(tmp_path):
    result = run(
        *FAST,
        "--json",
        "--nodes",
        7,
        "--validators",
        3,
        "--fork-version",
        "0x10203040",
        "--genesis-time",
        1234,
        "--fee-recipient",
        ADDRESS,
        "--withdrawal-address",
        ADDRESS,
        tmp_path / "c",
    )
    assert result.exit_code == 0, result.stderr
    created = json.loads(result.stdout)
    assert (created["ok"], created["threshold"], created["network"]) == (True, 5, "custom")
    assert created["nodes"] == [str(tmp_path / "c" / f"node{i}") for i in range(7)]
    assert created["notes"] == ["keystores are insecurely encrypted: development only"]
    cluster = load_cluster(tmp_path / "c" / "node6")
    assert "0x" + cluster.lock_hash.hex() == created["lock_hash"]
    assert cluster.fork_version.hex() == "10203040"
    assert {each.registration.timestamp_s for each in cluster.validators} == {1234}
    assert {each.fee_recipient.hex() for each in cluster.validators} == {ADDRESS[2:].lower()}


def test_public_network_by_name(tmp_path):
    result = run(
        *FAST,
        "--network",
        "hoodi",
        "--fee-recipient",
        ADDRESS,
        "--withdrawal-address",
        ADDRESS,
        "--compounding",
        "--threshold",
        2,
        tmp_path / "c",
    )
    assert result.exit_code == 0
    assert "note: threshold differs from the recommended 3" in result.stderr
    cluster = load_cluster(tmp_path / "c" / "node0")
    assert cluster.fork_version.hex() == "10000910"
    assert cluster.validators[0].registration.timestamp_s == 1742213400
    assert (tmp_path / "c/node0/deposit-data-256eth.json").exists()


def test_existing_keystores_are_split(tmp_path, original):
    source = original / "node1/validator_keys"
    result = run(*FAST, "--from-keystores", source, tmp_path / "c")
    assert result.exit_code == 0, result.stderr
    roots = [secret.public_key() for secret in open_node(original / "node1").values()]
    cluster = load_cluster(tmp_path / "c" / "node0")
    assert [validator.pubkey for validator in cluster.validators] == roots


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--nodes", "2"], "nodes=2"),
        (["--threshold", "5"], "threshold=5"),
        (["--validators", "0"], "validators=0"),
        (["--interop", "7..3"], "--interop"),
        (["--interop", "a..b"], "--interop"),
        (["--interop", "0..1", "--validators", "3"], "keys_given=2"),
        (["--interop", "0..1", "--from-keystores", "x"], "exclude"),
        (
            [
                "--interop",
                "0",
                "--network",
                "hoodi",
                "--fee-recipient",
                ADDRESS,
                "--withdrawal-address",
                ADDRESS,
            ],
            "interop keys are public",
        ),
        (["--network", "holesky"], "known=mainnet"),
        (["--network", "hoodi", "--fork-version", "0x01020304"], "exclude"),
        (["--network", "hoodi", "--withdrawal-address", ADDRESS], "--fee-recipient"),
        (
            ["--network", "mainnet", "--withdrawal-address", ADDRESS, "--fee-recipient", ADDRESS],
            "--insecure-keystores",
        ),
        (["--fork-version", "0x0102"], "--fork-version"),
        (["--fee-recipient", ADDRESS.replace("aA", "Aa")], "checksum"),
        (["--base-port", "65534"], "port is outside"),
    ],
)
def test_options_that_do_not_fit_are_one_line_and_78(tmp_path, arguments, named):
    result = run(*FAST, *arguments, tmp_path / "c")
    assert result.exit_code == 78
    line = only_line(result.stderr)
    assert line.startswith("error: ")
    assert named in line
    assert line.endswith("; correct the named setting")
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_73(original):
    result = run(*FAST, original)
    assert result.exit_code == 73
    assert only_line(result.stderr).endswith("; name a new folder")


def test_missing_keystores_are_66(tmp_path):
    result = run(*FAST, "--from-keystores", tmp_path / "none", tmp_path / "c")
    assert result.exit_code == 66
    assert str(tmp_path / "none") in only_line(result.stderr)


def test_wrong_keystore_password_is_65(tmp_path, folder):
    replace_file(folder / "node0/validator_keys/keystore-1.txt", b"wrong")
    result = run(*FAST, "--from-keystores", folder / "node0/validator_keys", tmp_path / "c")
    assert result.exit_code == 65
    assert "keystore-1.txt" in only_line(result.stderr)


def test_unknown_option_is_2(tmp_path):
    assert run("create", "--node", 4, tmp_path / "c").exit_code == 2


def test_wrong_field_is_65_and_named(folder):
    def forge(document):
        document["distributed_validators"][1]["builder_registration"]["message"]["gas_limit"] += 1

    edit_json(folder / "node0" / "cluster-lock.json", forge)
    result = run("verify", folder / "node0")
    assert result.exit_code == 65
    assert (
        "lock distributed_validators[1].builder_registration.signature: is not by the validator's "
        "root key over this message [registration_signature_wrong]"
    ) in result.stdout.splitlines()
    assert only_line(result.stderr).startswith("error: verify cluster files: 2 wrong in ")

    shown = json.loads(run("verify", "--json", folder / "node0").stdout)
    assert shown["ok"] is False
    assert {finding["code"] for finding in shown["findings"]} == {
        "registration_signature_wrong",
        "lock_hash_wrong",
    }


@pytest.mark.parametrize("name", ["cluster-lock.json", "cluster-extension.json"])
def test_unreadable_file_is_a_finding_and_65(folder, name):
    replace_file(folder / "node0" / name, b'{"half": ')
    result = run("verify", "--json", folder / "node0")
    assert result.exit_code == 65
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding["code"] == "malformed"
    assert finding["file"] in name


@pytest.mark.parametrize("name", ["cluster-lock.json", "cluster-extension.json"])
def test_missing_file_is_66(folder, name):
    (folder / "node0" / name).unlink()
    result = run("verify", folder / "node0")
    assert result.exit_code == 66
    assert name in only_line(result.stderr)


@pytest.mark.parametrize("command", ["create", "verify"])
def test_help_has_an_example_and_the_exit_codes(command):
    shown = run(command, "--help").stdout
    assert f"Example: tetrarch cluster {command}" in shown
    assert "Exit codes: 0" in shown
