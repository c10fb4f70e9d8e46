"""A keystore in the wrong place: the error says whose share it is."""

from pathlib import Path

import pytest
from tests.cluster.cluster_world import create, open_node, swap_files

from tetrarch.enclave.errors import ShareSwapped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "cluster")
    return tmp_path / "cluster"


def keystore(folder: Path, node: int, index: int = 0) -> Path:
    return folder / f"node{node}/validator_keys/keystore-{index}.json"


def swap_keystores(first: Path, second: Path) -> None:
    swap_files(first, second)
    swap_files(first.with_suffix(".txt"), second.with_suffix(".txt"))


def told_of(folder: Path, node: int) -> str:
    with pytest.raises(ShareSwapped) as caught:
        open_node(folder / f"node{node}")
    return str(caught.value)


def test_share_of_another_node(folder: Path) -> None:
    swap_keystores(keystore(folder, 0), keystore(folder, 2))
    text = told_of(folder, 0)
    assert "keystore-0.json" in text
    assert "holds=share of node 2 for validator 0" in text
    assert "this_node=0" in text


def test_share_of_another_validator(folder: Path) -> None:
    swap_keystores(keystore(folder, 1, 0), keystore(folder, 1, 1))
    assert "holds=share of node 1 for validator 1" in told_of(folder, 1)


def test_share_of_the_cluster_key(folder: Path) -> None:
    swap_keystores(keystore(folder, 0), folder / "node0/cluster_key/keystore-0.json")
    assert "holds=share of node 0 for the cluster key" in told_of(folder, 0)


def test_share_of_another_cluster(folder: Path, tmp_path: Path) -> None:
    create(tmp_path / "other", seed=2)
    swap_keystores(keystore(folder, 0), keystore(tmp_path / "other", 0))
    assert "holds=no share of this cluster" in told_of(folder, 0)
