"""Incremental roots equal full ones after any change, growth or shrinking."""

from random import Random
from types import SimpleNamespace

import pytest

from tetrarch.errors import InvariantBroken
from tetrarch.ssz.basic import boolean, bytes32, uint8, uint64
from tetrarch.ssz.container import Container
from tetrarch.ssz.hashing import merkleize
from tetrarch.ssz.incremental import ContainerRootCache, MerkleTree, SequenceRootCache
from tetrarch.ssz.sequence import List, Vector

PAIR = Container("Pair", {"number": uint64, "root": bytes32})


def element(kind, rng: Random):
    if kind is boolean:
        return rng.random() < 0.5
    if kind is bytes32:
        return rng.randbytes(32)
    if kind is PAIR:
        return PAIR(number=rng.getrandbits(64), root=rng.randbytes(32))
    return rng.getrandbits(kind.bits)


@pytest.mark.parametrize("kind", [uint8, uint64, boolean, bytes32, PAIR])
@pytest.mark.parametrize("seed", range(4))
def test_list_root_follows_every_change(kind, seed):
    rng = Random(seed)
    sequence = List(kind, 2**20)
    cache = SequenceRootCache(sequence)
    values: list[object] = []
    for _ in range(60):
        match rng.randrange(5):
            case 0:
                values.extend(element(kind, rng) for _ in range(rng.choice((1, 2, 7, 40, 600))))
            case 1:
                del values[rng.randrange(len(values) + 1) :]
            case 2 if values:
                values[rng.randrange(len(values))] = element(kind, rng)
            case 3 if values:
                values[-1] = element(kind, rng)
            case _:
                for index in rng.choices(range(len(values)), k=10) if values else ():
                    values[index] = element(kind, rng)
        assert cache.hash_tree_root(values) == sequence.hash_tree_root(values)


def test_vector_root_follows_changes():
    rng = Random(1)
    sequence = Vector(bytes32, 1000)
    cache = SequenceRootCache(sequence)
    values = [bytes(32)] * 1000
    for _ in range(20):
        values[rng.randrange(1000)] = rng.randbytes(32)
        assert cache.hash_tree_root(values) == sequence.hash_tree_root(values)


def test_container_root_follows_mutable_state():
    kind = Container("State", {"slot": uint64, "roots": Vector(bytes32, 8), "pairs": List(PAIR, 9)})
    state = SimpleNamespace(slot=1, roots=[bytes(32)] * 8, pairs=[])
    cache = ContainerRootCache(kind)
    for step in range(6):
        state.slot += 1
        state.roots[step] = b"s" * 32
        state.pairs.append(PAIR(number=step, root=bytes(32)))
        assert cache.hash_tree_root(state) == kind.hash_tree_root(state)


def test_mutable_elements_are_refused():
    cache = SequenceRootCache(List(PAIR, 4))
    with pytest.raises(InvariantBroken):
        cache.hash_tree_root([SimpleNamespace(number=1, root=bytes(32))])


def test_tree_updates_single_leaves():
    leaves = [bytes([i]) * 32 for i in range(1, 12)]
    tree = MerkleTree(5, leaves)
    assert tree.root() == merkleize(list(leaves), 5)
    leaves[10] = leaves[0] = b"x" * 32
    tree.update({0: b"x" * 32, 10: b"x" * 32}, len(leaves))
    assert tree.root() == merkleize(list(leaves), 5)
    assert len(tree) == 11
    tree.update({}, 0)
    assert tree.root() == merkleize([], 5)
    with pytest.raises(InvariantBroken):
        tree.update({}, 33)
