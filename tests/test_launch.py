"""Goal: what takes long at the start does not hold up the loop, and its errors are the same."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tetrarch import launch
from tetrarch.cluster.errors import ClusterFileMissing, ClusterFilesWrong
from tetrarch.config import BeaconNodeConfig, NodeConfig

CONFIG = NodeConfig(beacon_node=BeaconNodeConfig(urls=("http://127.0.0.1:1",)))


@pytest.fixture(autouse=True)
def switch_interval_of_tests() -> Iterator[None]:
    """The launch sets the process's own."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_loop_goes_on_while_the_cluster_s_files_are_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop_ran = threading.Event()

    def verify(folder: Path) -> NoReturn:
        assert loop_ran.wait(30), "the loop stood still"
        raise ClusterFilesWrong("verify cluster files", folder=folder, first="x", findings=1)

    monkeypatch.setattr(launch, "load_cluster", verify)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(loop_ran.set)
        with pytest.raises(ClusterFilesWrong):
            await launch.run_node(tmp_path, CONFIG)

    asyncio.run(main())


def test_missing_files_are_named_as_ever(tmp_path: Path) -> None:
    with pytest.raises(ClusterFileMissing, match=r"cluster-lock\.json"):
        asyncio.run(launch.run_node(tmp_path / "node9", CONFIG))
