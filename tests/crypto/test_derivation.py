"""EIP-2333 vectors, path syntax, interop keys."""

import json

import pytest
from tests.vectors_path import vectors

from tetrarch.crypto.derivation import (
    PathInvalid,
    SeedInvalid,
    derive_child_sk,
    derive_master_sk,
    derive_path,
    interop_secret_key,
    parse_path,
)

FOLDER = vectors("keystore")
CASES = json.loads((FOLDER / "tree_kdf.json").read_text())["kdf_tests"]
CASES.append(json.loads((FOLDER / "tree_kdf_intermediate.json").read_text()))


def test_all_vectors_are_there() -> None:
    assert len(CASES) == 5


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["seed"][:8])
def test_official_tree(case: dict[str, object]) -> None:
    master = derive_master_sk(bytes.fromhex(str(case["seed"])))
    assert int.from_bytes(master.to_bytes(), "big") == case["master_SK"]
    index = int(str(case["child_index"]))
    child = derive_child_sk(master, index)
    assert int.from_bytes(child.to_bytes(), "big") == case["child_SK"]
    assert derive_path(bytes.fromhex(str(case["seed"])), f"m/{index}") == child


def test_path_is_walked_level_by_level() -> None:
    seed = bytes(range(32))
    key = derive_master_sk(seed)
    for index in (12381, 3600, 7, 0, 0):
        key = derive_child_sk(key, index)
    assert derive_path(seed, "m/12381/3600/7/0/0") == key
    assert derive_path(seed, "m") == derive_master_sk(seed)


@pytest.mark.parametrize(
    "path",
    ["", "n/0", "m/", "m/a", "m/-1", "m//1", "/0", "m/4294967296", "m/٣", "m" + "/0" * 17, "m/0 "],
)
def test_bad_path_is_refused(path: str) -> None:
    with pytest.raises(PathInvalid):
        parse_path(path)


def test_bad_seed_and_index_are_refused() -> None:
    for seed in (b"", bytes(31), bytes(1025)):
        with pytest.raises(SeedInvalid):
            derive_master_sk(seed)
    for index in (-1, 2**32):
        with pytest.raises(PathInvalid):
            derive_child_sk(derive_master_sk(bytes(32)), index)
    with pytest.raises(PathInvalid):
        interop_secret_key(-1)


def test_interop_keys_are_the_known_ones() -> None:
    first = interop_secret_key(0)
    assert first.to_bytes().hex() == (
        "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866"
    )
    assert first.public_key().hex() == (
        "a99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c"
    )
    assert len({interop_secret_key(n).to_bytes() for n in range(64)}) == 64
