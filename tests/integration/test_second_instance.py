"""Goal: of two programs that run with one node's share, the newer signs nothing.

Method: a development chain and four node processes. While the first runs, a copy of its folder,
made earlier, is started at another address: a twin, and one that looks for another instance.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.processes import NodeProcess, get_text, wait_for
from tests.integration.test_cluster_processes import World, cluster_world
from tests.integration.test_restored_folder import restart, votes
from tests.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FIRST = 0  # it dials all others, so that all of them see both
COPIED_SLOT = 4


def wait_for_line(node: NodeProcess, event: str) -> None:
    wait_for(f"{node.name} says {event}", lambda: f"{event} " in node.text)


@contextmanager
def beside_a_copy(folder: Path, settings: str = "") -> Iterator[tuple[World, NodeProcess]]:
    """A cluster, and the copy of its first node; the copy is not started, but stopped at the end."""
    with cluster_world(folder) as world:
        first = world.nodes[FIRST]
        world.chain.wait_slot(COPIED_SLOT)
        first.stop()
        (port,) = free_ports(1)
        twin = folder / "elsewhere" / "cluster" / first.folder.name
        shutil.copytree(first.folder, twin)
        config = twin / "tetrarch.toml"
        told = config.read_text() if config.exists() else ""
        config.write_text(f"{settings}\n{told}\n[mesh]\nlisten_port = {port}\n")
        restart(world, first)
        copy = NodeProcess(FIRST, twin.parent, world.chain.url)
        try:
            yield world, copy
        finally:
            copy.stop()


def test_copied_folder_signs_nothing_beside_the_first_and_both_say_so(tmp_path: Path) -> None:
    with beside_a_copy(tmp_path) as (world, copy):
        first, chain = world.nodes[FIRST], world.chain
        of_backup = votes(copy)
        copy.start()
        copy.wait_alive()
        for node in (first, copy):
            wait_for_line(node, "node_runs_twice")
        for peer in world.nodes[1:]:
            wait_for_line(peer, "peer_runs_twice")
        assert "newer=False" in first.text, first.tail(60)
        assert "newer=True" in copy.text, copy.tail(60)
        assert "tetrarch_node_runs_twice{" in get_text(f"{copy.url}/metrics")
        before = votes(first)
        chain.wait_slot(int(chain.slot) + 10)
        assert votes(copy) == of_backup, copy.tail(60)
        assert votes(first) > before, first.tail(60)
        assert "safe_start" in get_text(f"{copy.url}/readyz")
        world.audit()
        assert "Traceback" not in copy.text, copy.tail(60)


def test_node_that_looks_for_another_instance_ends_where_its_share_signs(tmp_path: Path) -> None:
    with beside_a_copy(tmp_path, "doppelganger_detection = true") as (world, copy):
        first, chain = world.nodes[FIRST], world.chain
        of_backup = votes(copy)
        copy.start()
        assert copy.wait(timeout_s=120) == 78, copy.tail(60)
        (line,) = [each for each in copy.text.splitlines() if each.startswith("error: ")]
        assert "another_instance_runs" in line
        assert votes(copy) == of_backup
        before = votes(first)
        chain.wait_slot(int(chain.slot) + 9)
        assert votes(first) > before, first.tail(60)
        world.audit()
