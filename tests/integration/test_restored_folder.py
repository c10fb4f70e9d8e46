"""Goal: a folder from an old backup, a second node of a folder, a lone node: nothing slashable.

Method: a development chain and four node processes. A node's databases are copied while it is
stopped, and put back in place of newer ones.
"""

import shutil
from functools import partial
from pathlib import Path

import pytest
from tests.integration.processes import NodeProcess, get_text, run_tetrarch, wait_for
from tests.integration.test_cluster_processes import World, cluster_world

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

VOTES = "SELECT pubkey, target FROM slashing_vote"


def votes(node: NodeProcess) -> set[tuple[bytes, int]]:
    """What its enclave has approved, by validator and target epoch."""
    return set(node.rows("enclave", VOTES))


def restart(world: World, node: NodeProcess) -> None:
    node.start()
    node.wait_alive()
    wait_for(f"peers of {node.name}", partial(world.has_all_peers, node.index))


def test_restored_folder_is_noticed_and_signs_only_above_what_its_peers_saw(
    tmp_path: Path,
) -> None:
    with cluster_world(tmp_path) as world:
        chain, victim = world.chain, world.nodes[0]
        database, backup = victim.folder / "database", tmp_path / "backup"
        chain.wait_slot(4)
        victim.stop()
        shutil.copytree(database, backup)
        restart(world, victim)
        chain.wait_slot(17)
        victim.stop()
        former = votes(victim)
        shutil.rmtree(database)
        shutil.copytree(backup, database)
        remembered = votes(victim)
        assert remembered < former, "the backup must lack something"
        restart(world, victim)
        wait_for(
            "the verdict",
            lambda: "safe_start: this folder was older" in get_text(f"{victim.url}/readyz"),
        )
        chain.wait_slot(33)
        said = [line for line in victim.text.splitlines() if "folder_is_old " in line]
        assert len(said) == 1, victim.tail(60)
        assert "mend=" in said[0]
        highest = {pubkey: max(t for p, t in former if p == pubkey) for pubkey, _ in former}
        signed = votes(victim) - remembered
        assert signed, victim.tail(60)
        assert {(p, t) for p, t in signed if t <= highest.get(p, -1)} == set()
        assert len({p for p, _ in signed}) * 2 >= len(highest), "validators go on"
        world.audit()


def test_folder_made_from_a_backup_recovers_from_its_peers_with_sealed_keys(
    tmp_path: Path,
) -> None:
    """The operator's whole way: seal, back up, lose the folder, restore it, start it."""
    secret, own = tmp_path / "backup.key", tmp_path / "seal.key"
    for path in (secret, own):
        path.write_bytes(path.name.encode().ljust(32))
        path.chmod(0o600)
    with cluster_world(tmp_path) as world:
        chain, victim = world.chain, world.nodes[0]
        folder = victim.folder
        wait_for("its first votes", lambda: bool(votes(victim)))
        victim.stop()
        sealing = ("enclave", "seal", folder, "--key-file", own, "--remove-keystores")
        assert run_tetrarch(*sealing).exit_code == 0
        (folder / "tetrarch.toml").write_text(f'[enclave]\nkey_file = "{own}"\n')
        backup = tmp_path / "node0.backup"
        ended = run_tetrarch("enclave", "backup", folder, backup, "--key-file", secret)
        assert ended.exit_code == 0, ended.stderr
        remembered = votes(victim)
        restart(world, victim)
        wait_for("votes with sealed keys", lambda: remembered < votes(victim))
        victim.stop()
        former = votes(victim)
        folder.rename(tmp_path / "lost")

        restoring = ("enclave", "restore", backup, folder, "--key-file", secret)
        ended = run_tetrarch(*restoring, "--seal-key-file", own)
        assert ended.exit_code == 0, ended.stderr
        assert votes(victim) == remembered
        trusting = run_tetrarch(
            "run", folder, "--beacon-node", chain.url, "--trust-own-history", "--monitoring-port", 0
        )
        assert trusting.exit_code == 78
        assert "folder_restored" in trusting.stderr
        restart(world, victim)
        wait_for("its recovery", lambda: "folder_recovered" in victim.text)
        wait_for("votes after it", lambda: remembered < votes(victim))
        assert "folder_restored" in victim.text
        highest = {pubkey: max(t for p, t in former if p == pubkey) for pubkey, _ in former}
        signed = votes(victim) - remembered
        assert {(p, t) for p, t in signed if t <= highest.get(p, -1)} == set()
        assert victim.rows("enclave", "SELECT * FROM restored") == []
        assert victim.rows("node", "SELECT * FROM restored") == []
        world.audit()


def test_lone_node_signs_nothing_until_its_peers_are_back_and_the_override_says_what_it_risks(
    tmp_path: Path,
) -> None:
    with cluster_world(tmp_path) as world:
        chain, (lone, *others) = world.chain, world.nodes
        chain.wait_slot(2)
        for node in world.nodes:
            node.stop()
        before = votes(lone)
        lone.start()
        lone.wait_alive()
        wait_for("its reason", lambda: "safe_start: 0 of 2" in get_text(f"{lone.url}/readyz"))
        chain.wait_slot(chain.slot + 2)
        assert votes(lone) == before
        for node in others:
            node.start()
        wait_for("released", lambda: "safe_start: " not in get_text(f"{lone.url}/readyz"))
        wait_for("its next vote", lambda: votes(lone) > before)
        lone.stop()
        trusting = NodeProcess(0, lone.folder.parent, chain.url, "--trust-own-history")
        trusting.start()
        try:
            trusting.wait_alive()
            wait_for("its warning", lambda: "own_history_trusted" in trusting.text)
            assert "can sign something slashable" in trusting.text
        finally:
            trusting.stop()
        world.audit()


def test_second_node_of_a_folder_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    with cluster_world(tmp_path) as world:
        first = world.nodes[0]
        first.wait_alive()
        (pid,) = (first.folder / "database" / "node.sqlite.lock").read_text().split()
        for command in ("run", "signer"):
            options = ["--monitoring-port", 0] if command == "run" else []
            ended = run_tetrarch(command, first.folder, "--beacon-node", world.chain.url, *options)
            assert ended.exit_code == 73, ended.stderr
            (line,) = ended.error_lines
            assert "storage_in_use" in line
            assert "owner_process=" in line
            if command == "run":
                assert f"owner_process={pid}" in line
        assert first.running, first.tail()
